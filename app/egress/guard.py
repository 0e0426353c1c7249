"""The guard against server-side request forgery: a host that a tenant names leads to the public internet or nowhere.

A name is looked up once. Every address it has is checked, and the connection goes to a checked address, so nothing can
change in between (DNS rebinding). TLS still verifies the name.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address

import httpcore

from app.egress.addresses import Address, Network, may_reach
from app.egress.errors import FetchFailed, FetchRefused
from app.egress.urls import literal, parse_host
from app.egress.wire import CountedStream, Wire

Resolve = Callable[[str], Awaitable[Sequence[str]]]

_CONNECT_SECONDS = 5.0
# A look-up cannot be cut short, and whoever names a host may let its name server be silent. The loop's own threads, few
# as they are, stay free for the names of providers. As many as there are posts at once.
_threads = ThreadPoolExecutor(64, thread_name_prefix="look-up")
# Names that mean something only inside a network: RFC 6761, 6762, 7686, 8375, 9476, ICANN's .internal, and custom.
_LOCAL_SUFFIXES = frozenset(
    (
        *("alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain"),
        *("localhost", "onion", "private", "test"),
    )
)
_NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)


class NotPublic(FetchRefused):
    """There is no public site at this address. Check its spelling; sites inside a private network cannot be read."""

    # The same words whether a name does not exist or leads inside: they must not tell which inner names there are.
    code = "url_not_public"


class Guard:
    """Finds the addresses of hosts; `allow` lists private networks that may be reached all the same.

    Without `public` nothing but these.
    """

    def __init__(self, allow: Iterable[Network] = (), resolve: Resolve | None = None, *, public: bool = True) -> None:
        self._allow = tuple(allow)
        self._public = public
        self._resolve = resolve or look_up

    def check(self, host: str) -> str:
        """The host in its one spelling (`urls.parse_host`); raises FetchRefused if that takes no look-up."""
        host = parse_host(host)
        address = literal(host)
        if address is not None and not self._may_reach(address):
            raise NotPublic
        # Where private networks are allowed, their own names are, too; the addresses decide.
        if address is None and not self._allow and _is_local(host):
            raise NotPublic
        return host

    async def addresses(self, host: str) -> list[Address]:
        """The addresses of a host, each of them checked.

        Raises FetchRefused (NotPublic if as little as one of them may not be reached) and FetchFailed ("dns_failed").
        """
        host = self.check(host)
        address = literal(host)
        if address is not None:
            return [address]
        # The dot at the end keeps the search list of a private network out.
        found = await self._found(host if self._allow else f"{host}.")
        if not found or not all(map(self._may_reach, found)):
            raise NotPublic
        return found

    def _may_reach(self, address: Address) -> bool:
        inside = any(address in network for network in self._allow)
        return may_reach(address, self._allow) and (self._public or inside)

    async def _found(self, name: str) -> list[Address]:
        try:
            return [ip_address(text) for text in dict.fromkeys(await self._resolve(name))]
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                raise NotPublic from None
            words = "The site's name could not be looked up just now."
            raise FetchFailed(words, code="dns_failed", retryable=True) from None
        except UnicodeError:
            raise NotPublic from None


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects httpcore to nothing but checked addresses, and counts what comes; httpcore verifies TLS by the name."""

    def __init__(self, guard: Guard, wire: Wire) -> None:
        self._guard = guard
        self._wire = wire
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the name is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Try the host's addresses in turn; raises what the last one did, or as `Guard.addresses`."""
        seconds = min(timeout or _CONNECT_SECONDS, _CONNECT_SECONDS)
        *others, last = await self._guard.addresses(host)
        for address in others:
            try:
                return await self._connect(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._connect(last, port, seconds, local_address, socket_options)

    async def _connect(
        self,
        address: Address,
        port: int,
        seconds: float,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        plain = await self._plain.connect_tcp(str(address), port, seconds, local_address, socket_options)
        return CountedStream(plain, self._wire)


async def look_up(name: str) -> list[str]:
    """The system's answer for a name; raises socket.gaierror."""
    asking = partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_threads, asking)
    return [str(entry[4][0]) for entry in found]


def _is_local(name: str) -> bool:
    return "." not in name or name.rpartition(".")[2] in _LOCAL_SUFFIXES
