"""Posting to an address that a tenant names: one request, no redirect, and of the answer no more than its head."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore

from app.egress.addresses import Network
from app.egress.allowed import NotDeclaredError, check_carried
from app.egress.clients import tls
from app.egress.destinations import WEBHOOKS
from app.egress.errors import FetchError, FetchRefused
from app.egress.guard import Guard, GuardedBackend, Resolve
from app.egress.pages import headers_of, in_words
from app.egress.urls import Target, parse_url
from app.egress.wire import Wire

SECONDS = 10.0
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a post: the status of the answer, else a code that says why there is none.

    `retry_after` is for how many seconds the receiver asked to be left alone.
    """

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver took it."""
        return self.status in _SUCCESS


class Poster:
    """Posts to the public internet by https, and inside the networks of `allow` by http too; `seconds` in all.

    No cookies, no proxy, TLS 1.2 or higher. `contact` is told to receivers in the User-Agent.
    """

    def __init__(
        self,
        *,
        allow: Iterable[Network] = (),
        seconds: float = SECONDS,
        contact: str | None = None,
        resolve: Resolve | None = None,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        networks = tuple(allow)
        self._guards = {"https": Guard(networks, resolve), "http": Guard(networks, resolve, public=False)}
        self._clear = bool(networks)
        self._seconds = seconds
        self._agent = f"Jobx-Webhooks/1{f' (+{contact})' if contact else ''}"
        self._tls = certificates or tls()

    def check(self, url: str) -> str:
        """The URL in its one spelling; raises FetchRefused if it can be told at once that nothing will be posted."""
        target = parse_url(url)
        if target.scheme == "http" and not self._clear:
            raise FetchRefused("The address of a webhook begins with https://.", code="url_scheme")
        self._guards[target.scheme].check(target.host)
        return target.url

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Post JSON; whatever goes wrong is in what it returns."""
        try:
            check_carried(WEBHOOKS)
            async with asyncio.timeout(self._seconds):
                return await self._post(parse_url(self.check(url)), headers, body)
        except NotDeclaredError:
            return Posted(error="not_declared")
        except TimeoutError:
            return Posted(error="timed_out")
        except FetchError as error:
            return Posted(error=error.code)

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Posted:
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        fields = {
            "Host": target.authority,
            "User-Agent": self._agent,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **headers,
        }
        backend = GuardedBackend(self._guards[target.scheme], Wire(0))
        # One pool for each post: nothing is left open between two, and a name is looked up anew.
        async with httpcore.AsyncConnectionPool(self._tls, max_connections=1, network_backend=backend) as pool:
            with in_words():
                async with pool.stream("POST", url, headers=list(fields.items()), content=body) as response:
                    return Posted(response.status, None, _seconds(headers_of(response).get("retry-after", "")))


def _seconds(value: str) -> float | None:
    """A Retry-After in seconds, as a number or a date (RFC 9110)."""
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)
