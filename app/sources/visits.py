"""Asking for one page, and telling what it is: an answer of the site, or why there is none."""

from typing import Literal

from app.documents.service import opened_file
from app.egress import FetchedPage, FetchError
from app.errors import NotFound
from app.runtime import Runtime
from app.sources.frontier import Visit, settle
from app.sources.keeping import Answer, came, page_of, sent_on
from app.sources.letting_go import remove
from app.sources.reasons import RunFailed, is_gone, reason_of
from app.sources.robots import Robots
from ingestion.types import IngestionError, Limits, PageLinks

_HTML = ("text/html", "application/xhtml+xml", None)
_LINK_SECONDS = 20.0
# In UTF-8 a page is at most so much longer than it came.
_IN_UTF8 = 4


async def visit(runtime: Runtime, work: Visit, robots: Robots) -> None:
    """Ask for a page and note what became of it; raises RunFailed where the run cannot go on."""
    if not await robots.allow(work.target.url):
        await leave(runtime, work, "robots_denied")
        if work.first:
            raise RunFailed("robots_denied")
        return
    try:
        answer = await _ask(runtime, work, robots)
    except FetchError as error:
        await _failed(runtime, work, error)
        return
    if answer.fetched.redirects:
        await sent_on(runtime, work, answer)
    else:
        await came(runtime, work, answer)


async def _ask(runtime: Runtime, work: Visit, robots: Robots) -> Answer:
    fetched = await _fetch(runtime, work, robots, *work.condition)
    if fetched.unchanged:
        stored = await _stored(runtime, work)
        if stored is not None:
            return Answer(fetched, await _links(runtime, work, *stored))
        # The file went meanwhile, with a version that failed.
        fetched = await _fetch(runtime, work, robots)
    return Answer(fetched, await _links(runtime, work, fetched.body, fetched.media_type))


async def _fetch(
    runtime: Runtime, work: Visit, robots: Robots, etag: str | None = None, last_modified: str | None = None
) -> FetchedPage:
    async with runtime.pace.turn(work.target.host, robots.delay):
        return await runtime.fetcher.fetch(work.target.url, etag=etag, last_modified=last_modified, follow=False)


async def _stored(runtime: Runtime, work: Visit) -> tuple[bytes, str | None] | None:
    if work.stored is None:
        return None
    version_id, media_type = work.stored
    try:
        data = await runtime.storage.get(work.tenant_id, version_id)
    except NotFound:
        return None
    async with runtime.vault.session(work.tenant_id):
        return opened_file(version_id, data), media_type


async def _links(runtime: Runtime, work: Visit, data: bytes, media_type: str | None) -> PageLinks:
    if media_type not in _HTML or not data:
        return PageLinks()
    limits = Limits(max_bytes=_IN_UTF8 * runtime.settings.max_page_bytes, seconds=_LINK_SECONDS)
    try:
        return await runtime.parser.links(data, base_url=work.target.url, kind="page", limits=limits)
    except IngestionError:
        # What is wrong with it is told by its document.
        return PageLinks()


async def _failed(runtime: Runtime, work: Visit, error: FetchError) -> None:
    if is_gone(error) and work.known and not work.anchor:
        async with runtime.vault.session(work.tenant_id) as session:
            _, page = await page_of(session, work)
            if page is not None:
                await remove(session, runtime.queue, page, "http_status", error.message)
                runtime.metrics.source_page("removed")
        return
    unread = error.code == "unsupported_type" and not work.known
    await leave(runtime, work, reason_of(error), error.message, "skipped" if unread else "failed")
    if work.first:
        raise RunFailed(error.code, error.message)


async def leave(
    runtime: Runtime,
    work: Visit,
    reason: str,
    words: str | None = None,
    state: Literal["skipped", "failed"] = "skipped",
) -> None:
    """Note that a page is not read; what was read of it before goes on answering."""
    async with runtime.vault.session(work.tenant_id) as session:
        _, page = await page_of(session, work)
        if page is not None:
            settle(page, "failed" if work.known else state, reason, words)
            runtime.metrics.source_page(page.state)
