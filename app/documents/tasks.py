"""Reading a version into passages and vectors."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from uuid import UUID, uuid5

import procrastinate
from procrastinate import JobContext
from sqlalchemy import delete, select

from app.crypto import current_keyring
from app.documents.pages import fetch_version, shown, take_title
from app.documents.reindex import queue_one
from app.documents.service import latest_version, opened_file
from app.egress import FetchError
from app.health import Stopping
from app.models import Document, DocumentChunk, DocumentVersion, now
from app.queue import INGESTION, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job
from app.storage import StorageUnavailable
from ingestion.chunk import embedding_text
from ingestion.pipeline import ingest as read
from ingestion.types import Chunk, IngestedDocument, IngestionError, Limits
from vectorstore.index import ChunkVectors, VectorStoreUnavailable
from vectorstore.sparse import SparseEncoder

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()

# Texts embedded before it is asked whether customers wait; about a second's work.
_BATCH = 64
_AWAY_SECONDS = 15.0
_AWAY = (VectorStoreUnavailable, StorageUnavailable)


@dataclass(frozen=True, slots=True, repr=False)
class _Work:
    """A version to be read, once no transaction is open; `to_fetch` until its page at `url` was stored."""

    tenant_id: UUID
    document_id: UUID
    version_id: UUID
    to_fetch: bool
    url: str | None
    file_name: str | None
    media_type: str | None
    title: str | None
    index_key: bytes


@job(blueprint, "documents:ingest", INGESTION)
async def ingest(context: JobContext, tenant_id: UUID, version_id: UUID) -> None:
    """Parse, split, embed and store a version; then let the one before it go."""
    runtime = of_job(context)
    try:
        await runtime.pressure.relieved()
        await _read_or_fail(runtime, context, tenant_id, version_id)
        # Also what an earlier run of this job did not get to: nothing of a version that is over may stay.
        await _clean_up(runtime, tenant_id, version_id)
    except Stopping:
        await _hand_back(runtime, context, tenant_id, version_id)
    except _AWAY:
        # However long a server is away, that is not the document's fault.
        logger.warning("a document waits for a server that does not answer")
        await _hand_back(runtime, context, tenant_id, version_id, delay_seconds=_AWAY_SECONDS)


async def _read_or_fail(runtime: Runtime, context: JobContext, tenant_id: UUID, version_id: UUID) -> None:
    try:
        work = await _begin(runtime, tenant_id, version_id)
        if work is not None:
            await _ingest(runtime, work)
    except (Stopping, *_AWAY):
        raise
    except IngestionError as error:
        await _fail(runtime, tenant_id, version_id, error.code, str(error))
    except FetchError as error:
        if error.retryable and context.job.attempts < MAX_ATTEMPTS - 1:
            raise
        await _fail(runtime, tenant_id, version_id, error.code, error.message)
    except Exception:
        if context.job.attempts < MAX_ATTEMPTS - 1:
            raise
        logger.exception("a document could not be ingested")
        words = "Something went wrong on our side; upload it again."
        await _fail(runtime, tenant_id, version_id, "internal_error", words)


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
        return _Work(
            tenant_id=tenant_id,
            document_id=document.id,
            version_id=version_id,
            to_fetch=version.url is not None and not version.content_hash,
            url=version.url,
            file_name=version.file_name,
            media_type=version.media_type,
            title=version.title or (document.title if document.title_given else None),
            index_key=current_keyring().index_key(),
        )


async def _hand_back(
    runtime: Runtime, context: JobContext, tenant_id: UUID, version_id: UUID, *, delay_seconds: float = 0
) -> None:
    """Leave the version to the next worker, by a new job: a retry would be counted as an attempt."""
    ids = {"tenant_id": tenant_id, "version_id": version_id}
    async with runtime.vault.session(tenant_id) as session:
        await runtime.queue.defer(
            session, "documents:ingest", INGESTION, lock=context.job.lock, delay_seconds=delay_seconds, ids=ids
        )
    runtime.metrics.document("handed_back")


async def _ingest(runtime: Runtime, work: _Work) -> None:
    started = perf_counter()
    found = await _bytes(runtime, work)
    if found is None:
        return
    data, media_type = found
    settings = runtime.settings
    document = await read(
        data,
        filename=work.file_name,
        media_type=media_type,
        parser=runtime.parser,
        tokenizer=runtime.embedder.tokenize,
        limits=Limits(max_bytes=settings.max_document_bytes, seconds=settings.parse_seconds),
        title=work.title,
    )
    title = document.title or work.file_name or (shown(work.url) if work.url else "")
    # Derived, so that a second run of this job writes over what the first one left.
    ids = [uuid5(work.version_id, str(chunk.position)) for chunk in document.chunks]
    vectors = await _vectors(runtime, work, title, document.chunks, ids)
    await runtime.index.replace(work.tenant_id, work.document_id, work.version_id, vectors)
    if not await _publish(runtime, work, title, document, ids):
        await runtime.index.delete(work.tenant_id, work.document_id)
        runtime.metrics.document("dropped")
        return
    runtime.metrics.document("ready", perf_counter() - started)


async def _bytes(runtime: Runtime, work: _Work) -> tuple[bytes, str | None] | None:
    """What is to be read and its media type; None for a page that has not changed."""
    if work.to_fetch and work.url is not None:
        page = await fetch_version(runtime, work.tenant_id, work.version_id, work.url)
        return None if page is None else (page.data, page.media_type)
    stored = await runtime.storage.get(work.tenant_id, work.version_id)
    # With the keys of now, not those of when the work began: the file may have been sealed anew since.
    async with runtime.vault.session(work.tenant_id):
        return opened_file(work.version_id, stored), work.media_type


async def _vectors(
    runtime: Runtime, work: _Work, title: str, chunks: Sequence[Chunk], ids: Sequence[UUID]
) -> list[ChunkVectors]:
    texts = [embedding_text(title, chunk) for chunk in chunks]
    dense: list[list[float]] = []
    for start in range(0, len(texts), _BATCH):
        await runtime.pressure.relieved()
        dense += await runtime.embedder.embed(texts[start : start + _BATCH])
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
        take_title(row, version)
    return True


async def _clean_up(runtime: Runtime, tenant_id: UUID, version_id: UUID) -> None:
    """Take away what a version that is over leaves: those before a ready one; a failed one's file and vectors."""
    async with runtime.vault.session(tenant_id) as session:
        version = await session.get(DocumentVersion, version_id)
        document = None if version is None else await session.get(Document, version.document_id)
    if version is None or document is None or document.deleted_at is not None:
        return
    if version.status == "failed":
        await runtime.storage.delete(tenant_id, version_id)
    elif version.status != "ready" or document.current_version_id != version_id:
        return
    if document.current_version_id is None:
        await runtime.index.delete(tenant_id, document.id)
        return
    await runtime.index.drop_other_versions(tenant_id, document.id, document.current_version_id)
    if await runtime.index.count(tenant_id, document.id) < (version.chunks or 0):
        # Another run, which was slow and held to be dead, took them away again.
        async with runtime.vault.session(tenant_id) as session:
            await queue_one(session, runtime.queue, document.id)
    await _forget_versions_before(runtime, tenant_id, document.id, document.current_version_id)


async def _forget_versions_before(runtime: Runtime, tenant_id: UUID, document_id: UUID, version_id: UUID) -> None:
    """Older versions stopped answering; a version that was uploaded meanwhile has its own job and stays."""
    old = (DocumentVersion.document_id == document_id, DocumentVersion.id < version_id)
    async with runtime.vault.session(tenant_id) as session:
        versions = list(await session.scalars(select(DocumentVersion.id).where(*old)))
    for version in versions:
        await runtime.storage.delete(tenant_id, version)
    async with runtime.vault.session(tenant_id) as session:
        await session.execute(delete(DocumentVersion).where(*old))


async def _fail(runtime: Runtime, tenant_id: UUID, version_id: UUID, code: str, words: str) -> None:
    """Say why a version failed; one that answers already did not."""
    async with runtime.vault.session(tenant_id) as session:
        version = await session.get(DocumentVersion, version_id)
        if version is None or version.status == "ready":
            return
        version.status, version.error_code, version.error = "failed", code, words
        version.finished_at = now()
    runtime.metrics.document("failed")
