"""Back-pressure: how long jobs have waited, and documents that wait until customers have their answers."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.health.probe import Probe
from app.metrics import Metrics
from app.queue import ANSWERS, DELIVERIES, INBOUND, INGESTION, POSTS, PRIVACY, SOURCES, Queue

logger = logging.getLogger(__name__)

# A customer waits for each of these.
URGENT = (INBOUND, ANSWERS, DELIVERIES)
_QUEUES = (*URGENT, INGESTION, POSTS, PRIVACY, SOURCES)
_STATUSES = ("todo", "doing", "failed", "cancelled", "aborted", "succeeded")
_FRESH_SECONDS = 1.0
_LIMIT_SECONDS = 2.0

# Due are jobs whose time has come and that do not wait behind one of the same lock whose time has not (a retry's
# pause). A job behind one that runs is due: its customer waits. The job table has no time of creation; its first
# event has, and the lowest id is the oldest.
_READ = """
with due as (
    select id, queue_name, scheduled_at from queue.procrastinate_jobs
     where status = 'todo' and (scheduled_at is null or scheduled_at <= now())
       and (lock is null or lock not in (
            select later.lock from queue.procrastinate_jobs as later
             where later.status = 'todo' and later.scheduled_at > now() and later.lock is not null))
), oldest as (
    select queue_name, min(scheduled_at) as scheduled, min(id) filter (where scheduled_at is null) as first
      from due group by queue_name
), waits as (
    select queue_name, extract(epoch from now() - least(scheduled, (
            select min(events.at) from queue.procrastinate_events as events
             where events.job_id = oldest.first and events.type = 'deferred')))::float as age
      from oldest
)
select queue_name, status::text as status, count(*) as jobs, max(age) as age
  from queue.procrastinate_jobs left join waits using (queue_name) group by queue_name, status
"""


class Stopping(Exception):
    """The process stops: work that can be done later is left to the next one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Jobs by (queue, status), and the seconds that the oldest due job of each queue has waited."""

    jobs: Mapping[tuple[str, str], int]
    oldest: Mapping[str, float]


async def read_queue(queue: Queue) -> Reading:
    """What is in the queue now; it uses the queue's own connection and not those of the requests."""
    rows = await queue.app.connector.execute_query_all_async(_READ)
    jobs = {(name, status): 0 for name in _QUEUES for status in ("todo", "doing", "failed")}
    oldest = dict.fromkeys(_QUEUES, 0.0)
    for row in rows:
        name, status = _bounded(row["queue_name"], _QUEUES), _bounded(row["status"], _STATUSES)
        jobs[name, status] = jobs.get((name, status), 0) + row["jobs"]
        oldest[name] = max(oldest.get(name, 0.0), row["age"] or 0.0)
    return Reading(jobs, oldest)


def _bounded(value: str, known: tuple[str, ...]) -> str:
    return value if value in known else "other"


class Pressure:
    """Whether customers wait too long: the oldest due job of an urgent queue is older than `limit_seconds`.

    It is over when every wait is under half of that, so that a load at the limit does not go to and fro. Answers are
    given `burst_seconds` more: so long one conversation's jobs may wait by intention until a customer has written all.
    Each process measures by itself; all see the same queue.
    """

    def __init__(self, queue: Queue, metrics: Metrics, *, limit_seconds: float, burst_seconds: float = 0.0) -> None:
        self._probe = Probe(lambda: read_queue(queue), _LIMIT_SECONDS)
        self._metrics = metrics
        self._limit = limit_seconds
        self._allowance = {ANSWERS: burst_seconds}
        self._reading: Reading | None = None
        self._read_at = 0.0
        self._since: float | None = None
        self._stopping = asyncio.Event()
        metrics.overloaded(False)

    @property
    def behind(self) -> bool:
        """What the last measurement found."""
        return self._since is not None

    async def measure(self) -> Reading:
        """What is in the queue, at most a second old.

        Raises TimeoutError after two seconds, or what the database driver raises.
        """
        clock = asyncio.get_running_loop().time
        if self._reading is None or clock() - self._read_at >= _FRESH_SECONDS:
            try:
                self._reading = await self._probe()
            except Exception:
                self._reading = None
                self._metrics.forget_queue()
                raise
            self._read_at = clock()
            self._metrics.queue(self._reading.jobs, self._reading.oldest)
            self._judge(self._reading, self._read_at)
        return self._reading

    async def check(self) -> Literal["ok", "behind"]:
        """The queue as a part for the monitor."""
        await self.measure()
        return "behind" if self.behind else "ok"

    async def relieved(self) -> None:
        """Wait while customers wait too long; raises Stopping at once when the process stops.

        A queue that cannot be measured holds nothing up: what comes next fails by itself if it needs the database.
        """
        while not self._stopping.is_set() and await self._is_behind():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _FRESH_SECONDS)
        if self._stopping.is_set():
            raise Stopping

    def stop(self) -> None:
        """Let everything that waits here end with Stopping."""
        self._stopping.set()

    async def _is_behind(self) -> bool:
        try:
            await self.measure()
        except Exception:
            return False
        return self.behind

    def _judge(self, reading: Reading, at: float) -> None:
        waits = {name: reading.oldest[name] - self._allowance.get(name, 0.0) for name in URGENT}
        worst = max(waits, key=waits.__getitem__)
        if self._since is None and waits[worst] > self._limit:
            self._since = at
            logger.warning(
                "the queue is behind: a job of %s has waited %.0f s, %d wait there; documents wait until it is through",
                worst,
                reading.oldest[worst],
                reading.jobs[worst, "todo"],
            )
        elif self._since is not None and waits[worst] <= self._limit / 2:
            logger.warning("the queue has caught up after %.0f s", at - self._since)
            self._since = None
        self._metrics.overloaded(self.behind)
