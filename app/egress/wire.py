"""The bytes of one fetch on their way in: how many may come, and how few of them are taken at a time."""

import asyncio
import ssl
from typing import Any

import httpcore

from app.egress.errors import FetchFailed

# An answer's head, what comes before it (RFC 9110 allows any number of 1xx answers) and what is between two pieces of
# content (chunk sizes, trailers): Node reads 16 KiB of it. Cut into 5,000 headers it takes the parser some 8 ms.
_MAX_FRAMING = 20 * 1024
# Heads of all redirects, and the framing of all chunks.
_ALLOWANCE = 512 * 1024
# The parser works through all it is given without a pause: 2 KiB may hold 341 chunks, which take it some 7 ms.
_PIECE = 2 * 1024
_READ = 64 * 1024
# Reads and pieces of content: whole pieces make two for every 2 KiB, and these may come on top.
_SPARE_STEPS = 16 * 1024
_STEPS_BETWEEN_PAUSES = 64


class Wire:
    """Counts what comes in during one fetch of a page of `max_bytes`; raises FetchFailed ("bad_response") if it is more
    than any such page needs. That is not worth another try: it would cost as much again.
    """

    def __init__(self, max_bytes: int) -> None:
        self._limit = max_bytes + _ALLOWANCE
        self._came = 0
        self._framing = 0
        self._steps = 0

    def took(self, count: int) -> None:
        """So many bytes came, of whatever they are."""
        self._came += count
        self._framing += count
        if self._came > self._limit or self._framing > _MAX_FRAMING:
            raise _not_a_page()
        self._step()

    async def content(self) -> None:
        """The head of an answer is complete, or a piece of its content came; gives way to others now and then."""
        self._framing = 0
        self._step()
        if self._steps % _STEPS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _SPARE_STEPS + 2 * self._came // _PIECE:
            raise _not_a_page()


class CountedStream(httpcore.AsyncNetworkStream):
    """A connection whose bytes a Wire counts, and which hands them on in small pieces, giving way between them.

    It is closed when its TLS handshake is cancelled; httpcore's own is left open then.
    """

    def __init__(self, plain: httpcore.AsyncNetworkStream, wire: Wire) -> None:
        self._plain = plain
        self._wire = wire
        self._rest = memoryview(b"")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The next bytes, at most 2 KiB of them; none at the end."""
        await asyncio.sleep(0)
        if not self._rest:
            self._rest = memoryview(await self._plain.read(_READ, timeout))
        size = min(max_bytes, _PIECE)
        piece, self._rest = bytes(self._rest[:size]), self._rest[size:]
        self._wire.took(len(piece))
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send bytes."""
        await self._plain.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._plain.aclose()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        return self._plain.get_extra_info(info)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """The connection with TLS, counted by what it carries inside."""
        try:
            return CountedStream(await self._plain.start_tls(ssl_context, server_hostname, timeout), self._wire)
        except BaseException:
            await self._plain.aclose()
            raise


def _not_a_page() -> FetchFailed:
    words = "The site does not answer with a page: it sends too much around it, or it in too many pieces."
    return FetchFailed(words, code="bad_response")
