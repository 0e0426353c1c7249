"""Reading a version into passages and vectors, and removing a document altogether."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import procrastinate
from procrastinate import JobContext
from sqlalchemy import delete, select

from app.crypto import current_keyring
from app.documents.service import latest_version, opened_file
from app.models import Document, DocumentChunk, DocumentVersion, now
from app.queue import INGESTION, MAINTENANCE, MAX_ATTEMPTS, RETRY
from app.runtime import Runtime, of_job
from ingestion.chunk import embedding_text
from ingestion.pipeline import ingest as read
from ingestion.types import Chunk, IngestedDocument, IngestionError, Limits
from vectorstore.index import ChunkVectors
from vectorstore.sparse import SparseEncoder

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()


@dataclass(frozen=True, slots=True)
class _Work:
    """A version to be read, once no transaction is open."""

    tenant_id: UUID
    document_id: UUID
    version_id: UUID
    data: bytes
    file_name: str | None
    media_type: str | None
    title: str | None
    index_key: bytes


@blueprint.task(name="documents:ingest", queue=INGESTION, retry=RETRY, pass_context=True)
async def ingest(context: JobContext, tenant_id: str, version_id: str) -> None:
    """Parse, split, embed and store a version; then let the one before it go."""
    runtime = of_job(context)
    tenant, version = UUID(tenant_id), UUID(version_id)
    try:
        work = await _begin(runtime, tenant, version)
        if work is not None:
            await _ingest(runtime, work)
    except IngestionError as error:
        await _fail(runtime, tenant, version, error.code, str(error))
    except Exception:
        if context.job.attempts < MAX_ATTEMPTS - 1:
            raise
        logger.exception("version %s could not be ingested", version_id)
        await _fail(runtime, tenant, version, "internal_error", "Something went wrong on our side; upload it again.")


@blueprint.task(name="documents:remove", queue=MAINTENANCE, retry=RETRY, pass_context=True)
async def remove(context: JobContext, tenant_id: str, document_id: str) -> None:
    """Remove a deleted document's vectors (checked), files and rows."""
    runtime = of_job(context)
    tenant, document = UUID(tenant_id), UUID(document_id)
    await runtime.index.delete(tenant, document)
    async with runtime.vault.session(tenant) as session:
        versions = list(
            await session.scalars(select(DocumentVersion.id).where(DocumentVersion.document_id == document))
        )
    for version in versions:
        await runtime.storage.delete(tenant, version)
    async with runtime.vault.session(tenant) as session:
        await session.execute(delete(Document).where(Document.id == document, Document.deleted_at.is_not(None)))


async def _begin(runtime: Runtime, tenant_id: UUID, version_id: UUID) -> _Work | None:
    async with runtime.vault.session(tenant_id) as session:
        version = await session.get(DocumentVersion, version_id)
        if version is None or version.status in ("ready", "failed"):
            return None
        document = await session.get_one(Document, version.document_id)
        if document.deleted_at is not None:
            return None
        if (await latest_version(session, document.id)).id != version_id:
            raise IngestionError("superseded", "A newer version was uploaded before this one was read.")
        version.status = "running"
        stored = await runtime.storage.get(tenant_id, version_id)
        return _Work(
            tenant_id=tenant_id,
            document_id=document.id,
            version_id=version_id,
            data=opened_file(version_id, stored),
            file_name=version.file_name,
            media_type=version.media_type,
            title=document.title if document.title_given else None,
            index_key=current_keyring().index_key(),
        )


async def _ingest(runtime: Runtime, work: _Work) -> None:
    settings = runtime.settings
    document = await read(
        work.data,
        filename=work.file_name,
        media_type=work.media_type,
        parser=runtime.parser,
        tokenizer=runtime.embedder.tokenize,
        limits=Limits(max_bytes=settings.max_document_bytes, seconds=settings.parse_seconds),
        title=work.title,
    )
    title = document.title or work.file_name or ""
    # Derived, so that a second run of this job writes over what the first one left.
    ids = [uuid5(work.version_id, str(chunk.position)) for chunk in document.chunks]
    vectors = await _vectors(runtime, work, title, document.chunks, ids)
    await runtime.index.replace(work.tenant_id, work.document_id, work.version_id, vectors)
    if await _publish(runtime, work, title, document, ids):
        await runtime.index.drop_other_versions(work.tenant_id, work.document_id, work.version_id)
        await _forget_other_versions(runtime, work)
    else:
        await runtime.index.delete(work.tenant_id, work.document_id)


async def _vectors(
    runtime: Runtime, work: _Work, title: str, chunks: Sequence[Chunk], ids: Sequence[UUID]
) -> list[ChunkVectors]:
    texts = [embedding_text(title, chunk) for chunk in chunks]
    dense = await runtime.embedder.embed(texts)
    encoder = SparseEncoder(work.index_key)
    sparse = await asyncio.to_thread(lambda: [encoder.encode_document(text) for text in texts])
    return [ChunkVectors(*values) for values in zip(ids, dense, sparse, strict=True)]


async def _publish(runtime: Runtime, work: _Work, title: str, document: IngestedDocument, ids: Sequence[UUID]) -> bool:
    """Make the version the one that answers; False when the document was deleted meanwhile."""
    async with runtime.vault.session(work.tenant_id) as session:
        row = await session.scalar(select(Document).where(Document.id == work.document_id).with_for_update())
        if row is None or row.deleted_at is not None:
            return False
        for chunk_id, chunk in zip(ids, document.chunks, strict=True):
            session.add(
                DocumentChunk(
                    id=chunk_id,
                    document_id=work.document_id,
                    version_id=work.version_id,
                    position=chunk.position,
                    page=chunk.page,
                    heading=" > ".join(chunk.heading),
                    text=chunk.text,
                )
            )
        version = await session.get_one(DocumentVersion, work.version_id)
        version.status, version.finished_at = "ready", now()
        version.pages, version.chunks = document.pages, len(document.chunks)
        row.current_version_id = work.version_id
        row.title = title
    return True


async def _forget_other_versions(runtime: Runtime, work: _Work) -> None:
    """Older versions stopped answering; a version that was uploaded meanwhile has its own job and stays."""
    old = (DocumentVersion.document_id == work.document_id, DocumentVersion.id < work.version_id)
    async with runtime.vault.session(work.tenant_id) as session:
        versions = list(await session.scalars(select(DocumentVersion.id).where(*old)))
    for version in versions:
        await runtime.storage.delete(work.tenant_id, version)
    async with runtime.vault.session(work.tenant_id) as session:
        await session.execute(delete(DocumentVersion).where(*old))


async def _fail(runtime: Runtime, tenant_id: UUID, version_id: UUID, code: str, words: str) -> None:
    """Say why a version failed, and take away what it may have left: its file, and vectors that never answered."""
    async with runtime.vault.session(tenant_id) as session:
        version = await session.get(DocumentVersion, version_id)
        if version is None:
            return
        version.status, version.error_code, version.error = "failed", code, words
        version.finished_at = now()
        document = await session.get_one(Document, version.document_id)
    await runtime.storage.delete(tenant_id, version_id)
    if document.current_version_id is not None:
        await runtime.index.drop_other_versions(tenant_id, document.id, document.current_version_id)
    else:
        await runtime.index.delete(tenant_id, document.id)
