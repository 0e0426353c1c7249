"""Fetching one page that a tenant names."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import httpcore

from app.egress.addresses import Network
from app.egress.allowed import NotDeclaredError, check_carried
from app.egress.body import Body
from app.egress.clients import tls
from app.egress.destinations import PAGES
from app.egress.errors import FetchFailed, FetchRefused
from app.egress.guard import Guard, GuardedBackend, Resolve
from app.egress.urls import Target, parse_url
from app.egress.wire import Wire

MAX_REDIRECTS = 5
_OK = 200
_NOT_MODIFIED = 304
_MAX_VALIDATOR = 500
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429)
_SERVER_ERRORS = range(500, 600)
_WORDS = {
    401: "The page asks for a sign-in.",
    403: "The site does not let the page be read.",
    404: "The page does not exist (404).",
    410: "The page does not exist any more (410).",
    429: "The site asks to be left alone for a while (429).",
}
_OFFICE = (
    *(
        f"application/vnd.openxmlformats-officedocument.{kind}"
        for kind in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
    ),
    *("application/vnd.oasis.opendocument.text", "application/epub+zip", "application/rtf", "text/rtf", "text/csv"),
)
_READABLE = frozenset(
    (
        *("text/html", "application/xhtml+xml", "text/plain", "text/markdown", "text/x-markdown"),
        *("application/pdf", *_OFFICE, "application/octet-stream", "binary/octet-stream"),
    )
)
_ACCEPT = (
    f"text/html,application/xhtml+xml,text/markdown,application/pdf,{','.join(_OFFICE)},text/plain;q=0.9,*/*;q=0.1"
)
_ANY = "application/xml,text/xml,text/plain;q=0.9,*/*;q=0.5"
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?\s*([\w.:+-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page as it came, after redirects; `body` is unpacked but otherwise as it was sent.

    `charset` is what the header says; `etag` and `last_modified` are for asking again, when 304 says that nothing has
    changed. Where redirects were not to be followed, `status` is that of one and `final_url` where it leads. `robots`
    is what X-Robots-Tag says.
    """

    final_url: str
    status: int
    media_type: str | None
    charset: str | None
    body: bytes = field(repr=False)
    etag: str | None
    last_modified: str | None
    robots: str = ""

    @property
    def redirects(self) -> bool:
        """Whether this is no page, but the way to one."""
        return self.status in _REDIRECTS

    @property
    def unchanged(self) -> bool:
        """Whether it is as it was when it was last asked for."""
        return self.status == _NOT_MODIFIED


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a page is asked for."""

    headers: tuple[tuple[str, str], ...]
    follow: bool
    any_type: bool

    @property
    def conditional(self) -> bool:
        return any(name.startswith("If-") for name, _ in self.headers)


class PageFetcher:
    """Fetches pages: `max_bytes` each (unpacked), `seconds` in all, from the public internet and networks of `allow`.

    No cookies, no credentials, no proxy, TLS 1.2 or higher. `contact` is told to the sites in the User-Agent.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        seconds: float,
        allow: Iterable[Network] = (),
        contact: str | None = None,
        resolve: Resolve | None = None,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._guard = Guard(allow, resolve)
        self._agent = f"Mozilla/5.0 (compatible; Jobx{f'; +{contact}' if contact else ''})"
        self._tls = certificates or tls()

    def check(self, url: str) -> str:
        """The URL in its one spelling; raises FetchRefused if it can be told at once that it will not be fetched."""
        target = parse_url(url)
        self._guard.check(target.host)
        return target.url

    async def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        follow: bool = True,
        any_type: bool = False,
    ) -> FetchedPage:
        """The page, redirects followed unless not to `follow`; raises FetchRefused and FetchFailed.

        With what it had for `etag` or `last_modified` its body is left out if it has not changed. `any_type` also takes
        what is no text to be read, such as a packed sitemap.
        """
        try:
            check_carried(PAGES)
        except NotDeclaredError as error:
            raise FetchRefused(str(error), code="not_declared") from None
        given = (
            ("Accept", _ANY if any_type else _ACCEPT),
            ("If-None-Match", etag),
            ("If-Modified-Since", last_modified),
        )
        asked = _Asked(tuple((name, value) for name, value in given if value and _can_be_sent(value)), follow, any_type)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(Wire(self._max_bytes), parse_url(url), asked)
        except TimeoutError:
            words = f"The site took longer than the {self._seconds:g} seconds allowed."
            # Not tried again: whatever a site does with its time, it gets that much of a worker's only once. One that
            # cannot be connected to fails sooner, as "unreachable", and is tried again.
            raise FetchFailed(words, code="timed_out") from None

    async def _follow(self, wire: Wire, target: Target, asked: _Asked) -> FetchedPage:
        backend = GuardedBackend(self._guard, wire)
        # One pool for each fetch: nothing is left open between two, and a name is looked up anew.
        async with httpcore.AsyncConnectionPool(self._tls, max_connections=1, network_backend=backend) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._get(pool, target, asked) as response:
                    await wire.content()
                    headers = headers_of(response)
                    if response.status not in _REDIRECTS or "location" not in headers:
                        return await self._page(target, response, headers, wire, asked)
                target = _next(target, headers["location"])
                if not asked.follow:
                    return FetchedPage(target.url, response.status, None, None, b"", None, None)
        raise FetchFailed("The page sends readers on from address to address.", code="too_many_redirects")

    @asynccontextmanager
    async def _get(
        self, pool: httpcore.AsyncConnectionPool, target: Target, asked: _Asked
    ) -> AsyncIterator[httpcore.Response]:
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        headers = [
            ("Host", target.authority),
            ("User-Agent", self._agent),
            ("Accept-Encoding", "gzip"),
            *asked.headers,
        ]
        with in_words():
            async with pool.stream("GET", url, headers=headers) as response:
                yield response

    async def _page(
        self, target: Target, response: httpcore.Response, headers: Mapping[str, str], wire: Wire, asked: _Asked
    ) -> FetchedPage:
        if response.status == _NOT_MODIFIED and asked.conditional:
            return FetchedPage(target.url, response.status, None, None, b"", None, None)
        if response.status != _OK:
            raise _wrong_status(response.status)
        content_type = headers.get("content-type", "")
        charset = _CHARSET.search(content_type)
        media_type = _media_type(content_type, asked.any_type)
        body = Body(self._max_bytes, headers.get("content-encoding", ""), headers.get("content-length", ""))
        async for part in response.aiter_stream():
            body.feed(part)
            await wire.content()
        return FetchedPage(
            final_url=target.url,
            status=response.status,
            media_type=media_type,
            charset=charset[1].lower() if charset else None,
            body=body.whole(),
            etag=headers.get("etag"),
            last_modified=headers.get("last-modified"),
            robots=headers.get("x-robots-tag", ""),
        )


@contextmanager
def in_words() -> Iterator[None]:
    """Turn what goes wrong on the wire into FetchFailed; all of it may be better next time but a bad certificate."""
    try:
        yield
    except httpcore.ConnectError as error:
        if isinstance(error.__context__, ssl.SSLCertVerificationError):
            words = "The site's certificate is not valid, so it cannot be told who answers."
            raise FetchFailed(words, code="bad_certificate") from None
        raise _unreachable("The site could not be reached.") from None
    except httpcore.ConnectTimeout:
        raise _unreachable("The site could not be reached.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
        raise _unreachable(
            "The connection to the site was lost, or it answered with something else than HTTP."
        ) from None


def _unreachable(words: str) -> FetchFailed:
    return FetchFailed(words, code="unreachable", retryable=True)


def headers_of(response: httpcore.Response) -> dict[str, str]:
    """Names in lower case; the values of one name joined as RFC 9110 says."""
    headers: dict[str, str] = {}
    for raw_name, raw in response.headers:
        name, value = raw_name.decode("latin-1").lower(), _text(raw)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _can_be_sent(value: str) -> bool:
    # Validators come from the site, in whatever form it likes.
    return value.isascii() and value.isprintable() and len(value) <= _MAX_VALIDATOR


def _next(target: Target, location: str) -> Target:
    following = parse_url(location, target)
    if (target.scheme, following.scheme) == ("https", "http"):
        # Whoever sits in between could put words into the answers; a page that is only on http is asked for by that.
        raise FetchRefused("The page sends readers from https on to unencrypted http.", code="insecure_redirect")
    return following


def _wrong_status(status: int) -> FetchFailed:
    retryable = status in _TRANSIENT or status in _SERVER_ERRORS
    words = _WORDS.get(status, f"The site answered with status {status} instead of the page.")
    return FetchFailed(words, code="http_status", retryable=retryable, status=status)


def _media_type(content_type: str, any_type: bool) -> str | None:
    """The declared type, None if there is none; raises FetchFailed for one that is not read."""
    essence = content_type.partition(";")[0].strip().lower()
    if "/" in essence and essence not in _READABLE and not any_type:
        words = "This is not a page of text: only web pages, documents and plain text can be read."
        raise FetchFailed(words, code="unsupported_type")
    return essence if "/" in essence else None
