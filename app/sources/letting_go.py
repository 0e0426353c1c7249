"""Pages that are gone: their documents stop answering in the transaction that notes it, and are erased by a job."""

from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.agents.service import forget_source
from app.models import Document, Source, SourcePage, now
from app.queue import PRIVACY, Queue
from app.sources.frontier import settle

_BATCH = 100


async def remove(session: AsyncSession, queue: Queue, page: SourcePage, reason: str, words: str | None = None) -> None:
    """Note that a page is gone, and let its document go."""
    settle(page, "removed", reason, words)
    await let_go(session, queue, page)


async def let_go(session: AsyncSession, queue: Queue, page: SourcePage) -> None:
    """Part a page from its document, which goes unless it was there before the source, or another source has it."""
    document_id, owned = page.document_id, page.owned
    page.document_id, page.owned, page.etag, page.last_modified = None, False, None, None
    if document_id is None:
        return
    others = select(SourcePage).where(SourcePage.document_id == document_id, SourcePage.id != page.id)
    heir = await session.scalar(others.order_by(SourcePage.id).limit(1).with_for_update())
    if heir is not None:
        heir.owned = heir.owned or owned
        return
    document = await session.get(Document, document_id, with_for_update=True, populate_existing=True)
    if owned and document is not None:
        document.deleted_at, document.source_hash = document.deleted_at or now(), None
        ids = {"tenant_id": page.tenant_id, "document_id": document_id}
        await queue.defer(session, "privacy:erase_document", PRIVACY, lock=f"erase:{document_id}", ids=ids)


async def silence(session: AsyncSession, source: Source) -> None:
    """Let the documents of a source that goes answer nothing from now on, but those that another one has, too."""
    other = aliased(SourcePage)
    mine = exists().where(SourcePage.source_id == source.id, SourcePage.document_id == Document.id, SourcePage.owned)
    theirs = exists().where(other.document_id == Document.id, other.source_id != source.id)
    going = update(Document).where(Document.deleted_at.is_(None), mine, ~theirs)
    await session.execute(going.values(deleted_at=now(), source_hash=None).execution_options(synchronize_session=False))


async def remove_some(session: AsyncSession, queue: Queue, source_id: UUID) -> bool:
    """Remove some pages of a source that goes, with their documents, and at last the source; whether that was all."""
    source = await session.get(Source, source_id, with_for_update=True)
    if source is None or source.status != "removing":
        return True
    query = select(SourcePage).where(SourcePage.source_id == source_id).order_by(SourcePage.id).limit(_BATCH)
    pages = list(await session.scalars(query))
    for page in pages:
        await let_go(session, queue, page)
    await session.flush()
    await session.execute(delete(SourcePage).where(SourcePage.id.in_([page.id for page in pages])))
    if len(pages) < _BATCH:
        await forget_source(session, source_id)
        await session.execute(delete(Source).where(Source.id == source_id))
        return True
    return False
