"""What a site lets robots read: its robots.txt by RFC 9309, read by protego."""

import asyncio
import re
from dataclasses import dataclass

from protego import Protego

from app.egress import FetchError, FetchFailed, FetchRefused
from app.egress.urls import Target
from app.runtime import Runtime
from app.sources.reasons import RunFailed

AGENT = "Jobx"
# RFC 9309, section 2.5: so much is read at least.
_MOST_BYTES = 500 * 1024
_LONGEST_DELAY = 10.0
_CLIENT_ERRORS = range(400, 500)
_TOO_MANY = 429
_AGENT_LINE = re.compile(r"\s*user[- ]?agent\s*:?\s*([^#]*)", re.IGNORECASE)
_OUR_TOKEN = re.compile(rf"{AGENT}(?![\w-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Robots:
    """What may be read of one site, and the pause in seconds that it asks for between two requests."""

    rules: Protego | None
    delay: float = 0.0

    async def allow(self, url: str) -> bool:
        """Whether a page may be read."""
        # A thread, because thousands of rules take their time.
        return self.rules is None or await asyncio.to_thread(self.rules.can_fetch, url, AGENT)


async def robots_of(runtime: Runtime, site: Target) -> Robots:
    """The rules of a page's site. Without a robots.txt all may be read; raises RunFailed where that cannot be told."""
    url = f"{site.scheme}://{site.authority}/robots.txt"
    try:
        async with runtime.pace.turn(site.host):
            page = await runtime.fetcher.fetch(url, any_type=True)
    except FetchRefused as error:
        raise RunFailed(error.code, error.message) from None
    except FetchFailed as error:
        if _means_none(error):
            return Robots(None)
        words = f"The site's robots.txt cannot be read, so nothing else is asked for. {error.message}"
        raise RunFailed(error.code, words) from None
    return await asyncio.to_thread(read, page.body)


def read(body: bytes) -> Robots:
    """The rules in a robots.txt."""
    text = body[:_MOST_BYTES].decode("utf-8-sig", errors="replace")
    rules = Protego.parse("\n".join(map(_plainly_named, text.splitlines())))
    return Robots(rules, min(rules.crawl_delay(AGENT) or 0.0, _LONGEST_DELAY))


def _plainly_named(line: str) -> str:
    """A line that names robots names us, all, or others: each of thousands named would get a copy of every rule."""
    named = _AGENT_LINE.match(line)
    if named is None:
        return line
    name = named[1].strip()
    return f"User-agent: {AGENT if _OUR_TOKEN.match(name) else '*' if name == '*' else 'others'}"


def _means_none(error: FetchError) -> bool:
    status = error.status if isinstance(error, FetchFailed) else None
    missing = status in _CLIENT_ERRORS and status != _TOO_MANY
    return missing or error.code == "too_many_redirects"
