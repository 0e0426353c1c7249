"""What a page that came is made: a version of its document, or one that leaves its place to another address."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.documents.pages import NextVersion, begin_version, fill_version
from app.egress import FetchedPage
from app.egress.urls import Target
from app.models import Source, SourcePage
from app.runtime import Runtime
from app.sources.frontier import Visit, find, hash_of, meet, queue_again, running, scope_of, settle
from app.sources.letting_go import remove
from app.sources.reasons import RunFailed
from app.sources.robots import AGENT
from app.sources.scope import Scope, may_move
from ingestion.types import PageLinks

_MAX_VALIDATOR = 500
_FOR_GOOD = (301, 308)


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a site answered for a page, and where the page leads."""

    fetched: FetchedPage
    links: PageLinks

    @property
    def noindex(self) -> bool:
        """Whether it asks not to be read, by its markup or its header."""
        return self.links.noindex or bool(self._said & {"noindex", "none"})

    @property
    def nofollow(self) -> bool:
        """Whether it asks that its links are not followed."""
        return self.links.nofollow or bool(self._said & {"nofollow", "none"})

    @property
    def _said(self) -> set[str]:
        """X-Robots-Tag, as far as it is for all robots or for us."""
        parts = (part.rpartition(":") for part in self.fetched.robots.lower().split(","))
        return {wish.strip() for name, _, wish in parts if name.strip() in ("", AGENT.lower())}


async def page_of(session: AsyncSession, work: Visit) -> tuple[Source | None, SourcePage | None]:
    """The source and the page of a visit, locked; none if the run has ended or the page is gone."""
    source = await running(session, work.source_id, work.run)
    if source is None:
        return None, None
    return source, await session.get(SourcePage, work.page_id, with_for_update=True, populate_existing=True)


async def sent_on(runtime: Runtime, work: Visit, answer: Answer) -> None:
    """Note that a page sends readers on, and queue where to; raises RunFailed if the whole source has moved away."""
    async with runtime.vault.session(work.tenant_id) as session:
        source, page = await page_of(session, work)
        if source is None or page is None:
            return
        target = work.scope.spelt(answer.fetched.final_url)
        if work.first and target is not None:
            _move(source, work, target)
        reason = "other_site" if target is None else scope_of(source).why_not(target)
        words = None
        if target is not None and target.url == work.target.url:
            reason, words = "too_many_redirects", "The page sends readers on to itself."
        if target is not None and reason is None:
            await _leave_to(session, source, page, target, "redirected", work.depth)
            if answer.fetched.status not in _FOR_GOOD:
                # A site under repair sends all its pages on to one, and has them back tomorrow.
                page.instead_hash = None
        else:
            settle(page, "failed" if work.known else "skipped", reason, words)
        runtime.metrics.source_page(page.state)
    if work.first and reason is not None:
        raise RunFailed("moved" if reason == "other_site" else reason, words)


def _move(source: Source, work: Visit, target: Target) -> None:
    """Follow the start page to the site that it sends readers on to, in the same folder if it is there."""
    scope = work.scope
    if scope.why_not(target) is None or not may_move(scope.base, target):
        return
    beside = Target(target.scheme, target.host, target.port, scope.base.path).url
    fits = Scope.of(source.kind, beside, source.paths).why_not(target) is None
    source.base = beside if fits else target.url


async def _leave_to(
    session: AsyncSession, source: Source, page: SourcePage, target: Target, reason: str, depth: int
) -> None:
    await meet(session, source, [target.url], depth)
    other = await find(session, source, target.url)
    if other is not None and other.reason == "duplicate" and other.instead_hash == page.url_hash:
        # The address that it calls its own leads back to it.
        queue_again(other, source, other.depth)
    settle(page, "skipped", reason)
    page.instead_hash = hash_of(target.url)


async def came(runtime: Runtime, work: Visit, answer: Answer) -> None:
    """Make of a page what it is, and queue where it leads."""
    async with runtime.vault.session(work.tenant_id) as session:
        source, page = await page_of(session, work)
        if source is None or page is None:
            return
        made = await _begin(runtime, session, source, page, work, answer)
        if made is None:
            await _follow(session, source, work, answer)
            runtime.metrics.source_page(page.state)
            return
    stored = made.stored or b""
    await runtime.storage.put(work.tenant_id, made.version_id, stored)
    if not await _finish(runtime, work, answer, made):
        await runtime.storage.delete(work.tenant_id, made.version_id)


async def _begin(
    runtime: Runtime, session: AsyncSession, source: Source, page: SourcePage, work: Visit, answer: Answer
) -> NextVersion | None:
    """What is to be stored; None where the page is settled."""
    if answer.noindex:
        if work.known:
            await remove(session, runtime.queue, page, "noindex")
        else:
            settle(page, "skipped", "noindex")
        return None
    canonical = await _canonical(session, source, page, work, answer.links.canonical)
    if canonical is not None:
        # Not as the first page, without which there is no run.
        await _leave_to(session, source, page, canonical, "duplicate", max(work.depth, 1))
        return None
    if answer.fetched.unchanged:
        settle(page, "unchanged")
        return None
    made = await begin_version(session, work.target.url, answer.fetched)
    if page.document_id != made.document_id:
        page.document_id, page.owned = made.document_id, made.new
    if made.stored is None:
        _settle_read(page, work, answer, "unchanged")
        return None
    return made


async def _finish(runtime: Runtime, work: Visit, answer: Answer, made: NextVersion) -> bool:
    """Have the stored page read; False if it went meanwhile. What was begun is ended, also when the run was."""
    async with runtime.vault.session(work.tenant_id) as session:
        source = await running(session, work.source_id, work.run)
        page = await session.get(SourcePage, work.page_id, with_for_update=True, populate_existing=True)
        if page is None or not await fill_version(session, runtime.queue, made):
            return False
        _settle_read(page, work, answer, "changed")
        if source is not None:
            await _follow(session, source, work, answer)
        runtime.metrics.source_page(page.state)
        return True


def _settle_read(page: SourcePage, work: Visit, answer: Answer, state: str) -> None:
    # One that was being added when a run was cut has its document, but was never seen to its end.
    settle(page, state if work.known and page.checked_at is not None else "added")
    page.etag, page.last_modified = _kept(answer.fetched.etag), _kept(answer.fetched.last_modified)


def _kept(validator: str | None) -> str | None:
    return validator if validator is not None and len(validator) <= _MAX_VALIDATOR else None


async def _canonical(
    session: AsyncSession, source: Source, page: SourcePage, work: Visit, url: str | None
) -> Target | None:
    """The address that a page calls its own, if it is another one of this source that does not lead back."""
    target = None if url is None else work.scope.linked(url)
    if target is None or target.url == work.target.url:
        return None
    other = await find(session, source, target.url)
    return None if other is not None and other.instead_hash == page.url_hash else target


async def _follow(session: AsyncSession, source: Source, work: Visit, answer: Answer) -> None:
    if work.follows and not answer.nofollow:
        scope = scope_of(source)
        found = (scope.linked(url) for url in answer.links.links)
        await meet(session, source, [target.url for target in found if target is not None], work.depth + 1)
