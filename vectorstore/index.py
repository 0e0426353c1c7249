"""The interface every vector store implements, and the values that cross it.

The index holds vectors and ids, never text: what a passage says lives, encrypted, in the database. A tenant's vectors
are in a collection; while they are made anew for another embedding model, in two, which have different names.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class VectorStoreError(Exception):
    """The vector store could not do what was asked."""


class VectorStoreBusy(VectorStoreError):
    """Another process owns the embedded vector store; share one by pointing JOBX_QDRANT_URL at a Qdrant server."""


class VectorStoreUnavailable(VectorStoreError):
    """The vector store does not answer or is too busy; the same call may do later, nothing about it is wrong."""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Token ids (unsigned 32 bits, ascending, unique) and their weights, same length."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """One chunk as the index knows it: `dense` has the embedder's dimension and unit length."""

    chunk_id: UUID
    dense: Sequence[float]
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk found, with its fused score in 0..1 (1 is best of this query) and the raw cosine similarity.

    The cosine of what was searched for by its words only is 0.
    """

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    score: float
    cosine: float


def named(prefix: str, name: str) -> str:
    """A collection's name in the store: what all of a tenant's begin with, and its own."""
    return f"{prefix}-{name}" if name else prefix


def names_of(prefix: str, stored: Iterable[str]) -> list[str]:
    """The names of a tenant's collections among all that a store has: of `named` the other way round."""
    return sorted(one[len(prefix) + 1 :] for one in stored if one == prefix or one.startswith(f"{prefix}-"))


def refuse_unusable(dense: Sequence[float], dimension: int) -> None:
    """VectorStoreError unless it is a vector of `dimension` finite numbers."""
    if len(dense) != dimension:
        raise VectorStoreError(f"A vector of {len(dense)} numbers does not fit a store of {dimension}.")
    if not math.isfinite(sum(dense)):
        raise VectorStoreError("A vector holds something that is not a number.")


class VectorIndex(Protocol):
    """One collection per tenant, opened lazily. Every call is safe to run from many tasks at once.

    A call that cannot be done raises VectorStoreError; VectorStoreUnavailable if it may be done later as it is.
    """

    def of(self, name: str, dimension: int) -> "VectorIndex":
        """The tenants' collections of another name (of a-z, 0-9 and -), for vectors of `dimension` numbers.

        It belongs to this store, and is closed with it.
        """
        ...

    async def check(self) -> str | None:
        """What is wrong with this store's settings, in words that hold no secret, or None; for the start of a process.

        That it does not answer now is no fault of the settings, and only logged.
        """
        ...

    async def ping(self) -> None:
        """VectorStoreError unless the store answers now; cheap, and without a tenant."""
        ...

    async def replace(
        self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]
    ) -> None:
        """Store a version's chunks and check that all of them are there; other versions of the document stay."""
        ...

    async def add(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]) -> None:
        """Store some of a version's chunks, beside those that it has: no death of this process takes them away.

        `settle` checks that the version is whole, and makes sure that no death of a machine does.
        """
        ...

    async def settle(self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunk_ids: Sequence[UUID]) -> None:
        """Check that a version has exactly these chunks; what it has beyond them is deleted first."""
        ...

    async def drop_other_versions(self, tenant_id: UUID, document_id: UUID, keep: UUID) -> None:
        """Delete every version of a document but `keep`, and check that they are gone."""
        ...

    async def delete(self, tenant_id: UUID, document_id: UUID) -> None:
        """Delete a document's chunks of all versions, and check that none is left."""
        ...

    async def rewrite(self, tenant_id: UUID) -> bool:
        """Write a tenant's files anew, so that nothing of deleted chunks is left in them; searches go on meanwhile.

        False where the store does that by itself, some time later.
        """
        ...

    async def count(self, tenant_id: UUID, document_id: UUID | None = None) -> int:
        """How many chunks a tenant, or one of its documents, has."""
        ...

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
        """The best `limit` chunks by dense and sparse similarity fused, best first; none without chunks.

        `dense_weight` (0..1) is the share of meaning against words in a match's score. Without `dense` words decide.
        """
        ...

    async def usable(self, tenant_id: UUID) -> bool:
        """Whether a tenant's collection can be used; one that cannot has to be dropped and filled again."""
        ...

    async def names(self, tenant_id: UUID) -> list[str]:
        """The names of all collections that a tenant has in this store."""
        ...

    async def drop(self, tenant_id: UUID) -> None:
        """Remove a tenant's collection of this name and its files; a missing one is no error."""
        ...

    async def close(self) -> None:
        """Flush and let go of every collection."""
        ...
