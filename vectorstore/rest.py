"""A Qdrant server's REST calls as Jobx uses them: the schema of a collection, and what is asked of it.

Importing this loads qdrant_client (half a second, 56 MB), so it is imported on first use. Each method is one request;
it raises NoAnswerError or BusyError where trying again may help, and a VectorStoreError where it would not.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from vectorstore.address import Address
from vectorstore.calls import BusyError, NoAnswerError
from vectorstore.fusion import Hit, by_kind
from vectorstore.index import ChunkVectors, SparseVector
from vectorstore.refusals import refusal
from vectorstore.scope import DOCUMENT, VERSION, Scope

_DENSE, _SPARSE = "dense", "sparse"
# Longer than any try: those are cut by their own limits, which count a slow body too.
_NEVER_FIRST_SECONDS = 120
_RESCORED = models.SearchParams(
    hnsw_ef=128, quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0)
)


@dataclass(frozen=True, slots=True)
class Description:
    """A collection as it is: the length of its dense vectors, and the payload fields with an index."""

    dimension: int
    indexed: frozenset[str]


class QdrantRest:
    """The server at an address; `transport` is closed with it."""

    def __init__(self, address: Address, transport: httpx.AsyncBaseTransport) -> None:
        self._client = AsyncQdrantClient(
            url=address.url,
            port=None,
            timeout=_NEVER_FIRST_SECONDS,
            check_compatibility=False,
            **address.http_options(transport),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def describe(self, name: str) -> Description:
        """The collection's schema; MissingError."""
        with _translated():
            found = await self._client.get_collection(name)
            vectors: Any = found.config.params.vectors
            return Description(vectors[_DENSE].size, frozenset(found.payload_schema))

    async def create(self, name: str, dimension: int) -> None:
        """Make a collection; AlreadyThereError."""
        with _translated():
            await self._client.create_collection(name, **_schema(dimension))

    async def create_index(self, name: str, field: str) -> None:
        """Index a payload field; one that is indexed already stays so."""
        with _translated():
            _completed(await self._client.create_payload_index(name, field, models.PayloadSchemaType.UUID, wait=True))

    async def drop(self, name: str) -> None:
        """Remove a collection; a missing one is no error."""
        with _translated():
            await self._client.delete_collection(name)

    async def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        with _translated():
            return await self._client.collection_exists(name)

    async def names(self) -> list[str]:
        """All collections of the server."""
        with _translated():
            return [found.name for found in (await self._client.get_collections()).collections]

    async def upsert(self, name: str, document_id: UUID, version_id: UUID, chunks: Iterable[ChunkVectors]) -> None:
        """Insert or overwrite a version's chunks, applied when it returns."""
        points = await asyncio.to_thread(_points, document_id, version_id, chunks)
        with _translated():
            _completed(await self._client.upsert(name, points, wait=True))

    async def remove(self, name: str, scope: Scope) -> None:
        """Delete the chunks of a scope, applied when it returns."""
        doomed = models.FilterSelector(filter=_filter(scope))
        with _translated():
            _completed(await self._client.delete(name, doomed, wait=True))

    async def count(self, name: str, scope: Scope) -> int:
        """How many chunks a scope has, exactly."""
        with _translated():
            return (await self._client.count(name, _filter(scope), exact=True)).count

    async def search(
        self, name: str, dense: Sequence[float] | None, sparse: SparseVector, limit: int, scope: Scope
    ) -> tuple[list[Hit], list[Hit]]:
        """The best `limit` chunks by meaning (scored by cosine) and by word (scored by BM25), best first."""
        among = _filter(scope)
        queries = [] if dense is None else [_nearest(_floats(dense), _DENSE, limit, among, _RESCORED)]
        if sparse.indices:
            queries.append(_nearest(_sparse(sparse), _SPARSE, limit, among))
        with _translated():
            found = [_hits(answer) for answer in await self._client.query_batch_points(name, queries)]
            return by_kind(found, dense, sparse)

    async def cosines(self, name: str, dense: Sequence[float], chunk_ids: Sequence[UUID]) -> dict[UUID, float]:
        """The cosine similarity of some chunks."""
        among, exact = _filter(Scope(chunk_ids=tuple(chunk_ids))), models.SearchParams(exact=True)
        query = _nearest(_floats(dense), _DENSE, len(chunk_ids), among, exact)
        with _translated():
            [found] = await self._client.query_batch_points(name, [query])
            return {UUID(str(point.id)): point.score for point in found.points}


@contextmanager
def _translated() -> Iterator[None]:
    """Failures of a request in our terms; their text and causes stay behind, they may quote it."""
    try:
        yield
    except UnexpectedResponse as error:
        raise refusal(error.status_code or 0, error.headers, error.content) from None
    except ResourceExhaustedResponse as error:
        raise BusyError(max(0.0, float(error.retry_after_s))) from None
    except QdrantException:  # busy until a date, which the client cannot read
        raise BusyError from None
    except ResponseHandlingException as error:
        why = "no connection" if isinstance(error.source, httpx.TransportError) else "an unreadable answer"
        raise NoAnswerError(why) from None
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        raise NoAnswerError("an unreadable answer") from None


def _completed(result: models.UpdateResult) -> None:
    # Anything else was accepted but is not applied yet, so what is counted next would be wrong.
    if result.status != models.UpdateStatus.COMPLETED:
        raise NoAnswerError("a write that is not applied yet")


def _schema(dimension: int) -> dict[str, Any]:
    """Made for many small tenants: a collection costs one segment and a small write-ahead log, and little memory.

    A segment sets aside 32 MB of address space for each kind of vector, and the server's own default is a segment for
    each core. Vectors stay on disk, cached by the system. A tenant below the server's indexing threshold (about 10,000
    kB, 6,500 chunks of 384 numbers) is searched exactly, without a graph; one above it gets a graph over vectors of
    one byte a number in memory, and the best are scored again by the full ones. Replication is the server's to set.
    """
    return {
        "vectors_config": {
            _DENSE: models.VectorParams(
                size=dimension,
                distance=models.Distance.COSINE,
                on_disk=True,
                hnsw_config=models.HnswConfigDiff(m=16, ef_construct=128),
                quantization_config=models.ScalarQuantization(
                    scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
                ),
            )
        },
        "sparse_vectors_config": {
            _SPARSE: models.SparseVectorParams(
                modifier=models.Modifier.IDF, index=models.SparseIndexParams(on_disk=True)
            )
        },
        "on_disk_payload": True,
        "shard_number": 1,
        "optimizers_config": models.OptimizersConfigDiff(default_segment_number=1),
        "wal_config": models.WalConfigDiff(wal_capacity_mb=4),
    }


def _filter(scope: Scope) -> models.Filter:
    must: list[models.Condition] = []
    must_not: list[models.Condition] = []
    if scope.document_ids is not None:
        documents = models.MatchAny(any=[str(one) for one in scope.document_ids])
        must.append(models.FieldCondition(key=DOCUMENT, match=documents))
    if scope.version_id is not None:
        must.append(_is(VERSION, scope.version_id))
    if scope.but_version is not None:
        must_not.append(_is(VERSION, scope.but_version))
    if scope.chunk_ids is not None:
        must.append(_has_id(scope.chunk_ids))
    if scope.but_chunks is not None:
        must_not.append(_has_id(scope.but_chunks))
    return models.Filter(must=must or None, must_not=must_not or None)


def _is(field: str, value: UUID) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=str(value)))


def _has_id(chunk_ids: Iterable[UUID]) -> models.HasIdCondition:
    return models.HasIdCondition(has_id=[str(one) for one in chunk_ids])


def _nearest(
    vector: Any, using: str, limit: int, among: models.Filter, params: models.SearchParams | None = None
) -> models.QueryRequest:
    return models.QueryRequest(
        query=vector, using=using, limit=limit, filter=among, params=params, with_payload=[DOCUMENT, VERSION]
    )


def _points(document_id: UUID, version_id: UUID, chunks: Iterable[ChunkVectors]) -> list[models.PointStruct]:
    payload = {DOCUMENT: str(document_id), VERSION: str(version_id)}
    return [models.PointStruct(id=str(one.chunk_id), vector=_vectors(one), payload=payload) for one in chunks]


def _hits(response: models.QueryResponse) -> list[Hit]:
    return [_hit(point.id, point.payload or {}, point.score) for point in response.points]


def _hit(point_id: Any, payload: dict[str, Any], score: float) -> Hit:
    return Hit(UUID(str(point_id)), UUID(payload[DOCUMENT]), UUID(payload[VERSION]), score)


def _vectors(chunk: ChunkVectors) -> dict[str, Any]:
    vectors: dict[str, Any] = {_DENSE: _floats(chunk.dense)}
    # A chunk without words is left out of the words' statistics, as the embedded store does with an empty vector.
    return vectors | ({_SPARSE: _sparse(chunk.sparse)} if chunk.sparse.indices else {})


def _floats(vector: Sequence[float]) -> list[float]:
    return [float(number) for number in vector]


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=[float(value) for value in vector.values])
