"""The pages that a sitemap lists, or an index of sitemaps."""

from uuid import UUID

from app.egress import FetchError
from app.runtime import Runtime
from app.sources.frontier import meet, running, scope_of
from app.sources.reasons import RunFailed
from app.sources.robots import Robots
from app.sources.scope import Scope
from ingestion.types import IngestionError, Limits, PageLinks

_MOST_SITEMAPS = 50
_SECONDS = 30.0


async def list_pages(runtime: Runtime, tenant_id: UUID, source_id: UUID, run: int, robots: Robots) -> None:
    """Queue what the sitemap of a run lists; raises RunFailed if it cannot be read."""
    async with runtime.vault.session(tenant_id) as session:
        source = await running(session, source_id, run)
        if source is None or source.listed:
            return
        url, scope = source.url, scope_of(source)
    try:
        found = await _read(runtime, url, scope, robots)
    except FetchError as error:
        raise RunFailed(error.code, error.message) from None
    except IngestionError as error:
        raise RunFailed(error.code, str(error)) from None
    links, whole = await _with_listed(runtime, found, scope, robots)
    targets = (scope.linked(link) for link in links)
    async with runtime.vault.session(tenant_id) as session:
        source = await running(session, source_id, run)
        if source is not None:
            room = await meet(session, source, (target.url for target in targets if target is not None), 0)
            source.listed, source.whole = True, whole and room


async def _with_listed(
    runtime: Runtime, found: PageLinks, scope: Scope, robots: Robots
) -> tuple[dict[str, None], bool]:
    """What a sitemap lists with those that it names, and whether all of it was read. They are not followed further."""
    links, whole = dict.fromkeys(found.links), not found.cut and len(found.sitemaps) <= _MOST_SITEMAPS
    for url in found.sitemaps[:_MOST_SITEMAPS]:
        try:
            listed = await _read(runtime, url, scope, robots)
        except (FetchError, IngestionError):
            whole = False
            continue
        links |= dict.fromkeys(listed.links)
        whole = whole and not listed.cut and not listed.sitemaps
    return links, whole


async def _read(runtime: Runtime, url: str, scope: Scope, robots: Robots) -> PageLinks:
    target = scope.spelt(url)
    if target is None or scope.why_not(target) == "other_site":
        raise IngestionError("other_site", "The sitemap is on another site.")
    async with runtime.pace.turn(target.host, robots.delay):
        fetched = await runtime.fetcher.fetch(target.url, any_type=True)
    limits = Limits(max_bytes=runtime.settings.max_page_bytes, seconds=_SECONDS)
    return await runtime.parser.links(fetched.body, base_url=target.url, kind="sitemap", limits=limits)
