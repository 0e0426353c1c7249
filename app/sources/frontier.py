"""The pages of a run: which were met, which comes next, and what became of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.documents.service import newest
from app.egress.urls import Target
from app.models import Document, Source, SourcePage, now
from app.sources.scope import Scope

READ = ("added", "changed", "unchanged")
# Addresses that a run may meet for each page that it may read.
_SPARE = 10
_CHUNK = 500


@dataclass(frozen=True, slots=True, repr=False)
class Visit:
    """A page that is to be asked for now: the `first` of its source, an `anchor` if all others hang on it, or `known`
    with a document. `condition` (etag, last_modified) is for asking whether it has changed; `stored` is the version
    whose file is what it was then, and its media type.
    """

    tenant_id: UUID
    source_id: UUID
    run: int
    page_id: UUID
    target: Target
    depth: int
    first: bool
    anchor: bool
    known: bool
    follows: bool
    scope: Scope
    condition: tuple[str | None, str | None]
    stored: tuple[UUID, str | None] | None


def hash_of(url: str) -> bytes:
    """What a page of a source is found by."""
    return current_keyring().lookup("source page", url)


def scope_of(source: Source) -> Scope:
    """The pages that belong to a source now."""
    return Scope.of(source.kind, source.base or source.url, source.paths)


async def running(session: AsyncSession, source_id: UUID, run: int | None = None) -> Source | None:
    """A source whose run goes on, which nobody ends until the transaction does; None once it has ended."""
    source = await session.get(Source, source_id, with_for_update={"read": True}, populate_existing=True)
    on = source is not None and source.status == "running" and run in (None, source.run)
    return source if on else None


async def meet(session: AsyncSession, source: Source, urls: Iterable[str], depth: int) -> bool:
    """Queue the pages that this run has not met yet; False if there was no room for all of them."""
    hashes = {hash_of(url): url for url in urls}
    room = _SPARE * source.max_pages - await _met(session, source)
    names = list(hashes)
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        mine = SourcePage.source_id == source.id, SourcePage.url_hash.in_(chunk)
        found = {page.url_hash: page for page in await session.scalars(select(SourcePage).where(*mine))}
        fresh = [name for name in chunk if name not in found or found[name].run < source.run]
        for name in fresh[: max(room, 0)]:
            _queue(session, source, found.get(name), hashes[name], name, depth)
        await session.flush()
        room -= len(fresh)
    return room >= 0


def _queue(session: AsyncSession, source: Source, page: SourcePage | None, url: str, hashed: bytes, depth: int) -> None:
    if page is None:
        page = SourcePage(source_id=source.id, url=url, url_hash=hashed, depth=depth, run=source.run)
        session.add(page)
    queue_again(page, source, depth)


def queue_again(page: SourcePage, source: Source, depth: int) -> None:
    """Have a page that is known asked for in this run."""
    page.state, page.run, page.depth = "queued", source.run, depth
    page.reason = page.words = page.instead_hash = None


async def _met(session: AsyncSession, source: Source) -> int:
    mine = SourcePage.source_id == source.id, SourcePage.run == source.run
    return await session.scalar(select(func.count()).select_from(SourcePage).where(*mine)) or 0


async def find(session: AsyncSession, source: Source, url: str) -> SourcePage | None:
    """A page of a source by its address, as this run has met it."""
    mine = SourcePage.source_id == source.id, SourcePage.run == source.run, SourcePage.url_hash == hash_of(url)
    return await session.scalar(select(SourcePage).where(*mine))


async def next_visit(session: AsyncSession, source: Source) -> Visit | None:
    """The page to be asked for now: nearest to the start first, then those known for longest; None if that was all."""
    counts = (await states(session, [source]))[source.id]
    if sum(counts.get(state, 0) for state in READ) >= source.max_pages:
        return None
    mine = SourcePage.source_id == source.id, SourcePage.run == source.run, SourcePage.state == "queued"
    query = select(SourcePage).where(*mine).order_by(SourcePage.depth, SourcePage.id).limit(1)
    page = await session.scalar(query)
    return None if page is None else await _visit(session, source, page)


async def _visit(session: AsyncSession, source: Source, page: SourcePage) -> Visit:
    scope, stored = scope_of(source), await _stored(session, page)
    return Visit(
        tenant_id=source.tenant_id,
        source_id=source.id,
        run=source.run,
        page_id=page.id,
        target=scope.spelt(page.url) or scope.base,
        depth=page.depth,
        first=source.kind != "sitemap" and page.depth == 0,
        anchor=source.kind == "crawl" and page.depth == 0,
        known=page.document_id is not None,
        follows=source.kind == "crawl" and page.depth < source.depth,
        scope=scope,
        # Without its file nobody could tell where the unchanged page leads.
        condition=(None, None) if stored is None else (page.etag, page.last_modified),
        stored=stored,
    )


async def _stored(session: AsyncSession, page: SourcePage) -> tuple[UUID, str | None] | None:
    """The version that holds a page as it was fetched last, and its media type; None if there is no such file."""
    if page.document_id is None:
        return None
    document = await session.get(Document, page.document_id)
    if document is None or document.deleted_at is not None:
        return None
    version = await session.scalar(newest(document.id))
    if version is None or version.status == "failed" or not version.content_hash:
        return None
    return version.id, version.media_type


def settle(page: SourcePage, state: str, reason: str | None = None, words: str | None = None) -> None:
    """Note what became of a page."""
    page.state, page.reason, page.words, page.checked_at = state, reason, words, now()


async def states(session: AsyncSession, sources: Sequence[Source]) -> Mapping[UUID, Mapping[str, int]]:
    """How many pages of the last run of each source are in which state."""
    query = (
        select(SourcePage.source_id, SourcePage.state, func.count())
        .join(Source, Source.id == SourcePage.source_id)
        .where(SourcePage.source_id.in_([source.id for source in sources]), SourcePage.run == Source.run)
        .group_by(SourcePage.source_id, SourcePage.state)
    )
    found: dict[UUID, dict[str, int]] = {source.id: {} for source in sources}
    for source_id, state, count in await session.execute(query):
        found[source_id][state] = count
    return found
