"""From a question to passages: vectors find chunks, the database says which of them still count."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import aliased

from app.documents.collections import Vectors, in_force
from app.documents.embedding import query_vector, with_cosines
from app.documents.filters import NO_FILTERS, Filters, documents_meeting
from app.documents.neighbours import with_neighbours
from app.documents.reranking import RERANKED, reranked
from app.errors import Unavailable
from app.models import Document, DocumentChunk
from app.runtime import Runtime
from app.settings import Settings
from graphs.spans import describe, span
from graphs.support.records import Passage
from vectorstore.index import Match, SparseVector, VectorStoreUnavailable
from vectorstore.relevance import Evidence, relevance
from vectorstore.sparse import SparseEncoder
from vectorstore.weights import DenseWeights

PASSAGES = 8
_SPARE = 3
_DEEPEST = 4096
# The chunks first, by their keys: before a bulk of them was analysed, PostgreSQL takes them by their documents, all of
# a tenant's (19 ms of 12,000).
_FOUND = aliased(
    DocumentChunk,
    select(DocumentChunk)
    .where(DocumentChunk.id.in_(bindparam("ids", expanding=True)))
    .cte("found")
    .prefix_with("MATERIALIZED"),
)
_IN_FORCE = (
    select(_FOUND, Document)
    .join(Document, _FOUND.document_id == Document.id)
    .where(_FOUND.version_id == Document.current_version_id, Document.deleted_at.is_(None))
)


class SearchUnavailable(Unavailable):
    """The vector store does not answer right now; try again."""

    code = "vectors_unavailable"


@dataclass(frozen=True, slots=True)
class _Query:
    vectors: Vectors
    dense: Sequence[float] | None
    sparse: SparseVector
    dense_weight: float


async def search(
    runtime: Runtime, tenant_id: UUID, query: str, limit: int, filters: Filters = NO_FILTERS
) -> list[Passage]:
    """The best passages for a query, best first, at most `limit`, of the documents that meet the filters."""
    async with runtime.vault.session(tenant_id) as session:
        vectors = await in_force(session, runtime)
    return await _search(runtime, tenant_id, vectors, query, limit, filters)


def retriever(
    runtime: Runtime, tenant_id: UUID, knowledge: Filters, vectors: Vectors
) -> Callable[[str], Awaitable[Sequence[Passage]]]:
    """`search` for one tenant, whose collection in force it is, and one agent's knowledge, as the graph takes it."""

    async def retrieve(query: str) -> Sequence[Passage]:
        found = await _search(runtime, tenant_id, vectors, query, PASSAGES, knowledge)
        return await with_neighbours(runtime.vault, tenant_id, found)

    return retrieve


async def _search(
    runtime: Runtime, tenant_id: UUID, vectors: Vectors, query: str, limit: int, filters: Filters
) -> list[Passage]:
    with span("embed"):
        asked = await _asked(runtime, vectors, query)
    wanted = limit if runtime.reranker is None else max(limit, RERANKED)
    with span("search") as current:
        document_ids = await documents_meeting(runtime, tenant_id, filters)
        passages, dropped = await _find(runtime, tenant_id, asked, wanted, document_ids)
        if dropped:
            # A document changed between the two look-ups, or since another collection is in force, which alone has its
            # new version; now all see it as it is.
            async with runtime.vault.session(tenant_id) as session:
                vectors = await in_force(session, runtime)
            if vectors.id != asked.vectors.id:
                asked = await _asked(runtime, vectors, query)
            passages, _ = await _find(runtime, tenant_id, asked, wanted, document_ids)
        if asked.dense is None:
            passages = await with_cosines(runtime, query, passages)
        describe(current, passages=len(passages))
    if runtime.reranker is None:
        return passages
    started = perf_counter()
    with span("rerank"):
        passages = await reranked(runtime.reranker, query, passages, limit)
    runtime.metrics.retrieval("rerank", perf_counter() - started)
    return passages


async def _asked(runtime: Runtime, vectors: Vectors, query: str) -> _Query:
    started = perf_counter()
    words = SparseEncoder(vectors.index_key).encode_query(query)
    weight = weights_of(runtime.settings).of(query)
    dense = None if vectors.model is None else await query_vector(vectors.model, query)
    runtime.metrics.retrieval("embed", perf_counter() - started)
    return _Query(vectors, dense, words, weight)


def relevance_by(settings: Settings) -> Callable[[str, Sequence[Passage]], float]:
    """How likely it is that passages answer a question, 0..1, as the graph takes it."""
    weights = weights_of(settings)

    def of(question: str, passages: Sequence[Passage]) -> float:
        found = [Evidence(passage.whole, passage.cosine) for passage in passages[:PASSAGES]]
        return relevance(question, weights.known(question), found)

    return of


def weights_of(settings: Settings) -> DenseWeights:
    """How much meaning counts, by the settings."""
    return DenseWeights(settings.languages_embedded, settings.dense_weight, settings.dense_weight_foreign)


async def _find(
    runtime: Runtime, tenant_id: UUID, query: _Query, limit: int, document_ids: Sequence[UUID] | None
) -> tuple[list[Passage], bool]:
    """Passages of the versions in force, and whether one of the best matches was of another.

    Goes deeper where versions that are being replaced or removed crowd the top.
    """
    depth = limit * _SPARE
    while True:
        started = perf_counter()
        matches = await _matches(runtime, tenant_id, query, depth, document_ids)
        found = perf_counter()
        # The spare ones are read only when one of the best does not count any more.
        rows = await _rows(runtime, tenant_id, matches[:limit])
        if len(rows) < min(limit, len(matches)):
            rows |= await _rows(runtime, tenant_id, matches[limit:])
        runtime.metrics.retrieval("search", found - started)
        runtime.metrics.retrieval("load", perf_counter() - found)
        known = [match for match in matches if match.chunk_id in rows]
        passages = [replace(rows[match.chunk_id], score=match.score, cosine=match.cosine) for match in known]
        if len(passages) >= limit or len(matches) < depth or depth >= _DEEPEST:
            return passages[:limit], any(match.chunk_id not in rows for match in matches[:limit])
        depth *= 4


async def _matches(
    runtime: Runtime, tenant_id: UUID, query: _Query, depth: int, document_ids: Sequence[UUID] | None
) -> list[Match]:
    try:
        return await query.vectors.index.search(
            tenant_id,
            query.dense,
            query.sparse,
            depth,
            document_ids,
            dense_weight=query.dense_weight,
        )
    except VectorStoreUnavailable as error:
        raise SearchUnavailable from error


async def _rows(runtime: Runtime, tenant_id: UUID, matches: Sequence[Match]) -> dict[UUID, Passage]:
    """The chunks that belong to the version in force of a living document, as passages without a score."""
    async with runtime.vault.session(tenant_id) as session:
        found = await session.execute(_IN_FORCE, {"ids": [match.chunk_id for match in matches]})
        return {chunk.id: _passage(document, chunk) for chunk, document in found}


def _passage(document: Document, chunk: DocumentChunk) -> Passage:
    return Passage(
        id=str(chunk.id),
        document_id=str(document.id),
        title=document.title,
        text=chunk.text,
        heading=chunk.heading,
        page=chunk.page,
        question=chunk.question or "",
        position=chunk.position,
        language=chunk.language,
    )
