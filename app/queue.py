"""The job queue: procrastinate on the same PostgreSQL, so a job is added by the transaction that needs it.

Arguments are ids only, with the trace that the job belongs to: the queue logs them, and its tables are not encrypted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from time import perf_counter
from typing import Any, Concatenate, Literal
from uuid import UUID

import orjson
import procrastinate
import psycopg
from opentelemetry import context as tracing
from opentelemetry.trace import Span, SpanKind, set_span_in_context
from procrastinate import Blueprint, JobContext, RetryDecision, RetryStrategy
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from app.db import DatabaseAddress, was_closed
from app.liveness import Liveness
from app.telemetry.logs import current_job
from app.telemetry.tracing import begin, traceparent
from graphs.spans import describe, fail

logger = logging.getLogger(__name__)

INBOUND = "inbound"
ANSWERS = "answers"
DELIVERIES = "deliveries"
INGESTION = "ingestion"
PRIVACY = "privacy"
POSTS = "posts"
SOURCES = "sources"

# What procrastinate's own client runs; the exact pin and tests/app/test_jobs.py keep this seam honest. Through
# SQLAlchemy it is one statement of the caller's transaction, which takes neither a savepoint nor a second connection.
_DEFER = text(
    "queue.procrastinate_defer_jobs_v1(array[row(cast(:job_queue as text), cast(:job_task as text), 0,"
    " cast(:job_lock as text), null, cast(:job_arguments as jsonb), cast(:job_at as timestamptz))]"
    "::queue.procrastinate_job_to_defer_v1[])"
)
_DEFER_EACH = text(
    "select queue.procrastinate_defer_jobs_v1(array_agg(row(cast(:job_queue as text), cast(:job_task as text), 0,"
    " job.lock, null, cast(job.arguments as jsonb), null)::queue.procrastinate_job_to_defer_v1 order by job.place))"
    " from unnest(cast(:job_locks as text[]), cast(:job_arguments as text[]))"
    " with ordinality as job (lock, arguments, place)"
)
# Jobs that are added by one statement.
_EACH = 1000
# In one statement: between a look and a release another worker may have released the job and begun it.
_RELEASE = """
with stalled as (
    select id from procrastinate_jobs
     where status = 'doing' and (worker_id is null or worker_id in (
           select id from procrastinate_workers where last_heartbeat < now() - make_interval(secs => %(seconds)s)))
       for update skip locked
)
select id, procrastinate_retry_job_v2(id, now(), null, null, null) from stalled
"""
_BEAT = "update procrastinate_workers set last_heartbeat = now() where id = any(%(workers)s)"
# Nothing is done where the job's end was written, but not heard of, or where another worker has taken the job over.
_OWN = """
  from procrastinate_jobs
 where id = %(id)s and status = 'doing' and (worker_id = %(worker)s or worker_id is null)
"""
_FINISH = f"select procrastinate_finish_job_v1(id, %(status)s, %(delete)s) {_OWN}"
_AGAIN = f"select procrastinate_retry_job_v2(id, %(at)s, null, null, null) {_OWN}"
_ATTEMPT_LESS = """
update procrastinate_jobs set attempts = attempts - 1
 where id = %(id)s and status = 'doing' and (worker_id = %(worker)s or worker_id is null)
"""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
# What a worker takes: everything, what customers wait for, or the reading of documents.
Share = Literal["all", "answers", "documents"]

MAX_ATTEMPTS = 6

Work = Callable[Concatenate[JobContext, ...], Awaitable[None]]
Outcome = Literal["succeeded", "retried", "failed", "aborted"]


class _Retry(RetryStrategy):
    """Waits 2, 4, 8 … seconds: a part that restarts is back before the attempts are used up."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """At once, and however often it ran, for a job that was cut by its worker's end."""
        if isinstance(exception, JobAborted):
            return RetryDecision(retry_at=datetime.now(UTC))
        return super().get_retry_decision(exception=exception, job=job)


_RETRY = _Retry(max_attempts=MAX_ATTEMPTS, exponential_wait=2)


def job(blueprint: Blueprint, name: str, queue: str) -> Callable[[Work], Work]:
    """Declare a coroutine function as the job `name`: called with the job's context and its ids, by keyword, as UUIDs.

    What it raises is retried. A job that its worker has no more time for is handed back to the queue.
    """

    def declare(work: Work) -> Work:
        @wraps(work)
        async def run(context: JobContext, *, trace: str | None = None, **ids: str) -> None:
            # Without a trace (deferred by no request, or by a version that knew of none) it begins one.
            with _told(context, trace):
                try:
                    await work(context, **{key: UUID(value) for key, value in ids.items()})
                except BaseException:
                    # A cut job ends by its cancellation, or by an error that follows from it.
                    if context.abort_reason() is None:
                        raise
                    if context.abort_reason() is AbortReason.SHUTDOWN:
                        await _keep_attempts(context)
                    raise JobAborted from None

        # wraps() hides from the type checker that this one takes strings.
        declared: Callable[..., Awaitable[None]] = run
        blueprint.task(name=name, queue=queue, retry=_RETRY, pass_context=True)(declared)
        return work

    return declare


class _Ends(JobManager):
    """Writes how jobs ended, for as long as it takes: a job whose worker lives is one that nobody else puts back.

    `workers` are the ids of those that are alive here.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.workers: set[int] = set()

    async def register_worker(self) -> int:
        """Register a worker."""
        worker_id = await super().register_worker()
        self.workers.add(worker_id)
        return worker_id

    async def unregister_worker(self, worker_id: int) -> None:
        """Take a worker out again."""
        self.workers.discard(worker_id)
        await super().unregister_worker(worker_id)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Set the job's final state, or delete it."""
        await self._write(_FINISH, job, status=status.value, delete=delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Put the job back; it keeps its place, which no retry of ours changes."""
        await self._write(_AGAIN, job, at=retry_at or datetime.now(UTC))

    async def _write(self, query: str, job: Job, **values: Any) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self.connector.execute_query_async(query, id=job.id, worker=job.worker_id, **values)
            except ConnectorException as error:
                if pause == _FIRST_PAUSE_SECONDS:
                    reason = type(error.__cause__).__name__
                    logger.warning("the end of job %s could not be written yet: %s", job.id, reason)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return


class Queue:
    """Adds jobs, and hands the procrastinate app to the worker."""

    def __init__(self, address: DatabaseAddress, blueprints: Iterable[procrastinate.Blueprint] = ()) -> None:
        self.app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                pool_factory=_pool,
                conninfo=address.conninfo(),
                configure=partial(_set_up, address),
                min_size=1,
                max_size=8,
                # The pool doubles its wait up to this; a longer one would outlast the server's absence.
                reconnect_timeout=5,
            )
        )
        self._manager = self.app.job_manager = _Ends(self.app.connector)
        self._liveness = Liveness(address, self._manager.workers)
        for blueprint in blueprints:
            # Not add_tasks_from: it renames the blueprint's own tasks, so that it serves one app only.
            self.app.tasks.update(blueprint.tasks)

    async def defer(
        self,
        session: AsyncSession,
        task: str,
        queue: str,
        *,
        lock: str | None = None,
        delay_seconds: float = 0,
        ids: Mapping[str, UUID],
        once: ReturningInsert[Any] | None = None,
    ) -> bool:
        """Add a job in the caller's transaction: it exists if, and only if, that commits.

        `once` is an INSERT that may find its row there already: it runs in the same round trip, and there is a job
        only if it inserts. Returns whether there is.
        """
        trace = traceparent()
        arguments = {name: str(value) for name, value in ids.items()} | ({} if trace is None else {"trace": trace})
        values = {
            "job_queue": queue,
            "job_task": task,
            "job_lock": lock,
            "job_arguments": orjson.dumps(arguments).decode(),
            "job_at": datetime.now(UTC) + timedelta(seconds=delay_seconds) if delay_seconds else None,
        }
        added = select(_DEFER) if once is None else select(_DEFER).select_from(once.cte("added"))
        return await session.scalar(added, values) is not None

    async def defer_each(
        self, session: AsyncSession, task: str, queue: str, jobs: Sequence[tuple[str, Mapping[str, UUID]]]
    ) -> None:
        """`defer` for many jobs of a task, each with its lock and ids, without a round trip for each."""
        trace = traceparent()
        more = {} if trace is None else {"trace": trace}
        for start in range(0, len(jobs), _EACH):
            piece = jobs[start : start + _EACH]
            arguments = [{name: str(value) for name, value in ids.items()} | more for _, ids in piece]
            values = {
                "job_queue": queue,
                "job_task": task,
                "job_locks": [lock for lock, _ in piece],
                "job_arguments": [orjson.dumps(one).decode() for one in arguments],
            }
            await session.execute(_DEFER_EACH, values)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Let the others know at once when this process dies, and take over the jobs of those that do."""
        keeping = asyncio.create_task(self._liveness.keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def beat(self) -> None:
        """Tell the others that this process's workers are alive, also those that only wait for their last jobs."""
        await self.app.connector.execute_query_async(_BEAT, workers=list(self._manager.workers))

    async def release_stalled(self, seconds_since_heartbeat: float) -> int:
        """Put jobs of silent workers back into the queue; returns how many. Workers that ask at once share them."""
        rows = await self.app.connector.execute_query_all_async(_RELEASE, seconds=seconds_since_heartbeat)
        return len(rows)


def _pool(**arguments: Any) -> AsyncConnectionPool:
    """The queue's pool, which asks for an idle connection's health without a round trip."""
    return AsyncConnectionPool(**arguments | {"check": _refuse_closed})


async def _set_up(address: DatabaseAddress, connection: psycopg.AsyncConnection[Any]) -> None:
    await address.set_up(connection)
    # Everything that the queue does with its connections is one statement: a transaction would be two more each.
    await connection.set_autocommit(True)


async def _refuse_closed(connection: psycopg.AsyncConnection[Any]) -> None:
    if was_closed(connection):
        # The pool keeps one that does not know it yet.
        await connection.close()
        raise psycopg.OperationalError("the server closed the connection")


@contextmanager
def _told(context: JobContext, trace: str | None) -> Iterator[None]:
    """A job's block in its trace, with its end told; by its number, as what it is about may be erased."""
    span, started = begin(context.job.task_name, SpanKind.CONSUMER, trace), perf_counter()
    describe(span, queue=context.job.queue, job=context.job.id, attempt=context.job.attempts + 1)
    # Neither is taken back: what the queue says of the job afterwards, in the job's own task, belongs to it too.
    tracing.attach(set_span_in_context(span))
    current_job.set((context.job.task_name, context.job.id or 0))
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        _ended(context, span, perf_counter() - started, error)


def _ended(context: JobContext, span: Span, seconds: float, error: BaseException | None) -> None:
    """The one place that knows how every run of a job ended."""
    outcome = _outcome(context, error)
    (context.additional_context or {})["runtime"].metrics.job(context.job.task_name, outcome, seconds)
    describe(span, outcome=outcome)
    if error is not None:
        fail(span, error)
    span.end()
    level = {"failed": logging.ERROR, "retried": logging.WARNING}.get(outcome, logging.INFO)
    shown = error if outcome in ("failed", "retried") else None
    fields = {"outcome": outcome, "ms": round(seconds * 1000, 1), "attempt": context.job.attempts + 1}
    logger.log(level, "job %s %s", context.job.task_name, outcome, exc_info=shown, extra={"fields": fields})


def _outcome(context: JobContext, error: BaseException | None) -> Outcome:
    if error is None:
        return "succeeded"
    if isinstance(error, JobAborted):
        return "aborted"
    return "failed" if _RETRY.get_retry_decision(exception=error, job=context.job) is None else "retried"


async def _keep_attempts(context: JobContext) -> None:
    """Undo beforehand that the queue will count the cut run as an attempt."""
    try:
        await context.app.connector.execute_query_async(_ATTEMPT_LESS, id=context.job.id, worker=context.job.worker_id)
    except Exception:
        logger.warning("job %s loses an attempt: the database did not answer", context.job.id)
