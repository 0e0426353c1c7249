"""Reading a version into passages and vectors."""

import logging
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy import delete, select

from app.documents.collections import in_force, indexes, queue_one
from app.documents.reading import ReadingOver, Work, read_version
from app.documents.service import latest_version
from app.egress import FetchError
from app.health import Stopping
from app.models import Document, DocumentChunk, DocumentVersion, now
from app.queue import INGESTION, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job
from app.storage import StorageUnavailable
from ingestion.types import IngestionError
from vectorstore.embedding import EmbeddingsUnavailable
from vectorstore.index import VectorStoreUnavailable

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()

_AWAY_SECONDS = 15.0
_AWAY = (VectorStoreUnavailable, StorageUnavailable, EmbeddingsUnavailable)


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
            await _read(runtime, work)
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


async def _read(runtime: Runtime, work: Work) -> None:
    try:
        await read_version(runtime, work)
    except ReadingOver:
        await _drop_if_deleted(runtime, work)
        runtime.metrics.document("dropped")


async def _begin(runtime: Runtime, tenant_id: UUID, version_id: UUID) -> Work | None:
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
        return Work(
            tenant_id=tenant_id,
            document_id=document.id,
            version_id=version_id,
            to_fetch=version.url is not None and not version.content_hash,
            url=version.url,
            file_name=version.file_name,
            media_type=version.media_type,
            title=version.title or (document.title if document.title_given else None),
            read_title=version.read_title,
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


async def _drop_if_deleted(runtime: Runtime, work: Work) -> None:
    """Take away vectors that were stored after a deletion of the document had looked for them."""
    async with runtime.vault.session(work.tenant_id) as session:
        document = await session.get(Document, work.document_id)
        deleted = document is None or document.deleted_at is not None
        there = await indexes(session, runtime, work.tenant_id) if deleted else []
    for index in there:
        await index.delete(work.tenant_id, work.document_id)


async def _clean_up(runtime: Runtime, tenant_id: UUID, version_id: UUID) -> None:
    """Take away what a version that is over leaves: those before a ready one; a failed one's file and vectors."""
    async with runtime.vault.session(tenant_id) as session:
        version = await session.get(DocumentVersion, version_id)
        document = None if version is None else await session.get(Document, version.document_id)
        index = (await in_force(session, runtime)).index
    if version is None or document is None or document.deleted_at is not None:
        return
    if version.status == "failed":
        await runtime.storage.delete(tenant_id, version_id)
        async with runtime.vault.session(tenant_id) as session:
            await session.execute(delete(DocumentChunk).where(DocumentChunk.version_id == version_id))
    elif version.status != "ready" or document.current_version_id != version_id:
        return
    if document.current_version_id is None:
        await index.delete(tenant_id, document.id)
        return
    await index.drop_other_versions(tenant_id, document.id, document.current_version_id)
    if await index.count(tenant_id, document.id) < (version.chunks or 0):
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
