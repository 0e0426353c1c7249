"""The embedded vector store: `VectorIndex` on Qdrant Edge, for one process and without a server.

Edge holds the interpreter lock during every call, so more threads would win nothing: all calls run on one thread, in
pieces of a few milliseconds. Its optimiser is never called: it would stop the process for seconds, and searching
unindexed takes 3 ms for 20,000 chunks and 16 ms for 100,000 (384 dimensions).
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from vectorstore.among import Lists, best_matches
from vectorstore.index import ChunkVectors, Match, SparseVector, VectorStoreError, refuse_unusable
from vectorstore.shards import Ownership, Shards, recover

Params = ParamSpec("Params")
Result = TypeVar("Result")
_BATCH = 64


class _Root:
    """The folder, which this process owns, and its thread; shared by the collections of all names in it."""

    def __init__(self, folder: Path, max_open: int) -> None:
        self.ownership = Ownership(folder)
        self.folder = folder
        self.max_open = max_open
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qdrant-edge")
        self.named: dict[tuple[str, int], EdgeIndex] = {}
        self.closed = False
        recover(folder)


class EdgeIndex:
    """Stores vectors of `dimension` numbers below `root`, which this process owns until `close`.

    At most `max_open` tenants' files are open at a time, of each name. VectorStoreBusy if `root` has an owner already.
    Used from one event loop.
    """

    def __init__(self, root: Path, dimension: int, *, max_open: int = 64) -> None:
        self._root = _Root(root, max_open)
        self._take("", dimension)

    def _take(self, name: str, dimension: int) -> None:
        self._shards = Shards(self._root.folder, dimension, self._root.max_open, name)
        self._name = name
        self._dimension = dimension
        self._writers: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._root.named[name, dimension] = self

    def of(self, name: str, dimension: int) -> "EdgeIndex":
        """The collections of another name in the same folder."""
        if (name, dimension) not in self._root.named:
            copy.copy(self)._take(name, dimension)
        return self._root.named[name, dimension]

    async def check(self) -> str | None:
        """None, or that it is closed: the folder was opened and is owned since this object exists."""
        return "The vector store is closed." if self._root.closed else None

    async def ping(self) -> None:
        """Wait until the store's thread has time."""
        self._refuse_closed()
        await asyncio.get_running_loop().run_in_executor(self._root.thread, lambda: None)

    async def replace(
        self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]
    ) -> None:
        """Store a version's chunks durably and count them; chunks this version had before and lacks now are gone."""
        async with self._writing(tenant_id):
            await self._add(tenant_id, document_id, version_id, chunks)
            await self._run(self._settle, tenant_id, document_id, version_id, [chunk.chunk_id for chunk in chunks])

    async def add(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]) -> None:
        """Store some of a version's chunks, beside those that it has; on the disk they are once it is settled."""
        async with self._writing(tenant_id):
            await self._add(tenant_id, document_id, version_id, chunks)

    async def settle(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunk_ids: Sequence[UUID]) -> None:
        """Check that a version has exactly these chunks; what it has beyond them is deleted first."""
        async with self._writing(tenant_id):
            await self._run(self._settle, tenant_id, document_id, version_id, chunk_ids)

    async def drop_other_versions(self, tenant_id: UUID, document_id: UUID, keep: UUID) -> None:
        """Delete every version of a document but `keep`; VectorStoreError if any is left."""
        async with self._writing(tenant_id):
            await self._run(self._remove, tenant_id, document_id, keep)

    async def delete(self, tenant_id: UUID, document_id: UUID) -> None:
        """Delete a document's chunks of all versions; VectorStoreError if any is left."""
        async with self._writing(tenant_id):
            await self._run(self._remove, tenant_id, document_id, None)

    async def rewrite(self, tenant_id: UUID) -> bool:
        """Copy a tenant's chunks into a new shard, piece by piece, and put it in the old one's place; always true."""
        async with self._writing(tenant_id):
            await self._run(self._shards.begin_copy, tenant_id)
            after: UUID | None = None
            while (after := await self._run(self._shards.copy, tenant_id, after, _BATCH)) is not None:
                pass
            await self._run(self._shards.end_copy, tenant_id)
        return True

    async def count(self, tenant_id: UUID, document_id: UUID | None = None) -> int:
        """How many chunks a tenant, or one of its documents, has."""
        return await self._run(self._count, tenant_id, document_id)

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

        async def hits(most: int, among: Sequence[UUID] | None) -> Lists:
            return await self._run(self._hits, tenant_id, dense, sparse, most, among)

        async def cosines(chunk_ids: Sequence[UUID]) -> dict[UUID, float]:
            return await self._run(self._cosines, tenant_id, dense or (), chunk_ids)

        return await best_matches(hits, None if dense is None else cosines, limit, document_ids, dense_weight)

    async def usable(self, tenant_id: UUID) -> bool:
        """Whether a tenant's files can be read and have this store's dimension; true without any."""
        self._refuse_closed()
        try:
            await self._run(self._count, tenant_id, None)
        except VectorStoreError:
            return False
        return True

    async def names(self, tenant_id: UUID) -> list[str]:
        """The names of a tenant's folders."""
        return await self._run(self._shards.names, tenant_id)

    async def drop(self, tenant_id: UUID) -> None:
        """Remove a tenant's folder; a missing one is no error."""
        async with self._writing(tenant_id):
            for (name, _), one in list(self._root.named.items()):
                if name == self._name:
                    # Opened for vectors of another length, it would keep the removed files.
                    await self._run(one._shards.forget, tenant_id)
            await self._run(self._shards.drop, tenant_id)

    async def close(self) -> None:
        """Flush and close every shard and give `root` back; a second call does nothing."""
        if self._root.closed:
            return
        self._root.closed = True
        try:
            for one in list(self._root.named.values()):
                await asyncio.get_running_loop().run_in_executor(self._root.thread, one._shards.close)
        finally:
            self._root.thread.shutdown(wait=False)
            self._root.ownership.release()

    @asynccontextmanager
    async def _writing(self, tenant_id: UUID) -> AsyncIterator[None]:
        # A write is several pieces on the thread; another writer of the same tenant must not come between them.
        async with self._writers.setdefault(tenant_id, asyncio.Lock()):
            yield

    async def _run(
        self,
        job: Callable[Concatenate[UUID, Params], Result],
        tenant_id: UUID,
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        self._refuse_closed()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._root.thread, lambda: self._guarded(job, tenant_id, *args, **kwargs))

    def _refuse_closed(self) -> None:
        if self._root.closed:
            raise VectorStoreError("The vector store is closed.")

    def _guarded(
        self,
        job: Callable[Concatenate[UUID, Params], Result],
        tenant_id: UUID,
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        try:
            return job(tenant_id, *args, **kwargs)
        except VectorStoreError:
            raise
        except BaseException as error:  # a Rust panic is no Exception
            with suppress(BaseException):
                self._shards.forget(tenant_id)
            raise VectorStoreError(f"The vector collection of tenant {tenant_id} failed; it may be damaged.") from error

    async def _add(self, tenant: UUID, document: UUID, version: UUID, chunks: Sequence[ChunkVectors]) -> None:
        for chunk in chunks:
            refuse_unusable(chunk.dense, self._dimension)
        for start in range(0, len(chunks), _BATCH):
            await self._run(self._upsert, tenant, document, version, chunks[start : start + _BATCH])

    def _upsert(self, tenant_id: UUID, document_id: UUID, version_id: UUID, batch: Sequence[ChunkVectors]) -> None:
        self._shards.made(tenant_id).upsert(document_id, version_id, batch)

    def _settle(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunk_ids: Sequence[UUID]) -> None:
        shard = self._shards.existing(tenant_id)
        stored = 0
        if shard is not None:
            shard.remove_others(document_id, version_id, chunk_ids)
            shard.flush()
            stored = shard.count(document_id, version_id)
        wanted = len(chunk_ids)
        if stored != wanted:
            raise VectorStoreError(f"{stored} of {wanted} chunks of version {version_id} are in the vector store.")

    def _remove(self, tenant_id: UUID, document_id: UUID, but_version: UUID | None) -> None:
        shard = self._shards.existing(tenant_id)
        if shard is None:
            return
        left = shard.remove(document_id, but_version=but_version)
        shard.flush()
        if left:
            raise VectorStoreError(f"{left} chunks of document {document_id} are still in the vector store.")

    def _count(self, tenant_id: UUID, document_id: UUID | None) -> int:
        shard = self._shards.existing(tenant_id)
        return 0 if shard is None else shard.count(document_id)

    def _hits(
        self,
        tenant_id: UUID,
        dense: Sequence[float] | None,
        sparse: SparseVector,
        most: int,
        document_ids: Sequence[UUID] | None,
    ) -> Lists:
        shard = self._shards.existing(tenant_id)
        return ([], []) if shard is None else shard.search(dense, sparse, most, document_ids)

    def _cosines(self, tenant_id: UUID, dense: Sequence[float], chunk_ids: Sequence[UUID]) -> dict[UUID, float]:
        shard = self._shards.existing(tenant_id)
        return {} if shard is None else shard.cosines(dense, chunk_ids)
