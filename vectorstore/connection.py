"""The connections to a Qdrant server, shared by the collections of all names on it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import httpx

from vectorstore.address import Address
from vectorstore.calls import Line, Patience
from vectorstore.greeting import Greeting
from vectorstore.index import VectorStoreError

if TYPE_CHECKING:
    from vectorstore.rest import QdrantRest

Result = TypeVar("Result")


class Connection:
    """Requests to the server at an address, tried again as `patience` says; `transport` is closed with it.

    Reads and writes fail apart: a server whose disk is full is still searched. At most `batches` batches of chunks are
    under way at a time. No request is made before the first call.
    """

    def __init__(self, address: Address, transport: httpx.AsyncBaseTransport, patience: Patience, batches: int) -> None:
        self._address = address
        self._transport = transport
        self._reads = Line(str(address), patience.read, patience.read_try, patience.failures, patience.pause)
        self._writes = Line(str(address), patience.write, patience.write_try, patience.failures, patience.pause)
        self.greeting = Greeting(address, transport, patience.read_try)
        self.slots = asyncio.Semaphore(batches)
        self._loading = asyncio.Lock()
        self._rest: QdrantRest | None = None
        self._closed = False

    async def read(self, request: "Callable[[QdrantRest], Awaitable[Result]]") -> Result:
        """The answer to a request that changes nothing."""
        return await self._call(self._reads, request)

    async def write(self, request: "Callable[[QdrantRest], Awaitable[Result]]") -> Result:
        """The answer to a request that changes something, or tells what came of one."""
        return await self._call(self._writes, request)

    def refuse_closed(self) -> None:
        """VectorStoreError once it is closed."""
        if self._closed:
            raise VectorStoreError("The vector store is closed.")

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await self.greeting.close()
        if self._rest is not None:
            await self._rest.close()

    async def _call(self, line: Line, request: "Callable[[QdrantRest], Awaitable[Result]]") -> Result:
        rest = await self._loaded()

        async def attempt() -> Result:
            self.refuse_closed()
            return await request(rest)

        return await line.call(attempt)

    async def _loaded(self) -> "QdrantRest":
        self.refuse_closed()
        async with self._loading:
            if self._rest is None:
                self._rest = await asyncio.to_thread(self._load)
            return self._rest

    def _load(self) -> "QdrantRest":
        from vectorstore.rest import QdrantRest  # noqa: PLC0415

        return QdrantRest(self._address, self._transport)
