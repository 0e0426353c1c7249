"""Parsing files in a child process that can be killed: a hostile file costs one parse, never the service."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from ingestion.process import ChildGone, ChildProcess
from ingestion.types import Extracted, IngestionError, Limits, PageLinks, ParsedDocument
from ingestion.wire import Reply, pack

_MIB = 1024 * 1024
# JSON spells a character in up to 6 bytes, and a heading is repeated in each of its sections.
_REPLY_BYTES_PER_CHARACTER = 12
_BATCH_BYTES = 16 * _MIB
_CRASHED = "The file could not be read: it is damaged, or needs more memory than is allowed."

_Outcome = TypeVar("_Outcome")


class ParserClosed(Exception):
    """The parser was closed before the file was read; nothing is known about the file."""


class Parser:
    """Parses one file at a time in one child process, started by the first call.

    The child is replaced when it was killed, after `max_parses` files and when it holds more than `resident_mib`; it is
    ended after `idle_seconds` without work. Belongs to the event loop that it is first used in.
    """

    def __init__(self, *, max_parses: int = 200, resident_mib: int = 512, idle_seconds: float = 300.0) -> None:
        self._max_parses = max_parses
        self._resident_mib = resident_mib
        self._idle_seconds = idle_seconds
        self._lock = asyncio.Lock()
        self._closed = False
        self._child: ChildProcess | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def parse(
        self, data: bytes, *, filename: str | None, media_type: str | None, limits: Limits
    ) -> ParsedDocument:
        """The document in `data`. Calls queue; cancelling one ends its parse.

        Raises IngestionError: "empty", "too_large", "unsupported_type", "mislabelled", "damaged", "password",
        "too_many_pages", "too_long", "too_complex", "timed_out" or "crashed"; and ParserClosed.
        """
        _refuse_size(data, limits)
        outcome = await self._work(data, limits, "read", filename=filename, media_type=media_type)
        return _expected(ParsedDocument, outcome)

    async def links(self, data: bytes, *, base_url: str, kind: Literal["page", "sitemap"], limits: Limits) -> PageLinks:
        """Where a page that came from `base_url`, or a sitemap, leads; a packed sitemap is unpacked.

        Raises IngestionError: "empty", "too_large", "damaged", "too_complex", "timed_out" or "crashed"; and
        ParserClosed.
        """
        _refuse_size(data, limits)
        return _expected(PageLinks, await self._work(data, limits, "links", kind=kind, base_url=base_url))

    async def members(self, data: bytes, *, start: int, limits: Limits) -> Extracted:
        """A batch of the documents in a ZIP archive, from entry `start` on; see `ingestion.archive.members`."""
        return _expected(Extracted, await self._work(data, limits, "members", start=start))

    async def pictures(self, data: bytes, pages: Sequence[int], *, limits: Limits) -> Extracted:
        """How pages of a PDF look, each a PGM picture named by its number; those that cannot be drawn are left out."""
        return _expected(Extracted, await self._work(data, limits, "pictures", pages=list(pages)))

    async def close(self) -> None:
        """End the child; a parse that is under way and later ones raise ParserClosed."""
        self._closed = True
        self._stop_idling()
        await self._end_child()

    async def _work(self, data: bytes, limits: Limits, work: str, **values: Any) -> object:
        request = _request(data, limits, work, values)
        async with self._lock:
            if self._closed:
                raise ParserClosed
            self._stop_idling()
            reply = await self._within_limits(request, data, limits)
            self._start_idling()
        if isinstance(reply.outcome, IngestionError):
            raise reply.outcome
        return reply.outcome

    async def _within_limits(self, request: bytes, data: bytes, limits: Limits) -> Reply:
        try:
            async with asyncio.timeout(limits.seconds):
                return await self._exchange(request, data, limits)
        except TimeoutError:
            words = f"Reading the file took longer than the {limits.seconds:g} seconds allowed."
            raise IngestionError("timed_out", words) from None
        except ChildGone:
            if self._closed:
                raise ParserClosed from None
            raise IngestionError("crashed", _CRASHED) from None

    async def _exchange(self, request: bytes, data: bytes, limits: Limits) -> Reply:
        """The child's reply. A used child that fails may have been spoilt by earlier files, so then a new one tries."""
        while True:
            child = await self._ready_child(limits.memory_mib)
            used = child.served > 0
            try:
                reply = await asyncio.to_thread(child.exchange, request, data, _max_reply(limits))
            except BaseException as error:
                # Also when the caller was cancelled or out of time: nobody waits for this child any more.
                await self._end_child()
                if used and isinstance(error, ChildGone) and not self._closed:
                    continue
                raise
            if self._worn(child, reply):
                await self._end_child()
            if not (used and _too_complex(reply)):
                return reply

    async def _ready_child(self, memory_mib: int) -> ChildProcess:
        if self._child is not None and not (self._child.alive() and self._child.memory_mib == memory_mib):
            await self._end_child()
        if self._child is None:
            self._child = ChildProcess(memory_mib)
        return self._child

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await asyncio.to_thread(child.end)

    def _worn(self, child: ChildProcess, reply: Reply) -> bool:
        return child.served >= self._max_parses or reply.resident_mib > self._resident_mib or _too_complex(reply)

    def _start_idling(self) -> None:
        self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle_child)

    def _end_idle_child(self) -> None:
        # The child is taken away at once, so that a parse that begins now starts another.
        child, self._child = self._child, None
        if child is not None:
            asyncio.get_running_loop().run_in_executor(None, child.end)

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()


def _refuse_size(data: bytes, limits: Limits) -> None:
    if not data:
        raise IngestionError("empty", "The file is empty.")
    if len(data) > limits.max_bytes:
        raise IngestionError("too_large", f"The file is larger than {limits.max_bytes / _MIB:g} MiB.")


def _request(data: bytes, limits: Limits, work: str, values: dict[str, Any]) -> bytes:
    return pack({"work": work, "size": len(data), "limits": asdict(limits), **values})


def _max_reply(limits: Limits) -> int:
    # A batch of files is closed by the one that fills it.
    return _MIB + max(_REPLY_BYTES_PER_CHARACTER * limits.max_characters, 2 * limits.max_bytes + _BATCH_BYTES)


def _expected(kind: type[_Outcome], outcome: object) -> _Outcome:
    if not isinstance(outcome, kind):
        raise IngestionError("crashed", _CRASHED)
    return outcome


def _too_complex(reply: Reply) -> bool:
    return isinstance(reply.outcome, IngestionError) and reply.outcome.code == "too_complex"
