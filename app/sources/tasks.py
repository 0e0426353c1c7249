"""The jobs of sources: a run, slice by slice, and the removal of one; and the round that finds what is due."""

import asyncio
import logging
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.egress.urls import Target
from app.health import Stopping
from app.models import Source, now
from app.queue import MAX_ATTEMPTS, SOURCES, Queue, job
from app.runtime import Runtime, of_job
from app.sources.frontier import Visit, next_visit, running, scope_of
from app.sources.letting_go import remove_some
from app.sources.reasons import RunFailed
from app.sources.robots import Robots, robots_of
from app.sources.runs import begin, check_patience, fail, finish
from app.sources.sitemaps import list_pages
from app.sources.visits import leave, visit
from app.storage import StorageUnavailable

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()

SYNC, REMOVE = "sources:sync", "sources:remove"
# Then others that wait have their turn.
SLICE_SECONDS = 60.0
_AWAY_SECONDS = 15.0
_DUE = text("select tenant_id, source_id from platform.sources_due()")
_HAS_JOB = text(
    "select 1 from queue.procrastinate_jobs where task_name = :task and status in ('todo', 'doing')"
    " and args ->> 'source_id' = :source limit 1"
)


@job(blueprint, SYNC, SOURCES)
async def sync(context: JobContext, tenant_id: UUID, source_id: UUID) -> None:
    """Go on with a source's run for a while, page by page; what was read is not asked for again."""
    runtime = of_job(context)
    try:
        if not await _slice(runtime, tenant_id, source_id):
            await _hand_on(runtime, tenant_id, source_id)
    except Stopping:
        await _hand_on(runtime, tenant_id, source_id)
    except StorageUnavailable:
        logger.warning("a source waits for a file store that does not answer")
        await _hand_on(runtime, tenant_id, source_id, _AWAY_SECONDS)
    except RunFailed as error:
        await fail(runtime, tenant_id, source_id, error)
    except Exception:
        if context.job.attempts < MAX_ATTEMPTS - 1:
            raise
        logger.exception("a source could not be read")
        words = "Something went wrong on our side; it is tried again on its schedule."
        await fail(runtime, tenant_id, source_id, RunFailed("internal_error", words))


@job(blueprint, REMOVE, SOURCES)
async def remove(context: JobContext, tenant_id: UUID, source_id: UUID) -> None:
    """Remove what is left of a source that was deleted, and have its documents erased."""
    runtime, done = of_job(context), False
    while not done:
        async with runtime.vault.session(tenant_id) as session:
            done = await remove_some(session, runtime.queue, source_id)


async def _slice(runtime: Runtime, tenant_id: UUID, source_id: UUID) -> bool:
    """Work for one slice; whether the run has ended."""
    clock = asyncio.get_running_loop().time
    until = clock() + SLICE_SECONDS
    async with runtime.vault.session(tenant_id) as session:
        source = await begin(session, source_id)
        if source is None:
            return True
        run, sitemap = source.run, source.kind == "sitemap"
        base = scope_of(source).base
    sites = _Sites(runtime)
    if sitemap:
        await list_pages(runtime, tenant_id, source_id, run, await sites.robots(base))
    while clock() < until:
        await runtime.pressure.relieved()
        async with runtime.vault.session(tenant_id) as session:
            source = await running(session, source_id, run)
            if source is None:
                return True
            await check_patience(session, source)
            work = await next_visit(session, source)
        if work is not None:
            await _visit(runtime, work, sites)
        elif await finish(runtime, tenant_id, source_id, run):
            return True
    return False


async def _visit(runtime: Runtime, work: Visit, sites: "_Sites") -> None:
    try:
        robots = await sites.robots(work.target)
    except RunFailed as error:
        if work.target.host == work.scope.base.host:
            raise
        # Left from when the site had another name.
        await leave(runtime, work, error.code, error.message, "failed")
    else:
        await visit(runtime, work, robots)


class _Sites:
    """What sites let robots read, each asked once in a slice."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[tuple[str, str], Robots] = {}

    async def robots(self, target: Target) -> Robots:
        """The rules of a page's site; raises RunFailed."""
        key = (target.scheme, target.authority)
        if key not in self._known:
            self._known[key] = await robots_of(self._runtime, target)
        return self._known[key]


async def _hand_on(runtime: Runtime, tenant_id: UUID, source_id: UUID, delay_seconds: float = 0) -> None:
    """Leave the rest of a run to another job, behind those that wait."""
    async with runtime.vault.session(tenant_id) as session:
        await defer(session, runtime.queue, SYNC, tenant_id, source_id, delay_seconds)


async def defer(
    session: AsyncSession, queue: Queue, task: str, tenant_id: UUID, source_id: UUID, delay_seconds: float = 0
) -> None:
    """Add a job for a source; it takes turns with the others of that source."""
    ids = {"tenant_id": tenant_id, "source_id": source_id}
    await queue.defer(session, task, SOURCES, lock=f"source:{source_id}", delay_seconds=delay_seconds, ids=ids)


async def ask_for_run(session: AsyncSession, queue: Queue, source: Source) -> None:
    """Have a source read, unless that is being done already; the caller holds its row."""
    if source.status not in ("pending", "running"):
        source.status, source.next_sync_at = "pending", None
        await defer(session, queue, SYNC, source.tenant_id, source.id)


async def queue_due(runtime: Runtime) -> None:
    """Add a job for each source whose time has come, and for those that lost theirs."""
    async with runtime.db.session() as session:
        due = (await session.execute(_DUE)).all()
    for tenant_id, source_id in due:
        try:
            await _queue(runtime, tenant_id, source_id)
        except Exception:
            # One tenant's trouble must not keep the others waiting.
            logger.exception("a source that is due could not be queued")


async def _queue(runtime: Runtime, tenant_id: UUID, source_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        query = select(Source).where(Source.id == source_id).with_for_update(skip_locked=True)
        source = await session.scalar(query)
        if source is None:
            return
        if source.status in ("pending", "running", "removing"):
            task = REMOVE if source.status == "removing" else SYNC
            if await session.scalar(_HAS_JOB, {"task": task, "source": str(source_id)}) is None:
                await defer(session, runtime.queue, task, tenant_id, source_id)
        elif source.next_sync_at is not None and source.next_sync_at <= now():
            await ask_for_run(session, runtime.queue, source)
