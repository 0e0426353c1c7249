"""Rules and queries of sources; the work itself is a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.documents.service import newest_of
from app.errors import NotFound
from app.models import Document, DocumentVersion, Source, SourcePage
from app.models.sources import PageState, SourceKind
from app.queue import Queue
from app.sources import runs
from app.sources.frontier import states
from app.sources.letting_go import silence
from app.sources.scope import Scope
from app.sources.tasks import REMOVE, ask_for_run, defer
from app.web import Page


@dataclass(frozen=True, slots=True)
class Seen:
    """A source with its pages by state, how many documents it has, and how many of them could not be made."""

    source: Source
    states: Mapping[str, int]
    documents: int
    unreadable: int


async def add(session: AsyncSession, queue: Queue, url: str, kind: SourceKind, settings: Mapping[str, Any]) -> Source:
    """Take a source and have it read; the same address and kind again are the same source with other settings."""
    url_hash = current_keyring().lookup("source", f"{kind} {url}")
    await session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(url_hash[:8], signed=True))))
    source = await session.scalar(select(Source).where(Source.url_hash == url_hash).with_for_update())
    if source is None:
        # Not "pending", which would say that there is a job.
        source = Source(url=url, url_hash=url_hash, kind=kind, depth=0, max_pages=1, status="ready")
        session.add(source)
    _set(source, settings)
    await session.flush()
    await ask_for_run(session, queue, source)
    return source


async def get(session: AsyncSession, source_id: UUID, *, lock: bool = False) -> Source:
    """One source; raises NotFound."""
    query = select(Source).where(Source.id == source_id, Source.status != "removing")
    source = await session.scalar(query.with_for_update() if lock else query)
    if source is None:
        raise NotFound("There is no such source.")
    return source


async def list_sources(session: AsyncSession, page: Page) -> list[Source]:
    """A page of sources, newest first, and one more if there is one."""
    query = select(Source).where(Source.status != "removing").order_by(Source.id.desc()).limit(page.limit + 1)
    return list(await session.scalars(query if page.after is None else query.where(Source.id < page.after)))


async def update(session: AsyncSession, source_id: UUID, settings: Mapping[str, Any]) -> Source:
    """Change how far a source is followed, how often it is read, and the labels of its documents."""
    source = await get(session, source_id, lock=True)
    before = source.every_hours
    _set(source, settings)
    if source.every_hours != before and source.status not in ("pending", "running"):
        source.next_sync_at = runs.next_time(source)
    return source


async def sync(session: AsyncSession, queue: Queue, source_id: UUID) -> Source:
    """Have a source read now; one that is being read goes on."""
    source = await get(session, source_id, lock=True)
    await ask_for_run(session, queue, source)
    return source


async def cancel(session: AsyncSession, source_id: UUID) -> Source:
    """End a run after the page that is being read; what was read stays. One that has ended stays as it is."""
    source = await get(session, source_id, lock=True)
    if source.status in ("pending", "running"):
        await runs.cancel(session, source)
    return source


async def remove(session: AsyncSession, queue: Queue, source_id: UUID) -> Source:
    """Delete a source: its documents answer nothing from now on, and are erased."""
    source = await get(session, source_id, lock=True)
    source.status, source.url_hash, source.next_sync_at = "removing", None, None
    await silence(session, source)
    await defer(session, queue, REMOVE, source.tenant_id, source.id)
    return source


async def seen(session: AsyncSession, sources: Sequence[Source]) -> list[Seen]:
    """Sources with the counts of their pages."""
    counts, documents = await states(session, sources), await _documents(session, sources)
    return [Seen(source, counts[source.id], *documents.get(source.id, (0, 0))) for source in sources]


async def list_pages(
    session: AsyncSession, source_id: UUID, page: Page, state: PageState | None
) -> list[tuple[SourcePage, DocumentVersion | None]]:
    """Some pages of a source with the newest versions of their documents, and one more if there is one."""
    await get(session, source_id)
    query = (
        select(SourcePage, DocumentVersion)
        .outerjoin(DocumentVersion, DocumentVersion.id == newest_of(SourcePage.document_id))
        .where(SourcePage.source_id == source_id)
        .order_by(SourcePage.id.desc())
        .limit(page.limit + 1)
    )
    if page.after is not None:
        query = query.where(SourcePage.id < page.after)
    if state is not None:
        query = query.where(SourcePage.state == state)
    return [(row, version) for row, version in await session.execute(query)]


async def _documents(session: AsyncSession, sources: Sequence[Source]) -> dict[UUID, tuple[int, int]]:
    failed = func.count().filter(DocumentVersion.status == "failed", Document.current_version_id.is_(None))
    query = (
        select(SourcePage.source_id, func.count(), failed)
        .join(Document, Document.id == SourcePage.document_id)
        .join(DocumentVersion, DocumentVersion.id == newest_of(SourcePage.document_id))
        .where(SourcePage.source_id.in_([source.id for source in sources]), Document.deleted_at.is_(None))
        .group_by(SourcePage.source_id)
    )
    return {source_id: (documents, unreadable) for source_id, documents, unreadable in await session.execute(query)}


def _set(source: Source, settings: Mapping[str, Any]) -> None:
    paths = {name: settings[name] for name in ("include", "exclude") if name in settings}
    if paths:
        source.paths = (source.paths or {}) | paths
        # Raises what is wrong with them.
        Scope.of(source.kind, source.url, source.paths)
    for name in ("depth", "max_pages", "every_hours"):
        if name in settings:
            setattr(source, name, settings[name])
    if settings.get("labels") is not None:
        source.labels = settings["labels"]
