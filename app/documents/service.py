"""Rules and queries of documents; the work itself is a job."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.crypto import current_keyring, place
from app.documents.filters import Filters, meets
from app.errors import Conflict, NotFound
from app.models import Document, DocumentVersion, now
from app.models.documents import DocumentStatus
from app.queue import INGESTION, Queue
from app.storage import Storage
from app.web import Page

FALLBACK_NAME = "document"
_CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes to be read, and what the sender said about them. `name` identifies the document within its tenant.

    Where it is no file, its name says nothing about its format. `labels` are all that its document has from now on,
    None for those that it has.
    """

    name: str
    data: bytes
    media_type: str | None
    title: str | None = None
    is_file: bool = True
    labels: list[str] | None = None


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page to be fetched and read, by its URL in the one spelling of `PageFetcher.check`."""

    url: str
    title: str | None = None
    labels: list[str] | None = None


async def add_document(
    session: AsyncSession, queue: Queue, storage: Storage, upload: Upload
) -> tuple[Document, DocumentVersion]:
    """Take an upload: the same bytes change nothing, a known name gets its next version, else it is a new document."""
    hashed = content_hash(upload.data)
    same = await _same_content(session, hashed)
    if same is not None:
        _label(same[0], upload.labels)
        return same
    document = await document_for(session, "source", upload.name, upload.title)
    _label(document, upload.labels)
    return document, await _add_version(session, queue, storage, document, upload, hashed)


async def replace_document(
    session: AsyncSession, queue: Queue, storage: Storage, document_id: UUID, upload: Upload
) -> tuple[Document, DocumentVersion]:
    """Give a document its next version, whatever the file is called; the same bytes change nothing."""
    document = await get_document(session, document_id, lock=True)
    _label(document, upload.labels)
    latest = await latest_version(session, document_id)
    hashed = content_hash(upload.data)
    if latest.content_hash == hashed and latest.status != "failed":
        return document, latest
    return document, await _add_version(session, queue, storage, document, upload, hashed)


async def add_page(session: AsyncSession, queue: Queue, page: WebPage) -> tuple[Document, DocumentVersion]:
    """Take a page: a known URL is read again as its document's next version, else it is a new document."""
    document = await document_for(session, "url", page.url, page.title)
    _label(document, page.labels)
    return document, await _add_page_version(session, queue, document, page)


async def replace_with_page(
    session: AsyncSession, queue: Queue, document_id: UUID, page: WebPage
) -> tuple[Document, DocumentVersion]:
    """Give a document a page as its next version."""
    document = await get_document(session, document_id, lock=True)
    _label(document, page.labels)
    return document, await _add_page_version(session, queue, document, page)


async def get_document(session: AsyncSession, document_id: UUID, *, lock: bool = False) -> Document:
    """One document; raises NotFound, also for a deleted one."""
    query = select(Document).where(Document.id == document_id, Document.deleted_at.is_(None))
    document = await session.scalar(query.with_for_update() if lock else query)
    if document is None:
        raise NotFound("There is no such document.")
    return document


async def latest_version(session: AsyncSession, document_id: UUID) -> DocumentVersion:
    """The newest version of a document, whatever became of it."""
    return (await session.scalars(newest(document_id))).one()


class NotBeingRead(Conflict):
    """The document is not waiting or being read, so there is nothing to cancel."""

    code = "not_being_read"


async def cancel(session: AsyncSession, document_id: UUID) -> tuple[Document, DocumentVersion]:
    """Stop the reading of a document's newest version; raises NotBeingRead. Cancelled twice is no error."""
    document = await get_document(session, document_id, lock=True)
    version = (await session.scalars(newest(document_id).with_for_update())).one()
    if version.status in ("pending", "running"):
        version.status, version.finished_at = "failed", now()
        version.error_code, version.error = _CANCELLED, "Reading it was cancelled."
    elif version.error_code != _CANCELLED:
        raise NotBeingRead
    return document, version


async def label_document(
    session: AsyncSession, document_id: UUID, labels: list[str] | None
) -> tuple[Document, DocumentVersion]:
    """Give a document all the labels that it has from now on, beside those of its sources."""
    document = await get_document(session, document_id, lock=True)
    _label(document, labels)
    return document, await latest_version(session, document_id)


def _label(document: Document, labels: list[str] | None) -> None:
    if labels is not None:
        document.labels = labels


async def list_documents(
    session: AsyncSession, page: Page, filters: Filters, status: DocumentStatus | None = None
) -> list[tuple[Document, DocumentVersion]]:
    """A page of documents with their newest versions, newest first, and one more if there is one.

    `status` is that of the newest version.
    """
    query = with_newest().where(meets(filters)).order_by(Document.id.desc()).limit(page.limit + 1)
    if status is not None:
        query = query.where(DocumentVersion.status == status)
    if page.after is not None:
        query = query.where(Document.id < page.after)
    return [(document, version) for document, version in await session.execute(query)]


def with_newest() -> Select[Document, DocumentVersion]:
    """The query for documents with their newest versions."""
    query = select(Document, DocumentVersion).join(DocumentVersion, DocumentVersion.id == newest_of(Document.id))
    return query.where(Document.deleted_at.is_(None))


def newest_of(document_id: InstrumentedAttribute[Any]) -> ScalarSelect[UUID]:
    """The newest version of the document that a column names, for a query about that column's table."""
    mine = select(DocumentVersion.id).where(DocumentVersion.document_id == document_id)
    return mine.order_by(DocumentVersion.id.desc()).limit(1).correlate(document_id.class_).scalar_subquery()


def sealed_file(version_id: UUID, data: bytes) -> bytes:
    """A file as it is stored."""
    return current_keyring().seal(None, data, _file_place(version_id))


def opened_file(version_id: UUID, data: bytes) -> bytes:
    """A stored file's bytes."""
    return current_keyring().unseal(None, data, _file_place(version_id))


def _file_place(version_id: UUID) -> bytes:
    return place("files", "content", version_id)


def content_hash(data: bytes) -> bytes:
    """The keyed hash by which the same bytes are known again."""
    return current_keyring().lookup("content", hashlib.sha256(data).hexdigest())


def newest(document_id: UUID) -> Select[DocumentVersion]:
    """The query for a document's newest version."""
    query = select(DocumentVersion).where(DocumentVersion.document_id == document_id)
    return query.order_by(DocumentVersion.id.desc()).limit(1)


async def _same_content(session: AsyncSession, hashed: bytes) -> tuple[Document, DocumentVersion] | None:
    query = (
        select(Document, DocumentVersion)
        .join(DocumentVersion, DocumentVersion.document_id == Document.id)
        .where(
            DocumentVersion.content_hash == hashed,
            DocumentVersion.status != "failed",
            Document.deleted_at.is_(None),
        )
    )
    for document, version in await session.execute(query):
        if (await latest_version(session, document.id)).id == version.id:
            return document, version
    return None


async def document_for(session: AsyncSession, kind: str, name: str, title: str | None) -> Document:
    """The document with the name or URL, locked; made if there is none."""
    source_hash = current_keyring().lookup(kind, name)
    new = Document(source_hash=source_hash, title=title or name, title_given=title is not None)
    query = select(Document).where(Document.source_hash == source_hash).with_for_update()
    document: Document | None = None
    while document is None:
        # Two uploads of one name at once: the second waits here, and becomes the next version. If a deletion of the
        # name comes between the two statements, there is nothing to find, and the name is free again.
        await session.execute(insert(Document).values(new.column_values()).on_conflict_do_nothing())
        document = await session.scalar(query)
    return document


async def _add_version(
    session: AsyncSession,
    queue: Queue,
    storage: Storage,
    document: Document,
    upload: Upload,
    hashed: bytes,
) -> DocumentVersion:
    version = DocumentVersion(
        document_id=document.id,
        content_hash=hashed,
        file_name=upload.name if upload.is_file else None,
        title=upload.title,
        media_type=upload.media_type,
        size=len(upload.data),
    )
    session.add(version)
    await session.flush()
    await storage.put(document.tenant_id, version.id, sealed_file(version.id, upload.data))
    try:
        await queue_reading(session, queue, version)
    except BaseException:
        await storage.delete(document.tenant_id, version.id)
        raise
    return version


async def _add_page_version(session: AsyncSession, queue: Queue, document: Document, page: WebPage) -> DocumentVersion:
    latest = await session.scalar(newest(document.id))
    if latest is not None and latest.status == "pending" and latest.url == page.url:
        # It will be fetched after this moment, so what is there now will be read. One that the run of a source left
        # behind has no job; a second job of one version finds nothing to do.
        latest.title = page.title or latest.title
        await queue_reading(session, queue, latest)
        return latest
    version = DocumentVersion(document_id=document.id, content_hash=b"", url=page.url, title=page.title, size=0)
    session.add(version)
    await session.flush()
    await queue_reading(session, queue, version)
    return version


async def queue_reading(session: AsyncSession, queue: Queue, version: DocumentVersion) -> None:
    """Add the job that reads a version."""
    ids = {"tenant_id": version.tenant_id, "version_id": version.id}
    await queue.defer(session, "documents:ingest", INGESTION, lock=f"document:{version.document_id}", ids=ids)
