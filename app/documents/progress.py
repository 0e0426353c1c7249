"""How far the reading of a document is, and the stream that tells it while it is read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sse_starlette import ServerSentEvent

from app.auth.service import Principal, Scope, is_valid
from app.db import DatabaseUnavailable
from app.documents.filters import labels_of_sources
from app.documents.schemas import DocumentOut, ProgressOut, Stage
from app.documents.service import get_document, latest_version
from app.errors import NotFound, Unauthorized
from app.keys.service import Vault
from app.models import Document, DocumentVersion, now

_EVERY_SECONDS = 0.5
_LONGEST_SECONDS = 600.0
# Before that a rate says little.
_LEAST_SECONDS = 0.5
# What stands between closes a stream on which nothing comes for long.
_ALIVE_SECONDS = 15.0
SCOPE: Scope = "documents:read"


Found = tuple[Document, DocumentVersion]


async def shown_documents(session: AsyncSession, found: Sequence[Found]) -> list[DocumentOut]:
    """Documents as the API shows them, each with the progress of its newest version while that is read."""
    inherited = await labels_of_sources(session, [document.id for document, _ in found])
    return [_shown(document, version, inherited.get(document.id, [])) for document, version in found]


async def shown_document(session: AsyncSession, document: Document, version: DocumentVersion) -> DocumentOut:
    """One document as the API shows it."""
    (shown,) = await shown_documents(session, [(document, version)])
    return shown


def _shown(document: Document, version: DocumentVersion, source_labels: list[str]) -> DocumentOut:
    return DocumentOut(
        id=document.id,
        status=version.status,
        title=document.title,
        url=version.url,
        pages=version.pages,
        chunks=version.chunks,
        language=version.language,
        labels=document.labels or [],
        source_labels=source_labels,
        warnings=(version.warnings or "").splitlines(),
        error=version.error,
        error_code=version.error_code,
        created_at=document.created_at,
        with_context=document.with_context,
        progress=_progress(version, now()),
    )


def _progress(version: DocumentVersion, at: datetime) -> ProgressOut | None:
    if version.status not in ("pending", "running"):
        return None
    if version.embedding_since is None:
        stage: Stage = "waiting" if version.status == "pending" else "reading"
        return ProgressOut(stage=stage, chunks_done=0, chunks_per_second=None, seconds_left=None)
    seconds = (at - version.embedding_since).total_seconds()
    rate = version.embedded / seconds if seconds >= _LEAST_SECONDS and version.embedded else None
    return ProgressOut(
        stage="embedding",
        chunks_done=version.embedded,
        chunks_per_second=None if rate is None else round(rate, 1),
        seconds_left=None if rate is None else round((version.chunks - version.embedded) / rate),
    )


async def follow(
    vault: Vault, principal: Principal, document_id: UUID, ended: asyncio.Event
) -> AsyncIterator[ServerSentEvent]:
    """An event `progress` whenever something changed, and last `ready`, `failed` or `gone`; each has the document.

    It ends without one when the caller's key is revoked, and after ten minutes: who still follows connects anew.
    """
    clock, last = asyncio.get_running_loop().time, None
    until, silent_since = clock() + _LONGEST_SECONDS, clock()
    while True:
        with suppress(DatabaseUnavailable):
            try:
                shown = await _look(vault, principal, document_id)
            except NotFound:
                yield ServerSentEvent("{}", event="gone")
                return
            except Unauthorized:
                return
            told = shown.model_dump_json()
            if shown.progress is None:
                yield ServerSentEvent(told, event=shown.status)
                return
            if told != last:
                yield ServerSentEvent(told, event="progress")
                last, silent_since = told, clock()
        if clock() >= until or ended.is_set():
            return
        if clock() - silent_since >= _ALIVE_SECONDS:
            yield ServerSentEvent(comment="alive")
            silent_since = clock()
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _EVERY_SECONDS)


async def _look(vault: Vault, principal: Principal, document_id: UUID) -> DocumentOut:
    async with vault.session(principal.tenant_id) as session:
        if not await is_valid(session, principal.key_id, SCOPE):
            raise Unauthorized
        document = await get_document(session, document_id)
        return await shown_document(session, document, await latest_version(session, document_id))
