"""How far the reading of a document is, and the stream that tells it while it is read."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Literal
from uuid import UUID

from sse_starlette import ServerSentEvent

from app.documents.schemas import DocumentOut, ProgressOut
from app.documents.service import get_document, latest_version
from app.errors import JobxError, NotFound
from app.keys.service import Vault
from app.models import Document, DocumentVersion, now

_EVERY_SECONDS = 0.5
# Who still follows then connects anew.
_LONGEST_SECONDS = 600.0
_STREAMS_OF_TENANT = 10
_LEAST_SECONDS = 0.5

Stage = Literal["waiting", "reading", "embedding"]


class TooManyProgressStreams(JobxError):
    """This account follows as many documents at once as it may; close one of the streams."""

    status_code = 429
    code = "too_many_streams"


class ProgressStreams:
    """The streams of a process, counted by tenant; those that are `ended` send what there is and end."""

    def __init__(self) -> None:
        self._open: Counter[UUID] = Counter()
        self.ended = asyncio.Event()

    def end(self) -> None:
        """Let every stream end: the process stops."""
        self.ended.set()

    def enter(self, tenant_id: UUID) -> None:
        """Count a stream in; raises TooManyProgressStreams."""
        if self._open[tenant_id] >= _STREAMS_OF_TENANT:
            raise TooManyProgressStreams
        self._open[tenant_id] += 1

    def leave(self, tenant_id: UUID) -> None:
        """Count a stream out."""
        self._open[tenant_id] -= 1
        self._open += Counter()  # what is zero goes


def shown_document(document: Document, version: DocumentVersion) -> DocumentOut:
    """A document as the API shows it, with the progress of its newest version while that is read."""
    return DocumentOut(
        id=document.id,
        status=version.status,
        title=document.title,
        url=version.url,
        pages=version.pages,
        chunks=version.chunks,
        language=version.language,
        warnings=(version.warnings or "").splitlines(),
        error=version.error,
        error_code=version.error_code,
        created_at=document.created_at,
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
    vault: Vault, tenant_id: UUID, document_id: UUID, ended: asyncio.Event
) -> AsyncIterator[ServerSentEvent]:
    """An event `progress` whenever something changed, and last `ready`, `failed` or `gone`; each has the document."""
    clock, last = asyncio.get_running_loop().time, None
    until = clock() + _LONGEST_SECONDS
    while True:
        try:
            async with vault.session(tenant_id) as session:
                document = await get_document(session, document_id)
                shown = shown_document(document, await latest_version(session, document_id))
        except NotFound:
            yield ServerSentEvent("{}", event="gone")
            return
        told = shown.model_dump_json()
        if shown.progress is None:
            yield ServerSentEvent(told, event=shown.status)
            return
        if told != last:
            yield ServerSentEvent(told, event="progress")
            last = told
        if clock() >= until or ended.is_set():
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _EVERY_SECONDS)
