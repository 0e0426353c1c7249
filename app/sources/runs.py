"""One run of a source: how it begins, what it has still to see to, and how it ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Source, SourcePage, now
from app.runtime import Runtime
from app.sources.frontier import READ, meet, queue_again, running, scope_of, states
from app.sources.letting_go import remove
from app.sources.reasons import RunFailed, is_away
from app.sources.scope import Scope

_BATCH = 100
# So many pages in a row that the site did not answer are enough to leave it alone.
_PATIENCE = 5


async def begin(session: AsyncSession, source_id: UUID) -> Source | None:
    """The source whose run is to go on, begun if it was only asked for; None if there is nothing to do."""
    source = await session.get(Source, source_id, with_for_update=True)
    if source is None or source.status not in ("pending", "running"):
        return None
    if source.status == "pending":
        source.status, source.run, source.started_at = "running", source.run + 1, now()
        source.listed = source.whole = False
        source.base = source.error_code = source.error = source.finished_at = None
    if source.kind != "sitemap" and not source.listed:
        first = scope_of(source).spelt(source.url)
        await meet(session, source, [source.url if first is None else first.url], 0)
        source.listed = True
    return source


async def check_patience(session: AsyncSession, source: Source) -> None:
    """Raises RunFailed when the site did not answer several times in a row."""
    mine = SourcePage.source_id == source.id, SourcePage.run == source.run, SourcePage.state != "queued"
    query = select(SourcePage.reason).where(*mine, SourcePage.checked_at.is_not(None))
    last = list(await session.scalars(query.order_by(SourcePage.checked_at.desc()).limit(_PATIENCE)))
    if len(last) == _PATIENCE and all(map(is_away, last)):
        raise RunFailed("site_down")


async def fail(runtime: Runtime, tenant_id: UUID, source_id: UUID, error: RunFailed) -> None:
    """End a run that cannot go on: nothing is removed, and it is tried again on its schedule."""
    async with runtime.vault.session(tenant_id) as session:
        source = await session.get(Source, source_id, with_for_update=True)
        if source is None or source.status not in ("pending", "running"):
            return
        await _drop_queued(session, source, "not_asked")
        end(source, "failed")
        source.error_code, source.error = error.code, error.message


def end(source: Source, status: str) -> None:
    """Note how a run ended, and when the next one is due."""
    source.status, source.finished_at = status, now()
    source.next_sync_at = next_time(source)


def next_time(source: Source) -> datetime | None:
    """When a source is read again, as its schedule says."""
    since = source.finished_at or now()
    return None if source.every_hours is None else since + timedelta(hours=source.every_hours)


async def finish(runtime: Runtime, tenant_id: UUID, source_id: UUID, run: int) -> bool:
    """Do some of what is left when every page was asked for; True once the run has ended.

    Pages with a document that this run did not meet are asked for by themselves, or are gone if the sitemap says so.
    """
    async with runtime.vault.session(tenant_id) as session:
        source = await running(session, source_id, run)
        if source is None:
            return True
        counts = (await states(session, [source]))[source.id]
        count = sum(counts.get(state, 0) for state in READ)
        full = count >= source.max_pages
        if count + counts.get("removed", 0) == 0:
            raise RunFailed("nothing_found")
        if not full and source.kind == "crawl" and await _ask_for_unmet(session, source):
            return False
        if await _remove_some(runtime, session, source, full):
            return False
        await _drop_queued(session, source, "page_limit")
        gone = SourcePage.source_id == source.id, SourcePage.run < run, SourcePage.document_id.is_(None)
        await session.execute(delete(SourcePage).where(*gone))
    return await _close(runtime, tenant_id, source_id, run)


async def _close(runtime: Runtime, tenant_id: UUID, source_id: UUID, run: int) -> bool:
    async with runtime.vault.session(tenant_id) as session:
        source = await session.get(Source, source_id, with_for_update=True)
        if source is not None and source.status == "running" and source.run == run:
            end(source, "ready")
    return True


async def _ask_for_unmet(session: AsyncSession, source: Source) -> bool:
    """Queue pages that no link led to any more; whether there are any."""
    found = [page for page in await _unmet(session, source) if not _left_out(source, page)]
    for page in found:
        # Nearer to the start than all others, its links would be followed again.
        queue_again(page, source, source.depth + 1)
    return bool(found)


def _left_out(source: Source, page: SourcePage) -> bool:
    """Whether the tenant's own paths leave a page out; where the start page leads today has no say in that."""
    scope = Scope.of(source.kind, source.url, source.paths)
    target = scope.spelt(page.url)
    return target is not None and not scope.has_path(target)


async def _unmet(session: AsyncSession, source: Source) -> Sequence[SourcePage]:
    mine = SourcePage.source_id == source.id, SourcePage.run < source.run, SourcePage.document_id.is_not(None)
    query = select(SourcePage).where(*mine).order_by(SourcePage.id).limit(_BATCH)
    return (await session.scalars(query.with_for_update())).all()


async def _remove_some(runtime: Runtime, session: AsyncSession, source: Source, full: bool) -> bool:
    """Remove some pages that this run found to be gone; whether there may be more."""
    doubtful = await _doubtful(session, source)
    gone = [(page, reason) for page in doubtful if (reason := _why_gone(source, page, full))][:_BATCH]
    replaced = await _replaced(session, source)
    for page, reason in (*gone, *replaced):
        page.run = source.run
        await remove(session, runtime.queue, page, reason)
        runtime.metrics.source_page("removed")
    return bool(gone or replaced)


async def _doubtful(session: AsyncSession, source: Source) -> Sequence[SourcePage]:
    """Pages with a document that this run did not read: not met, or met beyond what it may read."""
    unread = or_(SourcePage.run < source.run, SourcePage.state == "queued")
    mine = SourcePage.source_id == source.id, unread, SourcePage.document_id.is_not(None)
    query = select(SourcePage).where(*mine).order_by(SourcePage.id).limit(source.max_pages + _BATCH)
    return (await session.scalars(query.with_for_update())).all()


def _why_gone(source: Source, page: SourcePage, full: bool) -> str | None:
    if _left_out(source, page):
        return "excluded"
    if source.kind == "sitemap" and page.run < source.run:
        return "not_listed" if source.whole else None
    return "page_limit" if full else None


async def _replaced(session: AsyncSession, source: Source) -> list[tuple[SourcePage, str]]:
    """Pages that sent readers on to one that was read in their place."""
    mine = SourcePage.source_id == source.id, SourcePage.run == source.run
    left = (*mine, SourcePage.document_id.is_not(None), SourcePage.instead_hash.is_not(None))
    found: list[tuple[SourcePage, str]] = []
    for page in (await session.scalars(select(SourcePage).where(*left).limit(_BATCH).with_for_update())).all():
        for_it = (*mine, SourcePage.url_hash == page.instead_hash, SourcePage.state.in_(READ))
        if page.reason and await session.scalar(select(SourcePage.id).where(*for_it)) is not None:
            found.append((page, page.reason))
    return found


async def _drop_queued(session: AsyncSession, source: Source, reason: str) -> None:
    queued = SourcePage.source_id == source.id, SourcePage.run == source.run, SourcePage.state == "queued"
    await session.execute(
        update(SourcePage)
        .where(*queued)
        .values(state="skipped", reason=reason)
        .execution_options(synchronize_session=False)
    )


async def cancel(session: AsyncSession, source: Source) -> None:
    """End a run where it is; what was read stays."""
    await _drop_queued(session, source, "cancelled")
    end(source, "cancelled")
