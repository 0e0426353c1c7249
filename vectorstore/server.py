"""The vector store of many processes: `VectorIndex` on a Qdrant server or cluster."""

import asyncio
import copy
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID
from weakref import WeakValueDictionary

import httpx

from vectorstore.address import Address
from vectorstore.among import Lists, best_matches
from vectorstore.calls import Patience
from vectorstore.connection import Connection
from vectorstore.index import (
    ChunkVectors,
    Match,
    SparseVector,
    VectorStoreError,
    VectorStoreUnavailable,
    named,
    names_of,
    refuse_unusable,
)
from vectorstore.refusals import AlreadyThereError, MissingError, TooLargeError, WrongDimensionError
from vectorstore.scope import FIELDS, Scope

log = logging.getLogger(__name__)
# A collection's name is this and its tenant's id; the number is that of the schema.
PREFIX = "jobx-1-"
_NO_TENANT = f"{PREFIX}ping"
# A batch is encoded on the event loop, in about 3 ms, and stays below the 1 MB that many a proxy allows.
_BATCH_CHUNKS, _BATCH_NUMBERS = 64, 24_576


class ServerIndex:
    """Stores vectors of `dimension` numbers on the Qdrant server at `url`, shared with any number of processes.

    `transport` makes the HTTP connections, and is closed with the index. At most `batches` batches of chunks are under
    way at a time. No connection is made before the first call; a server that is down or busy is tried again as
    `patience` says. Reads and writes fail apart: a server whose disk is full is still searched. VectorStoreError if
    `url` is none. Used from one event loop.
    """

    def __init__(
        self,
        url: str,
        dimension: int,
        *,
        transport: httpx.AsyncBaseTransport,
        api_key: str | None = None,
        batches: int = 4,
        patience: Patience | None = None,
    ) -> None:
        self._wire = Connection(Address(url, api_key), transport, patience or Patience(), batches)
        self._named: dict[tuple[str, int], ServerIndex] = {}
        self._take("", dimension)

    def _take(self, name: str, dimension: int) -> None:
        self._name = name
        self._dimension = dimension
        self._writers: WeakValueDictionary[tuple[UUID, UUID], asyncio.Lock] = WeakValueDictionary()
        self._made: set[UUID] = set()
        self._named[name, dimension] = self

    def of(self, name: str, dimension: int) -> "ServerIndex":
        """The collections of another name on the same server."""
        if (name, dimension) not in self._named:
            copy.copy(self)._take(name, dimension)
        return self._named[name, dimension]

    async def check(self) -> str | None:
        """What is wrong with the URL, the key or the server's version, or None.

        That a server is only away is logged: it comes back.
        """
        try:
            self._wire.refuse_closed()
            await self._wire.greeting.check(_NO_TENANT)
        except VectorStoreUnavailable as error:
            # As text: a log tells other errors by their type only.
            log.warning("%s", str(error))
        except VectorStoreError as error:
            return str(error)
        return None

    async def ping(self) -> None:
        """One small request, whatever became of earlier ones."""
        self._wire.refuse_closed()
        await self._wire.greeting.ping(_NO_TENANT)

    async def replace(
        self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]
    ) -> None:
        """Store a version's chunks and count them; chunks this version had before and lacks now are gone."""
        different = len({chunk.chunk_id for chunk in chunks})
        if different != len(chunks):
            raise VectorStoreError(
                f"Only {different} of {len(chunks)} chunks of version {version_id} have an id of their own."
            )
        async with self._writing(tenant_id, document_id):
            await self._add(tenant_id, document_id, version_id, chunks)
            await self._settle(tenant_id, document_id, version_id, tuple(chunk.chunk_id for chunk in chunks))

    async def add(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]) -> None:
        """Store some of a version's chunks durably, beside those that it has."""
        async with self._writing(tenant_id, document_id):
            await self._add(tenant_id, document_id, version_id, chunks)

    async def settle(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunk_ids: Sequence[UUID]) -> None:
        """Check that a version has exactly these chunks; what it has beyond them is deleted first."""
        async with self._writing(tenant_id, document_id):
            await self._settle(tenant_id, document_id, version_id, tuple(chunk_ids))

    async def drop_other_versions(self, tenant_id: UUID, document_id: UUID, keep: UUID) -> None:
        """Delete every version of a document but `keep`; VectorStoreError if any is left."""
        await self._remove(tenant_id, document_id, Scope((document_id,), but_version=keep))

    async def delete(self, tenant_id: UUID, document_id: UUID) -> None:
        """Delete a document's chunks of all versions; VectorStoreError if any is left."""
        await self._remove(tenant_id, document_id, Scope((document_id,)))

    async def rewrite(self, tenant_id: UUID) -> bool:
        """False: the server's own optimiser writes segments anew once enough of them is deleted."""
        return False

    async def count(self, tenant_id: UUID, document_id: UUID | None = None) -> int:
        """How many chunks a tenant, or one of its documents, has."""
        scope = Scope() if document_id is None else Scope((document_id,))
        with suppress(MissingError):
            return await self._wire.read(lambda rest: rest.count(self._collection(tenant_id), scope))
        return 0

    async def search(
        self,
        tenant_id: UUID,
        dense: Sequence[float] | None,
        sparse: SparseVector,
        limit: int,
        document_ids: Sequence[UUID] | None = None,
        *,
        dense_weight: float = 0.5,
    ) -> list[Match]:
        """The best `limit` chunks of a tenant, or of some of its documents, by meaning and by word, best first."""
        if dense is not None:
            refuse_unusable(dense, self._dimension)
        if limit < 1 or (document_ids is not None and not document_ids) or (dense is None and not sparse.indices):
            return []
        with suppress(MissingError):
            return await self._search(self._collection(tenant_id), dense, sparse, limit, document_ids, dense_weight)
        return []

    async def usable(self, tenant_id: UUID) -> bool:
        """Whether a tenant's vectors have this store's dimension; true without any."""
        with suppress(MissingError):
            found = await self._wire.read(lambda rest: rest.describe(self._collection(tenant_id)))
            return found.dimension == self._dimension
        return True

    async def names(self, tenant_id: UUID) -> list[str]:
        """The names of a tenant's collections."""
        return names_of(f"{PREFIX}{tenant_id.hex}", await self._wire.read(lambda rest: rest.names()))

    async def drop(self, tenant_id: UUID) -> None:
        """Remove a tenant's collection; a missing one is no error. VectorStoreError if it is still there."""
        self._made.discard(tenant_id)
        name = self._collection(tenant_id)
        await self._wire.write(lambda rest: rest.drop(name))
        if await self._wire.write(lambda rest: rest.exists(name)):
            raise VectorStoreError(f"The vector collection of tenant {tenant_id} is still there.")

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._wire.close()

    def _collection(self, tenant_id: UUID) -> str:
        return named(f"{PREFIX}{tenant_id.hex}", self._name)

    async def _add(self, tenant: UUID, document: UUID, version: UUID, chunks: Sequence[ChunkVectors]) -> None:
        for chunk in chunks:
            refuse_unusable(chunk.dense, self._dimension)
        try:
            await self._write_batches(tenant, document, version, chunks)
        except MissingError:  # another process dropped the tenant since this one made its collection
            self._made.discard(tenant)
            await self._write_batches(tenant, document, version, chunks)

    async def _write_batches(self, tenant: UUID, document: UUID, version: UUID, chunks: Sequence[ChunkVectors]) -> None:
        if chunks:
            await self._ensure(tenant)
            await _all(self._upsert(tenant, document, version, batch) for batch in _batches(chunks, self._dimension))

    async def _ensure(self, tenant_id: UUID) -> None:
        """Make the tenant's collection, or what is missing of it; WrongDimensionError if it does not fit."""
        if tenant_id in self._made:
            return
        name = self._collection(tenant_id)
        try:
            found = await self._wire.write(lambda rest: rest.describe(name))
        except MissingError:
            with suppress(AlreadyThereError):  # another process was quicker, or the answer of our first try was lost
                await self._wire.write(lambda rest: rest.create(name, self._dimension))
            found = await self._wire.write(lambda rest: rest.describe(name))
        if found.dimension != self._dimension:
            raise WrongDimensionError
        for field in sorted(FIELDS - found.indexed):
            await self._index(name, field)
        self._made.add(tenant_id)

    async def _index(self, name: str, field: str) -> None:
        await self._wire.write(lambda rest: rest.create_index(name, field))

    async def _upsert(self, tenant: UUID, document: UUID, version: UUID, batch: Sequence[ChunkVectors]) -> None:
        try:
            async with self._wire.slots:
                await self._wire.write(lambda rest: rest.upsert(self._collection(tenant), document, version, batch))
        except TooLargeError:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                await self._upsert(tenant, document, version, part)

    async def _settle(self, tenant: UUID, document: UUID, version: UUID, chunk_ids: tuple[UUID, ...]) -> None:
        """Check that a version has exactly these chunks; what it has beyond them is deleted first."""
        whole, name = (len(chunk_ids), 0), self._collection(tenant)
        surplus = Scope((document,), version, but_chunks=chunk_ids)
        stored = await self._stored(name, document, version, surplus)
        if stored[1]:
            await self._wire.write(lambda rest: rest.remove(name, surplus))
            stored = await self._stored(name, document, version, surplus)
        if stored != whole:
            raise VectorStoreError(
                f"{stored[0]} of {len(chunk_ids)} chunks of version {version} are in the vector store, "
                f"and {stored[1]} others."
            )

    async def _stored(self, name: str, document: UUID, version: UUID, surplus: Scope) -> tuple[int, int]:
        """How many chunks of a version are wanted, and how many are not."""
        try:
            every = await self._wire.write(lambda rest: rest.count(name, Scope((document,), version)))
            others = await self._wire.write(lambda rest: rest.count(name, surplus))
        except MissingError:
            return 0, 0
        return every - others, others

    async def _remove(self, tenant_id: UUID, document_id: UUID, doomed: Scope) -> None:
        name = self._collection(tenant_id)
        async with self._writing(tenant_id, document_id):
            with suppress(MissingError):
                await self._wire.write(lambda rest: rest.remove(name, doomed))
                left = await self._wire.write(lambda rest: rest.count(name, doomed))
                if left:
                    raise VectorStoreError(f"{left} chunks of document {document_id} are still in the vector store.")

    async def _search(
        self,
        name: str,
        dense: Sequence[float] | None,
        sparse: SparseVector,
        limit: int,
        document_ids: Sequence[UUID] | None,
        dense_weight: float,
    ) -> list[Match]:
        async def hits(most: int, among: Sequence[UUID] | None) -> Lists:
            scope = Scope(None if among is None else tuple(among))
            return await self._wire.read(lambda rest: rest.search(name, dense, sparse, most, scope))

        async def cosines(chunk_ids: Sequence[UUID]) -> dict[UUID, float]:
            return await self._wire.read(lambda rest: rest.cosines(name, dense or (), chunk_ids))

        return await best_matches(hits, None if dense is None else cosines, limit, document_ids, dense_weight)

    @asynccontextmanager
    async def _writing(self, tenant_id: UUID, document_id: UUID) -> AsyncIterator[None]:
        # A write is several requests; another writer of the same document in this process must not come between them.
        async with self._writers.setdefault((tenant_id, document_id), asyncio.Lock()):
            yield


def _batches(chunks: Sequence[ChunkVectors], dimension: int) -> Iterator[Sequence[ChunkVectors]]:
    size = max(1, min(_BATCH_CHUNKS, _BATCH_NUMBERS // dimension))
    return (chunks[start : start + size] for start in range(0, len(chunks), size))


async def _all(jobs: Iterable[Coroutine[None, None, None]]) -> None:
    """Run all jobs; the first error stops the others, and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
