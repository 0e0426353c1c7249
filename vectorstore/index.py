"""The interface every vector store implements, and the values that cross it.

The index holds vectors and ids, never text: what a passage says lives, encrypted, in the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class VectorStoreError(Exception):
    """The vector store could not do what was asked."""


class VectorStoreBusy(VectorStoreError):
    """Another process owns the embedded vector store; share one by pointing JOBX_QDRANT_URL at a Qdrant server."""


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
    """A chunk found, with its fused score in 0..1 (1 is best of this query) and the raw cosine similarity."""

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    score: float
    cosine: float


class VectorIndex(Protocol):
    """One collection per tenant, opened lazily. Every call is safe to run from many tasks at once."""

    async def replace(
        self, tenant_id: UUID, document_id: UUID, version_id: UUID, chunks: Sequence[ChunkVectors]
    ) -> None:
        """Store a version's chunks and check that all of them are there; other versions of the document stay."""
        ...

    async def drop_other_versions(self, tenant_id: UUID, document_id: UUID, keep: UUID) -> None:
        """Delete every version of a document but `keep`, and check that they are gone."""
        ...

    async def delete(self, tenant_id: UUID, document_id: UUID) -> None:
        """Delete a document's chunks of all versions, and check that none is left."""
        ...

    async def count(self, tenant_id: UUID, document_id: UUID | None = None) -> int:
        """How many chunks a tenant, or one of its documents, has."""
        ...

    async def search(
        self,
        tenant_id: UUID,
        dense: Sequence[float],
        sparse: SparseVector,
        limit: int,
        document_ids: Sequence[UUID] | None = None,
    ) -> list[Match]:
        """The best `limit` chunks by dense and sparse similarity fused, best first; none without chunks."""
        ...

    async def drop(self, tenant_id: UUID) -> None:
        """Remove a tenant's collection and its files; a missing one is no error."""
        ...

    async def close(self) -> None:
        """Flush and let go of every collection."""
        ...
