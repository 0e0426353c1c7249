"""Writing a document's vectors anew from its stored passages: into another store, or after another model came."""

from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.documents.reading import chunk_of, vectors_of
from app.models import Document, DocumentChunk, DocumentVersion
from app.queue import INGESTION, Queue, job
from app.runtime import Runtime, of_job
from ingestion.chunk import embedding_text

TASK = "documents:reindex"
blueprint = procrastinate.Blueprint()


async def answering(session: AsyncSession) -> dict[UUID, UUID]:
    """Every document that answers, and the version that does."""
    query = select(Document.id, Document.current_version_id).where(Document.deleted_at.is_(None))
    return {document: version for document, version in await session.execute(query) if version is not None}


async def queue_one(session: AsyncSession, queue: Queue, document_id: UUID) -> None:
    """Add a job for a document; it takes turns with other work on it."""
    ids = {"tenant_id": current_keyring().tenant_id, "document_id": document_id}
    await queue.defer(session, TASK, INGESTION, lock=f"document:{document_id}", ids=ids)


async def passages_stored(session: AsyncSession) -> int:
    """How many passages answer, which is how many vectors the store must have."""
    query = select(func.coalesce(func.sum(DocumentVersion.chunks), 0)).join(
        Document, Document.current_version_id == DocumentVersion.id
    )
    return int(await session.scalar(query.where(Document.deleted_at.is_(None))) or 0)


@job(blueprint, TASK, INGESTION)
async def reindex(context: JobContext, tenant_id: UUID, document_id: UUID) -> None:
    """Embed the stored passages of the version that answers, and replace what the store has of the document."""
    runtime = of_job(context)
    await runtime.pressure.relieved()
    async with runtime.vault.session(tenant_id) as session:
        document = await session.get(Document, document_id)
        version_id = None if document is None or document.deleted_at is not None else document.current_version_id
        if document is None or version_id is None:
            return
        title, index_key = document.title, current_keyring().index_key()
        query = select(DocumentChunk).where(DocumentChunk.version_id == version_id).order_by(DocumentChunk.position)
        passages = {row.id: embedding_text(title, chunk_of(row)) for row in await session.scalars(query)}
    vectors = await vectors_of(runtime, index_key, list(passages), list(passages.values()))
    await runtime.index.replace(tenant_id, document_id, version_id, vectors)
    await runtime.index.drop_other_versions(tenant_id, document_id, version_id)
    await _check(runtime, tenant_id, document_id, version_id)


async def _check(runtime: Runtime, tenant_id: UUID, document_id: UUID, version_id: UUID) -> None:
    """Mend what this run did if another one came between: it was slow, was held to be dead, and lost its lock."""
    async with runtime.vault.session(tenant_id) as session:
        document = await session.get(Document, document_id)
        current = None if document is None or document.deleted_at is not None else document.current_version_id
        if current not in (None, version_id):
            await queue_one(session, runtime.queue, document_id)
    if current is None:
        await runtime.index.delete(tenant_id, document_id)
