"""Why a page, or a whole run, came out as it did, in words for the tenant."""

from app.egress import FetchError, FetchFailed
from app.errors import JobxError

REASONS = {
    "cancelled": "The run was cancelled before the page was read.",
    "duplicate": "The page names another address as its own (canonical); that is read in its place.",
    "excluded": "The paths of this source leave the page out.",
    "moved": "The address sends readers on to another site; make a source of that one.",
    "noindex": "The page asks not to be read by robots (noindex).",
    "not_asked": "The run ended before the page was asked for.",
    "not_listed": "The sitemap does not list the page any more.",
    "nothing_found": "No page could be read; the list of pages says why. What was read before goes on answering.",
    "other_site": "The page sends readers on to another site, or to a part that this source leaves out.",
    "page_limit": "The source has as many pages as it may have.",
    "redirected": "The page sends readers on to another address; that is read in its place.",
    "robots_denied": "The site's robots.txt does not let this page be read.",
    "site_down": "The site stopped answering; what was read before goes on answering.",
    "trap": "The address looks like one of endlessly many.",
}
_GONE = (404, 410)
_AWAY = ("timed_out", "unreachable", "dns_failed", "unavailable")


class RunFailed(JobxError):
    """The run cannot go on; nothing is removed."""

    status_code = 502

    def __init__(self, code: str, words: str | None = None) -> None:
        super().__init__(words or REASONS[code], code=code)


def reason_of(error: FetchError) -> str:
    """The code of a page that could not be fetched; one that may be better soon is told from one that will not."""
    return "unavailable" if isinstance(error, FetchFailed) and error.status and error.retryable else error.code


def is_gone(error: FetchError) -> bool:
    """Whether the site says that there is no such page any more."""
    return isinstance(error, FetchFailed) and error.status in _GONE


def is_away(reason: str | None) -> bool:
    """Whether a reason is about the site rather than the page."""
    return reason in _AWAY
