"""/v1/sources: sites whose pages are documents."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app.auth.route import CurrentSession, TenantRoute, needs, repeatable
from app.models import DocumentVersion, Source, SourcePage
from app.models.sources import PageState
from app.runtime import of_request
from app.sources import service
from app.sources.reasons import REASONS
from app.sources.schemas import (
    PageCounts,
    PageList,
    PageOut,
    SourceAccepted,
    SourceCreate,
    SourceList,
    SourceOut,
    SourceUpdate,
)
from app.sources.service import Seen
from app.web import Page, next_cursor, page

router = APIRouter(prefix="/v1/sources", tags=["Sources"], route_class=TenantRoute)
_WRITES = needs("documents:write")


@router.post("", status_code=202, dependencies=[_WRITES, repeatable])
async def create(body: SourceCreate, session: CurrentSession, request: Request) -> SourceAccepted:
    """Have the pages of a site read, now and on a schedule. The same address and kind again change its settings."""
    runtime = of_request(request)
    url, settings = runtime.fetcher.check(body.url), body.model_dump(exclude={"url", "kind"})
    return _accepted(await service.add(session, runtime.queue, url, body.kind, settings))


@router.get("", dependencies=[needs("documents:read")])
async def list_all(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> SourceList:
    """List sources, newest first."""
    found = await service.list_sources(session, page)
    shown = await service.seen(session, found[: page.limit])
    cursor = next_cursor([source.id for source in found], page.limit)
    return SourceList(sources=[_out(each) for each in shown], next_cursor=cursor)


@router.get("/{source_id}", dependencies=[needs("documents:read")])
async def get(source_id: UUID, session: CurrentSession) -> SourceOut:
    """Read a source: how far its run is, or how the last one went."""
    return await _seen(session, await service.get(session, source_id))


@router.get("/{source_id}/pages", dependencies=[needs("documents:read")])
async def pages(
    source_id: UUID,
    session: CurrentSession,
    page: Annotated[Page, Depends(page)],
    state: Annotated[PageState | None, Query(description="Only those that the last run found like that.")] = None,
) -> PageList:
    """List the pages of a source: what became of each, why, and how its document is."""
    found = await service.list_pages(session, source_id, page, state)
    cursor = next_cursor([row.id for row, _ in found], page.limit)
    return PageList(pages=[_page(*pair) for pair in found[: page.limit]], next_cursor=cursor)


@router.patch("/{source_id}", dependencies=[_WRITES])
async def update(source_id: UUID, body: SourceUpdate, session: CurrentSession) -> SourceOut:
    """Change how far a source is followed and how often it is read, from the next run on, or its labels, at once."""
    return await _seen(session, await service.update(session, source_id, body.changes()))


@router.post("/{source_id}/sync", status_code=202, dependencies=[_WRITES, repeatable])
async def sync(source_id: UUID, session: CurrentSession, request: Request) -> SourceAccepted:
    """Read a source again now. Pages that have not changed are asked for, and nothing else is done with them."""
    return _accepted(await service.sync(session, of_request(request).queue, source_id))


@router.post("/{source_id}/cancel", dependencies=[_WRITES, repeatable])
async def cancel(source_id: UUID, session: CurrentSession) -> SourceAccepted:
    """Stop a run after the page that is being read. What was read stays; the schedule goes on."""
    return _accepted(await service.cancel(session, source_id))


@router.delete("/{source_id}", status_code=202, dependencies=[_WRITES])
async def delete(source_id: UUID, session: CurrentSession, request: Request) -> SourceAccepted:
    """Delete a source: its documents answer nothing from now on, and are erased with all that was read of them."""
    return _accepted(await service.remove(session, of_request(request).queue, source_id))


def _accepted(source: Source) -> SourceAccepted:
    return SourceAccepted(id=source.id, status=source.status)


async def _seen(session: CurrentSession, source: Source) -> SourceOut:
    (seen,) = await service.seen(session, [source])
    return _out(seen)


def _out(seen: Seen) -> SourceOut:
    source, paths = seen.source, seen.source.paths or {}
    return SourceOut(
        id=source.id,
        status=source.status,
        url=source.url,
        kind=source.kind,
        depth=source.depth,
        max_pages=source.max_pages,
        include=paths.get("include", []),
        exclude=paths.get("exclude", []),
        every_hours=source.every_hours,
        labels=source.labels or [],
        error=source.error,
        error_code=source.error_code,
        runs=source.run,
        pages=PageCounts(**seen.states),
        documents=seen.documents,
        unreadable=seen.unreadable,
        next_sync_at=source.next_sync_at,
        started_at=source.started_at,
        finished_at=source.finished_at,
        created_at=source.created_at,
    )


def _page(row: SourcePage, version: DocumentVersion | None) -> PageOut:
    return PageOut(
        id=row.id,
        url=row.url,
        state=row.state,
        reason=row.words or REASONS.get(row.reason or ""),
        reason_code=row.reason,
        depth=row.depth,
        checked_at=row.checked_at,
        document_id=row.document_id,
        document_status=None if version is None else version.status,
        document_error=None if version is None else version.error,
        document_error_code=None if version is None else version.error_code,
    )
