"""Writing vectors anew from stored passages: into another store, or for another embedding model."""

import logging
from contextlib import suppress
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.documents import moving
from app.documents.collections import REINDEX, Vectors, queue_each, queue_one
from app.documents.reading import chunk_of
from app.errors import NotFound
from app.health import Stopping
from app.models import Document, DocumentChunk, DocumentVersion
from app.queue import INGESTION, job
from app.runtime import Runtime, of_job
from ingestion.chunk import embedding_text
from vectorstore.embedding import EmbeddingsUnavailable
from vectorstore.index import VectorStoreUnavailable

logger = logging.getLogger(__name__)
REBUILD, REBUILD_OTHERS = "documents:rebuild", "documents:rebuild_others"
blueprint = procrastinate.Blueprint()
_OTHER_MODEL_SECONDS, _MOST_OTHER_MODEL_SECONDS = 15.0, 600.0
_AWAY_SECONDS = 15.0


async def answering(session: AsyncSession) -> dict[UUID, UUID]:
    """Every document that answers, and the version that does."""
    query = select(Document.id, Document.current_version_id).where(Document.deleted_at.is_(None))
    return {document: version for document, version in await session.execute(query) if version is not None}


@job(blueprint, REBUILD, INGESTION)
async def rebuild(context: JobContext, tenant_id: UUID) -> None:
    """Begin what `jobx reindex` asks for, in the process that has the store."""
    runtime = of_job(context)
    collection_id, moves = await moving.begin(runtime, tenant_id)
    async with runtime.vault.session(tenant_id) as session:
        wanted = await (moving.missing(session, collection_id) if moves else answering(session))
        await queue_each(session, runtime.queue, REINDEX, wanted)
    await moving.finish(runtime, tenant_id)


@job(blueprint, REBUILD_OTHERS, INGESTION)
async def rebuild_others(context: JobContext) -> None:
    """`rebuild` for each tenant whose vectors are of another embedding model than this process has."""
    runtime = of_job(context)
    for tenant_id in await moving.tenants_of_other_models(runtime.db, runtime.embedder.fingerprint):
        # One that is gone meanwhile must not keep the others from it.
        with suppress(NotFound):
            async with runtime.vault.session(tenant_id) as session:
                await runtime.queue.defer(session, REBUILD, INGESTION, ids={"tenant_id": tenant_id})


@job(blueprint, moving.DROP, INGESTION)
async def drop_collection(context: JobContext, tenant_id: UUID, collection_id: UUID) -> None:
    """Remove a collection that another one took the place of."""
    runtime = of_job(context)
    try:
        await moving.drop(runtime, tenant_id, collection_id)
    except VectorStoreUnavailable:
        # Nobody else drops it: a retry would be counted as an attempt, and the last one leaves it for good.
        logger.warning("a collection that is over waits for a vector store that does not answer")
        async with runtime.vault.session(tenant_id) as session:
            await moving.queue_drop(session, runtime.queue, collection_id, delay_seconds=_AWAY_SECONDS)


@job(blueprint, REINDEX, INGESTION)
async def reindex(context: JobContext, tenant_id: UUID, document_id: UUID) -> None:
    """Embed the stored passages of the version that answers, and replace what the store has of the document."""
    runtime = of_job(context)
    # By a new job: a retry would be counted as an attempt, and after the last one nobody writes them any more.
    try:
        await runtime.pressure.relieved()
        await _write(runtime, tenant_id, document_id)
    except Stopping:
        async with runtime.vault.session(tenant_id) as session:
            await queue_one(session, runtime.queue, document_id)
    except (VectorStoreUnavailable, EmbeddingsUnavailable):
        logger.warning("vectors wait to be written for a server that does not answer")
        async with runtime.vault.session(tenant_id) as session:
            await queue_one(session, runtime.queue, document_id, delay_seconds=_AWAY_SECONDS)


async def _write(runtime: Runtime, tenant_id: UUID, document_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        document = await session.get(Document, document_id)
        version_id = None if document is None or document.deleted_at is not None else document.current_version_id
        if document is None or version_id is None:
            return
        vectors, age = await moving.target(session, runtime)
        if vectors.model is None:
            # A worker that has the model may come; the longer none does, the less often it is looked for.
            delay = min(max(age.total_seconds(), _OTHER_MODEL_SECONDS), _MOST_OTHER_MODEL_SECONDS)
            await queue_one(session, runtime.queue, document_id, delay_seconds=delay)
            return
        title = document.title
        query = select(DocumentChunk).where(DocumentChunk.version_id == version_id).order_by(DocumentChunk.position)
        passages = {row.id: embedding_text(title, chunk_of(row)) for row in await session.scalars(query)}
    made = await vectors.made_of(list(passages), list(passages.values()))
    await vectors.index.replace(tenant_id, document_id, version_id, made)
    await vectors.index.drop_other_versions(tenant_id, document_id, version_id)
    await _note(runtime, tenant_id, document_id, version_id, vectors)
    await moving.finish(runtime, tenant_id)


async def _note(runtime: Runtime, tenant_id: UUID, document_id: UUID, version_id: UUID, vectors: Vectors) -> None:
    """Note where the version's vectors are; mend what this run did if another one came between.

    It was slow, was held to be dead, and lost its lock.
    """
    async with runtime.vault.session(tenant_id) as session:
        document = await session.get(Document, document_id, with_for_update=True)
        current = None if document is None or document.deleted_at is not None else document.current_version_id
        if current == version_id:
            (await session.get_one(DocumentVersion, version_id)).collection_id = vectors.id
        elif current is not None:
            await queue_one(session, runtime.queue, document_id)
    if current is None:
        await vectors.index.delete(tenant_id, document_id)
