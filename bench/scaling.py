"""The same load on 1, 2 and 4 workers with 2 web processes on one PostgreSQL: what grows, and what is full first."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.dm import Driver
from bench.journey import PER_SECOND, cpu, warm_up
from bench.stage import Stage
from bench.usage import GENERATOR, OTHERS, Usage, connections

WORKERS = (1, 2, 4)
WEB = 2
_NO_WAIT = {"JOBX_BURST_WAIT_SECONDS": "0"}
# A share from which on there is nothing left to be had.
_FULL = 0.9
_HARNESS = (GENERATOR, "provider", "model", "vectors")


async def measure(
    stage: Stage,
    *,
    seconds: float = 6.0,
    messages: int = 200,
    workers: Sequence[int] = WORKERS,
    web: int = WEB,
    warm: float = 4.0,
    until: float = float("inf"),
) -> list[dict[str, Any]]:
    """A row for each number of workers on `web` web processes, without a burst wait; the stage has to know something.

    `paced` is the rate of the main part for that many seconds; `burst` is that many messages as fast as they are
    acknowledged, and `per_second` how fast they were answered. No row is begun after the moment `until`.
    """
    rows = []
    for number in workers:
        if time.monotonic() > until:
            break
        await stage.jobx(*["web"] * web, *["worker"] * number, env=_NO_WAIT)
        rows.append({"web": web, "workers": number, **await _row(stage, seconds, messages, number, warm)})
        stage.stop("web", "worker")
    return rows


async def _row(stage: Stage, seconds: float, messages: int, workers: int, warm: float) -> dict[str, Any]:
    driver = Driver(stage, 0.0)
    await warm_up(driver, warm)
    paced = await driver.paced(PER_SECOND, seconds)
    usage = Usage(stage)
    burst = await driver.burst(messages)
    spent = cpu(burst, usage.seconds())
    return {
        "per_second": round(messages / burst.seconds, 1),
        "p50": burst.summary()["p50"],
        "p99": burst.summary()["p99"],
        "paced": paced.summary(),
        "burst": burst.summary(),
        "cpu": spent,
        "connections": connections(stage),
        "full": full(spent["cores"], len(stage.of("web")), workers, os.cpu_count() or 1),
    }


def full(cores: Mapping[str, float], web: int, workers: int, machine: int) -> str:
    """In words, what was at its limit, from the shares of a core that each kind of process used."""
    total = sum(cores.values())
    largest = max((kind for kind in cores if kind != OTHERS), key=lambda kind: cores[kind])
    harness = sum(cores.get(kind, 0.0) for kind in _HARNESS)
    if total >= _FULL * machine:
        return (
            f"the processor: {total:.1f} of {machine} cores, most of it {largest} ({cores[largest]:.1f}), "
            f"of which the benchmark itself takes {harness:.1f}, other programs {cores.get(OTHERS, 0.0):.1f}"
        )
    if cores.get("worker", 0.0) >= _FULL * workers:
        return f"the workers' event loops: {cores['worker']:.1f} cores by {workers}, {machine - total:.1f} cores idle"
    if cores.get("web", 0.0) >= _FULL * web:
        return f"the web processes' event loops: {cores['web']:.1f} cores by {web}"
    return f"no processor: {total:.1f} of {machine} cores were used; the rest was waiting for database and queue"
