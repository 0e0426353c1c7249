"""From a version's bytes to passages that answer: parsed once, embedded piece by piece, published whole.

Passages are stored before they are embedded, and each piece is noted once its vectors are in the store: who takes the
work over after a crash goes on behind the last piece. Nothing of a version is found before it is published, since a
search keeps only passages of the version in force.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from uuid import UUID, uuid5

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.documents.archives import unpack
from app.documents.collections import Vectors, queue_one, written
from app.documents.contexts import give_lines
from app.documents.pages import fetch_version, shown, take_title
from app.documents.service import FALLBACK_NAME, opened_file
from app.models import Document, DocumentChunk, DocumentVersion, now
from app.runtime import Runtime
from ingestion.chunk import embedding_text
from ingestion.pipeline import ingest as read
from ingestion.types import Chunk, IngestedDocument, IngestionError, Limits
from vectorstore.index import VectorStoreError, VectorStoreUnavailable

# Passages embedded before it is asked whether customers wait, and noted as done; one or two seconds' work.
BATCH = 64


class ReadingOver(Exception):
    """Nobody waits for this version any more: it was cancelled, or its document deleted."""


@dataclass(frozen=True, slots=True, repr=False)
class Work:
    """A version to be read, once no transaction is open; `to_fetch` until its page at `url` was stored.

    `title` is what was given with it; `read_title` what it has, once its passages are stored.
    """

    tenant_id: UUID
    document_id: UUID
    version_id: UUID
    to_fetch: bool
    url: str | None
    file_name: str | None
    media_type: str | None
    title: str | None
    read_title: str | None


@dataclass(frozen=True, slots=True, repr=False)
class _Piece:
    """The next passages to be embedded, as texts with their ids."""

    ids: Sequence[UUID]
    texts: Sequence[str]
    vectors: Vectors


async def read_version(runtime: Runtime, work: Work) -> None:
    """Make a version the one that answers, from wherever an earlier run left it. Raises ReadingOver."""
    started = perf_counter()
    title = work.read_title
    if title is None:
        title = await _read_passages(runtime, work)
        if title is None:
            return
    await give_lines(runtime, work.tenant_id, work.document_id, work.version_id)
    await _embed(runtime, work, title)
    await _publish(runtime, work, title, await _settle(runtime, work))
    runtime.metrics.document("ready", perf_counter() - started)


async def _read_passages(runtime: Runtime, work: Work) -> str | None:
    """Parse, split and store; returns the title, None for a page that has not changed."""
    found = await _bytes(runtime, work)
    if found is None:
        return None
    document = await _parse(runtime, work, *found)
    title = document.title or work.title or work.file_name or (shown(work.url) if work.url else "")
    await _store_passages(runtime, work, title, document)
    return title


async def _parse(runtime: Runtime, work: Work, data: bytes, media_type: str | None) -> IngestedDocument:
    """The document in some bytes; an archive becomes documents of its own, and is itself without passages."""
    settings = runtime.settings
    limits = Limits(max_bytes=settings.max_document_bytes, seconds=settings.parse_seconds)
    try:
        return await read(
            data,
            filename=work.file_name,
            media_type=media_type,
            parser=runtime.parser,
            tokenizer=runtime.embedder.tokenize,
            limits=limits,
            title=work.title,
        )
    except IngestionError as error:
        if error.code != "archive":
            raise
    name = work.file_name or (shown(work.url) if work.url else FALLBACK_NAME)
    return await unpack(runtime, work.tenant_id, name, data, await _labels(runtime, work), limits)


async def _labels(runtime: Runtime, work: Work) -> list[str] | None:
    async with runtime.vault.session(work.tenant_id) as session:
        document = await session.get(Document, work.document_id)
        return None if document is None else document.labels


async def _bytes(runtime: Runtime, work: Work) -> tuple[bytes, str | None] | None:
    """What is to be read and its media type; None for a page that has not changed."""
    if work.to_fetch and work.url is not None:
        page = await fetch_version(runtime, work.tenant_id, work.version_id, work.url)
        return None if page is None else (page.data, page.media_type)
    stored = await runtime.storage.get(work.tenant_id, work.version_id)
    # With the keys of now, not those of when the work began: the file may have been sealed anew since.
    async with runtime.vault.session(work.tenant_id):
        return opened_file(work.version_id, stored), work.media_type


async def _store_passages(runtime: Runtime, work: Work, title: str, document: IngestedDocument) -> None:
    async with runtime.vault.session(work.tenant_id) as session:
        version = await _running(session, work)
        # What another run left that was held to be dead.
        await session.execute(delete(DocumentChunk).where(DocumentChunk.version_id == work.version_id))
        for chunk in document.chunks:
            session.add(_row(work, chunk))
        version.read_title, version.embedded, version.embedding_since = title, 0, now()
        version.pages, version.chunks = document.pages, len(document.chunks)
        version.warnings, version.language = "\n".join(document.warnings) or None, document.language


def _row(work: Work, chunk: Chunk) -> DocumentChunk:
    return DocumentChunk(
        # Derived, so that a second run of this job writes over what the first one left.
        id=uuid5(work.version_id, str(chunk.position)),
        document_id=work.document_id,
        version_id=work.version_id,
        position=chunk.position,
        page=chunk.page,
        heading=" > ".join(chunk.heading),
        text=chunk.text,
        # Nobody approves of what stands on the web.
        question=chunk.question if work.url is None else None,
        language=chunk.language,
    )


async def _embed(runtime: Runtime, work: Work, title: str) -> None:
    """Put the vectors of all passages into the store that are not noted as done."""
    piece, done = await _next(runtime, work, title, 0)
    while piece is not None:
        await runtime.pressure.relieved()
        made = await piece.vectors.made_of(piece.ids, piece.texts)
        await piece.vectors.index.add(work.tenant_id, work.document_id, work.version_id, made)
        piece, done = await _next(runtime, work, title, done + len(made))


async def _next(runtime: Runtime, work: Work, title: str, done: int) -> tuple[_Piece | None, int]:
    """Note how many passages are done, if that is news, and read the next ones; None when there are none."""
    async with runtime.vault.session(work.tenant_id) as session:
        version = await _running(session, work)
        vectors, _ = await written(session, runtime)
        version.embedded = max(version.embedded, done)
        _note_collection(version, vectors)
        query = select(DocumentChunk).where(
            DocumentChunk.version_id == work.version_id, DocumentChunk.position >= version.embedded
        )
        rows = list(await session.scalars(query.order_by(DocumentChunk.position).limit(BATCH)))
        if not rows:
            return None, version.embedded
        texts = [embedding_text(title, chunk_of(row)) for row in rows]
        return _Piece([row.id for row in rows], texts, vectors), version.embedded


def _note_collection(version: DocumentVersion, vectors: Vectors) -> None:
    """Note where the next piece goes; begin again if another collection came into force since the last one."""
    if version.collection_id not in (None, vectors.id):
        version.embedded = 0
    whole = vectors.model is not None and (version.embedded == 0 or version.collection_id is not None)
    version.collection_id = vectors.id if whole else None


async def _running(session: AsyncSession, work: Work) -> DocumentVersion:
    """The version, locked; raises ReadingOver when it is not to be read any more."""
    version = await session.get(DocumentVersion, work.version_id, with_for_update=True, populate_existing=True)
    document = None if version is None else await session.get(Document, work.document_id, populate_existing=True)
    if version is None or document is None or version.status != "running" or document.deleted_at is not None:
        raise ReadingOver
    return version


async def _settle(runtime: Runtime, work: Work) -> Vectors:
    """Check that the store has all vectors; if it lost some, they are made anew by the next attempt."""
    query = select(DocumentChunk.id).where(DocumentChunk.version_id == work.version_id)
    async with runtime.vault.session(work.tenant_id) as session:
        vectors, _ = await written(session, runtime)
        ids = list(await session.scalars(query))
    try:
        await vectors.index.settle(work.tenant_id, work.document_id, work.version_id, ids)
    except VectorStoreUnavailable:
        raise
    except VectorStoreError:
        again = update(DocumentVersion).where(DocumentVersion.id == work.version_id)
        async with runtime.vault.session(work.tenant_id) as session:
            await session.execute(again.values(embedded=0))
        raise
    return vectors


async def _publish(runtime: Runtime, work: Work, title: str, settled: Vectors) -> None:
    """Make the version the one that answers; raises VectorStoreUnavailable if its vectors are not where they should be.

    A collection that is being filled gets them by a job of its own, and so does one whose model is not here.
    """
    async with runtime.vault.session(work.tenant_id) as session:
        row = await session.scalar(select(Document).where(Document.id == work.document_id).with_for_update())
        version = await _running(session, work)
        if row is None:
            raise ReadingOver
        vectors, filling = await written(session, runtime)
        if vectors.id != settled.id:
            raise VectorStoreUnavailable("another collection came into force")
        if filling is not None or version.collection_id is None:
            await queue_one(session, runtime.queue, work.document_id)
        version.status, version.finished_at = "ready", now()
        row.current_version_id = work.version_id
        row.title = title
        take_title(row, version)


def chunk_of(row: DocumentChunk) -> Chunk:
    """A stored passage as the chunk that it was made of."""
    heading = tuple(row.heading.split(" > ")) if row.heading else ()
    return Chunk(row.position, row.text, heading, row.page, row.question, row.language, row.context)
