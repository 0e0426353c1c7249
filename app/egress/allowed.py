"""The allow-list of one destination, and what the code is carrying while it works."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

from app.egress.destinations import Data, Destination, Origin

logger = logging.getLogger(__name__)
_carried: ContextVar[frozenset[Data]] = ContextVar("carried", default=frozenset())


class NotDeclaredError(httpx.ConnectError):
    """A request was not sent, because its destination is not declared for it; a connect error, since nothing went out.

    The text names the destination, never the address or anything of the request.
    """


@contextmanager
def carrying(data: Data) -> Iterator[None]:
    """Work with data of a class: until the end, no client goes to a destination that may not have it."""
    token = _carried.set(carried() | {data})
    try:
        yield
    finally:
        _carried.reset(token)


def carried() -> frozenset[Data]:
    """The classes that the code works with just now."""
    return _carried.get()


def check_carried(destination: Destination) -> None:
    """Raise NotDeclaredError if something is carried that must not go to a destination."""
    for data in carried():
        if not destination.may_have(data):
            raise _refused(f"{data} must not go to the {destination.name}.")


class Allowed:
    """What may be asked of a destination: its origins, while nothing is carried that must not go there."""

    def __init__(self, destination: Destination, origins: Iterable[Origin]) -> None:
        self._destination = destination
        self._origins = tuple(origins)

    def check(self, scheme: str, host: str, port: int) -> None:
        """Raise NotDeclaredError for anything else."""
        wanted = Origin(scheme, host.lower(), port)
        if not any(origin.covers(wanted) for origin in self._origins):
            told = ", ".join(sorted(map(str, self._origins))) or "nowhere by these settings"
            raise _refused(f"The {self._destination.name} is declared to be at {told}; a request was for elsewhere.")
        check_carried(self._destination)


def _refused(words: str) -> NotDeclaredError:
    logger.error("a request was not sent: %s", words)
    return NotDeclaredError(words)


class DeclaredTransport(httpx.AsyncBaseTransport):
    """Sends what is allowed and refuses the rest, redirects included: they are requests as well."""

    def __init__(self, allowed: Allowed, inner: httpx.AsyncBaseTransport) -> None:
        self._allowed = allowed
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises NotDeclaredError before anything is looked up or connected."""
        url = request.url
        self._allowed.check(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
