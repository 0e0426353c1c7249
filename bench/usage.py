"""Who uses the processors, and how many database connections there are."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil
import psycopg

from bench.stage import Stage

GENERATOR = "generator"
OTHERS = "others"
POSTGRES = "postgres"


@dataclass(slots=True)
class Usage:
    """CPU seconds by kind of process since it was made.

    "generator" is the benchmark itself, "others" is what runs on the machine beside it and makes the numbers worse.
    """

    stage: Stage
    _before: dict[str, float] = field(init=False)
    _busy: float = field(init=False)

    def __post_init__(self) -> None:
        self._before, self._busy = cpu_seconds(self.stage), _busy()

    def seconds(self) -> dict[str, float]:
        """CPU seconds by kind until now."""
        now = cpu_seconds(self.stage)
        ours = {kind: now[kind] - self._before.get(kind, 0.0) for kind in now}
        return {**ours, OTHERS: max(0.0, _busy() - self._busy - sum(ours.values()))}


def cpu_seconds(stage: Stage) -> dict[str, float]:
    """CPU seconds so far by kind of process."""
    found: dict[str, float] = defaultdict(float)
    for started in stage.processes:
        found[started.kind] += _own(psutil.Process(started.process.pid), with_ended=True)
    me = psutil.Process()
    found[GENERATOR] = _own(me)
    for child in me.children(recursive=True):
        if _is_postgres(child):
            # A connection's process that ended counts with the server's.
            found[POSTGRES] += _own(child, with_ended=True)
    return dict(found)


def busiest(usage: Mapping[str, float], elapsed: float) -> dict[str, float]:
    """CPU seconds as shares of one core, the largest first."""
    return {kind: round(seconds / elapsed, 3) for kind, seconds in sorted(usage.items(), key=lambda item: -item[1])}


def connections(stage: Stage) -> dict[str, int]:
    """How many sessions the database has by the names that processes give themselves."""
    query = "select application_name, count(*) from pg_stat_activity where application_name <> '' group by 1 order by 1"
    with psycopg.connect(stage.admin.conninfo(), autocommit=True, application_name="bench") as connection:
        return {name: count for name, count in connection.execute(query) if name != "bench"}


def resident_mb(pid: int) -> float:
    """The resident memory of a process, in 10^6 bytes."""
    return round(float(psutil.Process(pid).memory_info().rss) / 1e6, 1)


def _busy() -> float:
    """CPU seconds of the whole machine so far, stolen ones too."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq + times.steal)


def _own(process: psutil.Process, *, with_ended: bool = False) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    ended = times.children_user + times.children_system if with_ended else 0.0
    return float(times.user + times.system + ended)


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return bool(process.name() == "postgres")
    except psutil.NoSuchProcess:
        return False
