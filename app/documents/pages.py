"""Documents that are pages on the web: fetching one, and telling whether it changed."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.documents.service import content_hash, document_for, newest, queue_reading, sealed_file
from app.egress import FetchedPage
from app.errors import Unavailable
from app.models import Document, DocumentVersion
from app.queue import Queue
from app.runtime import Runtime
from ingestion.charsets import in_utf8

_TEXT = ("text/", "application/xhtml+xml")
_MARKDOWN = (".md", ".markdown", ".mdown")
# Why the same bytes may be read another time.
_PASSING = ("internal_error", "crashed", "timed_out", "superseded")


class KeysReplaced(Unavailable):
    """The tenant was given new keys while a page was stored with the old ones; the job tries again."""

    code = "keys_replaced"


@dataclass(frozen=True, slots=True, repr=False)
class PageBytes:
    """A page as it is stored and parsed: texts in UTF-8."""

    data: bytes
    media_type: str | None


@dataclass(frozen=True, slots=True, repr=False)
class NextVersion:
    """What fetched bytes make of a page's document, which may be `new`. `stored` is the file of its next version, None
    where it needs none.
    """

    document_id: UUID
    new: bool
    version_id: UUID
    content_hash: bytes
    page: PageBytes
    stored: bytes | None


async def begin_version(session: AsyncSession, url: str, fetched: FetchedPage) -> NextVersion:
    """Make the next version of a page's document from bytes that were fetched, or none where they are the same.

    The caller stores the file once this is committed, and then calls `fill_version`: what comes to a stop in between
    is taken up by the next call.
    """
    page = _as_stored(fetched)
    document = await document_for(session, "url", url, None)
    hashed, latest = content_hash(page.data), await session.scalar(newest(document.id))
    if latest is not None and await _is_known(session, document, latest, hashed):
        return NextVersion(document.id, False, latest.id, hashed, page, None)
    new = latest is None
    if latest is None or latest.status != "pending" or latest.content_hash or latest.url != url:
        latest = DocumentVersion(document_id=document.id, content_hash=b"", url=url, size=0)
        session.add(latest)
        await session.flush()
    return NextVersion(document.id, new, latest.id, hashed, page, sealed_file(latest.id, page.data))


async def fill_version(session: AsyncSession, queue: Queue, made: NextVersion) -> bool:
    """Have a version read whose file is stored now; False if its document is gone. Raises KeysReplaced."""
    document = await session.get(Document, made.document_id, with_for_update=True, populate_existing=True)
    version = await session.get(DocumentVersion, made.version_id)
    if document is None or document.deleted_at is not None or version is None:
        return False
    if version.status == "pending" and not version.content_hash:
        _fill(version, made.page, made.content_hash, made.stored)
        await queue_reading(session, queue, version)
    return True


async def _is_known(session: AsyncSession, document: Document, latest: DocumentVersion, hashed: bytes) -> bool:
    if latest.content_hash == hashed:
        return latest.status != "failed" or latest.error_code not in _PASSING
    if latest.status != "failed" or document.current_version_id is None:
        return False
    current = await session.get_one(DocumentVersion, document.current_version_id)
    if current.content_hash != hashed:
        return False
    # It is again what it was before it could not be read.
    await _forget(session, latest)
    return True


async def fetch_version(runtime: Runtime, tenant_id: UUID, version_id: UUID, url: str) -> PageBytes | None:
    """Fetch a page and store it as its version's file; None when it is what the version in force was made of.

    Then the version goes away again, and the one in force goes on answering. Raises FetchRefused and FetchFailed.
    """
    page = _as_stored(await runtime.fetcher.fetch(url))
    async with runtime.vault.session(tenant_id) as session:
        version = await session.get_one(DocumentVersion, version_id)
        hashed = content_hash(page.data)
        if await _is_in_force(session, version, hashed):
            await _forget(session, version)
            return None
        stored = sealed_file(version_id, page.data)
    await runtime.storage.put(tenant_id, version_id, stored)
    async with runtime.vault.session(tenant_id) as session:
        _fill(await session.get_one(DocumentVersion, version_id), page, hashed, stored)
    return page


def _fill(version: DocumentVersion, page: PageBytes, hashed: bytes, stored: bytes | None) -> None:
    """Note what a version's stored file is; raises KeysReplaced if it was sealed with keys that are not in use now."""
    if stored is not None and not current_keyring().is_current(stored):
        raise KeysReplaced
    version.content_hash, version.size, version.media_type = hashed, len(page.data), page.media_type


async def _is_in_force(session: AsyncSession, version: DocumentVersion, hashed: bytes) -> bool:
    document = await session.get_one(Document, version.document_id)
    if document.current_version_id is None:
        return False
    current = await session.get_one(DocumentVersion, document.current_version_id)
    if current.content_hash != hashed:
        return False
    current.url = version.url
    take_title(document, version)
    return True


def take_title(document: Document, version: DocumentVersion) -> None:
    """Give a document the title that came with a version, now that it is the one that answers."""
    if version.title is not None:
        document.title, document.title_given = version.title, True


async def _forget(session: AsyncSession, version: DocumentVersion) -> None:
    """Remove a version and those that failed between the one in force and it, so that the document is `ready` again."""
    document = await session.get_one(Document, version.document_id)
    others = DocumentVersion.id != document.current_version_id
    mine = (DocumentVersion.document_id == document.id, DocumentVersion.id <= version.id)
    await session.execute(delete(DocumentVersion).where(*mine, others))


def _as_stored(page: FetchedPage) -> PageBytes:
    media_type = page.media_type
    if media_type in (None, "text/plain", "application/octet-stream") and _suffix(page.final_url) in _MARKDOWN:
        # Servers have no type for it; of all other types the header knows more than the address.
        media_type = "text/markdown"
    is_text = media_type is not None and media_type.startswith(_TEXT)
    return PageBytes(in_utf8(page.body, page.charset) if is_text else page.body, media_type)


def shown(url: str) -> str:
    """A page's address as a title of last resort: host and path, because a query may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{parts.path}".rstrip("/")


def _suffix(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).suffix.lower()
