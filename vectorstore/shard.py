"""One tenant's Qdrant Edge shard: its schema, and what is asked of it.

Importing this loads Qdrant Edge, so it is imported on first use. Every call holds the interpreter lock while it runs.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge

from vectorstore.fusion import Hit, by_kind
from vectorstore.index import ChunkVectors, SparseVector

_DENSE, _SPARSE = "dense", "sparse"
_DOCUMENT, _VERSION = "document_id", "version_id"
_BLOCK = 512


class Shard:
    """An open shard for dense vectors of `dimension` numbers; whoever opens it closes it."""

    def __init__(self, folder: Path, dimension: int) -> None:
        # Edge takes a folder without segments for a new shard, and would hide that a tenant's chunks are lost.
        if not any(folder.glob("segments/*/segment.json")):
            raise FileNotFoundError("the shard has no segment")
        _read_ahead(folder)
        self._shard: Any = edge.EdgeShard.load(str(folder), _config(dimension))
        # What a process wrote that died may not be on the disk yet.
        self._unsynced = True

    @staticmethod
    def create(folder: Path, dimension: int) -> None:
        """Make an empty shard in a folder that does not exist, and leave it closed."""
        shard = edge.EdgeShard.create(str(folder), _config(dimension))
        for field in (_DOCUMENT, _VERSION):
            shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Uuid))
        shard.close()

    def close(self) -> None:
        """Flush and let go of the files."""
        self._shard.close()

    def flush(self) -> None:
        """Sync to disk: the write-ahead log alone survives the death of the process, but not that of the machine.

        It holds the interpreter lock for as long as the disk takes, so it is not done for nothing.
        """
        if self._unsynced:
            self._shard.flush()
            self._unsynced = False

    def upsert(self, document_id: UUID, version_id: UUID, chunks: Iterable[ChunkVectors]) -> None:
        """Insert or overwrite a version's chunks."""
        payload = {_DOCUMENT: str(document_id), _VERSION: str(version_id)}
        points = [edge.Point(chunk.chunk_id, _vectors(chunk), payload) for chunk in chunks]
        self._update(edge.UpdateOperation.upsert_points(points))

    def remove(self, document_id: UUID, *, but_version: UUID | None = None) -> int:
        """Delete a document's chunks, but those of one version; how many are left, which should be none."""
        spared = [] if but_version is None else [_is(_VERSION, but_version)]
        return self._remove(edge.Filter(must=[_is(_DOCUMENT, document_id)], must_not=spared))

    def remove_others(self, document_id: UUID, version_id: UUID, chunk_ids: Iterable[UUID]) -> int:
        """Delete a version's chunks that are not among `chunk_ids`; how many are left, which should be none."""
        owner = [_is(_DOCUMENT, document_id), _is(_VERSION, version_id)]
        return self._remove(edge.Filter(must=owner, must_not=[edge.HasIdCondition(set(chunk_ids))]))

    def count(self, document_id: UUID | None = None, version_id: UUID | None = None) -> int:
        """The chunks of the shard, a document or a version."""
        wanted = [(_DOCUMENT, document_id), (_VERSION, version_id)]
        conditions = [_is(field, value) for field, value in wanted if value is not None]
        return self._count(edge.Filter(must=conditions))

    def copy(self, other: "Shard", after: UUID | None, limit: int) -> UUID | None:
        """Write some chunks, in the order of their ids, into another shard; where to go on, None behind the last."""
        request = edge.ScrollRequest(offset=after, limit=limit, with_payload=True, with_vector=True)
        following: UUID | None
        records, following = self._shard.scroll(request)
        points = [edge.Point(record.id, record.vector, record.payload) for record in records]
        if points:
            other._update(edge.UpdateOperation.upsert_points(points))
        return following

    def search(
        self, dense: Sequence[float] | None, sparse: SparseVector, limit: int, document_ids: Iterable[UUID] | None
    ) -> tuple[list[Hit], list[Hit]]:
        """The best `limit` chunks by meaning (scored by cosine) and by word (scored by BM25), best first."""
        among = None if document_ids is None else edge.Filter(must=[_is_one_of(_DOCUMENT, document_ids)])
        queries = [] if dense is None else [_nearest(_floats(dense), _DENSE, limit, among)]
        if sparse.indices:
            queries.append(_nearest(_sparse(sparse), _SPARSE, limit, among))
        found = [_hits(points) for points in self._shard.query_batch(edge.QueryBatchRequest(queries))]
        return by_kind(found, dense, sparse)

    def cosines(self, dense: Sequence[float], chunk_ids: Iterable[UUID]) -> dict[UUID, float]:
        """The cosine similarity of some chunks."""
        ids: set[int | UUID | str] = set(chunk_ids)
        if not ids:
            return {}
        among = edge.Filter(must=[edge.HasIdCondition(ids)])
        found = self._shard.query(_nearest(_floats(dense), _DENSE, len(ids), among))
        return {point.id: point.score for point in found}

    def _remove(self, doomed: Any) -> int:
        if self._count(doomed):
            self._update(edge.UpdateOperation.delete_points_by_filter(doomed))
        return self._count(doomed)

    def _update(self, operation: Any) -> None:
        self._unsynced = True
        self._shard.update(operation)

    def _count(self, among: Any) -> int:
        return int(self._shard.count(edge.CountRequest(exact=True, filter=among)))


def _read_ahead(folder: Path) -> None:
    """Have the system read the vectors into its cache meanwhile; a first search that read them would take seconds."""
    for file in folder.glob("segments/*/vector_storage-*/vectors/*.mmap"):
        with file.open("rb") as stream:
            # Made larger than what is in them: the rest takes no blocks, and is not to take memory.
            written = os.fstat(stream.fileno()).st_blocks * _BLOCK
            os.posix_fadvise(stream.fileno(), 0, written, os.POSIX_FADV_WILLNEED)


def _config(dimension: int) -> Any:
    # Cold: else opening the smallest shard makes 32 MB resident, as much as its first file has room for.
    dense = edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine, memory=edge.Memory.Cold)
    return edge.EdgeConfig(
        vectors={_DENSE: dense},
        sparse_vectors={_SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        max_search_threads=1,
    )


def _is(field: str, value: UUID) -> Any:
    return edge.FieldCondition(field, match=edge.MatchValue(str(value)))


def _is_one_of(field: str, values: Iterable[UUID]) -> Any:
    return edge.FieldCondition(field, match=edge.MatchAny([str(value) for value in values]))


def _nearest(vector: Any, using: str, limit: int, among: Any) -> Any:
    query = edge.Query.Nearest(vector, using=using)
    return edge.QueryRequest(limit=limit, query=query, filter=among, with_payload=True)


def _hits(points: Iterable[Any]) -> list[Hit]:
    return [
        Hit(point.id, UUID(point.payload[_DOCUMENT]), UUID(point.payload[_VERSION]), point.score) for point in points
    ]


def _vectors(chunk: ChunkVectors) -> dict[str, Any]:
    return {_DENSE: _floats(chunk.dense), _SPARSE: _sparse(chunk.sparse)}


def _floats(vector: Sequence[float]) -> list[float]:
    return [float(number) for number in vector]


def _sparse(vector: SparseVector) -> Any:
    return edge.SparseVector(list(vector.indices), list(vector.values))
