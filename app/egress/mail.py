"""The way to mail servers that tenants name: connected sockets to checked addresses, and TLS that verifies the name."""

import asyncio
import socket
import ssl
from collections.abc import Sequence

from app.egress.addresses import Address, Network
from app.egress.clients import tls
from app.egress.errors import FetchFailed, FetchRefused
from app.egress.guard import Guard, Resolve

# IMAP over TLS, SMTP over TLS, and SMTP with STARTTLS (RFC 8314).
PORTS = (993, 465, 587)
_CONNECT_SECONDS = 10.0
_MOST_ADDRESSES = 3


class MailDoor:
    """Connects to mail servers on the public internet, at the ports of mail.

    Inside the networks of `allow` any port may be reached, and a server without TLS. `context` is what TLS verifies by.
    """

    def __init__(
        self, allow: Sequence[Network] = (), resolve: Resolve | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._allow = tuple(allow)
        self._guard = Guard(allow, resolve)
        self.context = context or tls()

    async def connect(self, host: str, port: int, *, clear: bool = False) -> socket.socket:
        """A connected socket, not blocking. `clear`: it will carry no TLS.

        Raises FetchRefused for a place that may not be reached, FetchFailed ("connect_failed") for one that is not.
        """
        addresses = await self._guard.addresses(host)
        if (clear or port not in PORTS) and not all(self._is_inside(address) for address in addresses):
            raise FetchRefused("Mail servers are reached with TLS, at port 993, 465 or 587.", code="mail_port_refused")
        for address in addresses[:_MOST_ADDRESSES]:
            found = await _connected(address, port)
            if found is not None:
                return found
        raise FetchFailed("The mail server does not answer.", code="connect_failed", retryable=True)

    def _is_inside(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._allow)


async def _connected(address: Address, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004  # the protocol's number
    plain = socket.socket(family, socket.SOCK_STREAM)
    plain.setblocking(False)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(plain, (str(address), port))
    except (OSError, TimeoutError):
        plain.close()
        return None
    except BaseException:
        plain.close()
        raise
    return plain
