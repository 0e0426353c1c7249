"""The way of a direct message at a fixed rate, with the time of each stop: the benchmark's main part."""

from collections.abc import Mapping
from typing import Any

from bench.dm import Driver, Series
from bench.knowledge import ingest
from bench.stage import Stage
from bench.stops import stops
from bench.usage import Usage, busiest, connections

PER_SECOND = 20.0
# One for each core of the machine that the numbers are for.
WORKERS = 2
_AGAIN_SHARE = 6


async def measure(
    stage: Stage,
    *,
    seconds: float = 60.0,
    wait: float = 3.0,
    workers: int = WORKERS,
    pages: int | None = None,
    warm: float = 4.0,
) -> dict[str, Any]:
    """One web process and `workers` with a burst wait of `wait` seconds, which is taken out of all times.

    Every message comes from a chat of its own. `again` are the same chats once more, with a history, so that each
    turn asks the model twice; a sixth of the time long. Leaves the knowledge in the stage.
    """
    env = {"JOBX_BURST_WAIT_SECONDS": str(wait)}
    [web, *_] = await stage.jobx("web", *["worker"] * workers, env=env)
    chunks = await ingest(stage, web.port, pages)
    driver = Driver(stage, wait)
    await warm_up(driver, warm)
    usage = Usage(stage)
    first = await driver.paced(PER_SECOND, seconds)
    spent = usage.seconds()
    again = await driver.paced(PER_SECOND, seconds / _AGAIN_SHARE, list(first.chats.values()))
    found = {
        **first.summary(wait),
        "per_second": PER_SECOND,
        "burst_wait_ms": wait * 1000,
        "web": 1,
        "workers": workers,
        "chunks": chunks,
        "stops_ms": stops(first, [started.log for started in stage.processes], wait),
        "again": again.summary(wait),
        "cpu": cpu(first, spent),
        "connections": connections(stage),
    }
    stage.stop("web", "worker")
    return found


async def warm_up(driver: Driver, seconds: float) -> None:
    """A few messages that do not count: the first ones of a process open its connections and fill its caches."""
    await driver.paced(5.0, seconds)


def cpu(series: Series, spent: Mapping[str, float]) -> dict[str, Any]:
    """Shares of a core by kind of process while a series ran, and milliseconds of CPU for each of its messages."""
    messages = len(series.posted.requests)
    return {
        "cores": busiest(spent, series.seconds),
        "ms_per_message": {kind: round(seconds * 1000 / messages, 1) for kind, seconds in spent.items()},
    }
