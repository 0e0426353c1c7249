"""Web sites on loopback, made of raw sockets, so that they can misbehave."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

from app.egress import PageFetcher

LOOPBACK = (ip_network("127.0.0.0/8"),)
NAME = "shop.example"
Serve = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A running site: its port, and the heads of the requests it got."""

    port: int
    requests: list[str] = field(default_factory=list)

    def url(self, path: str = "/", host: str = NAME, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def site(serve: Serve | bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serve bytes as they are, or let a coroutine write the answer to a path."""
    running = Site(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            running.requests.append(head)
            if isinstance(serve, bytes):
                writer.write(serve)
            else:
                await serve(head.split()[1], writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    async with server:
        yield running


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole response; headers are written with _ for -."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = {"Content-Type": "text/html", "Content-Length": str(len(body)), "Connection": "close", **given}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(status=status, Location=location)


def zipped(data: bytes) -> bytes:
    return answer(gzip.compress(data), Content_Encoding="gzip")


def resolver(*answers: Sequence[str]) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A resolver that gives one answer after the other, and the last one from then on."""
    left = list(answers)

    async def resolve(_name: str) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def fetcher(**changes: object) -> PageFetcher:
    """A fetcher for which every name is on loopback, and loopback is allowed."""
    values = {"max_bytes": 1_000_000, "seconds": 5, "allow": LOOPBACK, "resolve": resolver(["127.0.0.1"])}
    return PageFetcher(**(values | changes))  # type: ignore[arg-type]
