"""A search by meaning and by word, and one among many documents without a request that names them all.

Twenty thousand ids are 1.6 MB of a request, more than many a proxy takes, and hold the embedded store for 0.2 s.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from vectorstore.fusion import Hit, prefetch, rank
from vectorstore.index import Match

# So many documents are named at a time: 35 ms of the embedded store, 160 kB of a request.
MOST_NAMED = 2000
# Enough where a third of all chunks is among the documents.
_DEEPER = 4
Lists = tuple[list[Hit], list[Hit]]
Search = Callable[[int, Sequence[UUID] | None], Awaitable[Lists]]
Cosines = Callable[[Sequence[UUID]], Awaitable[dict[UUID, float]]]


async def best_matches(
    search: Search,
    cosines: Cosines | None,
    limit: int,
    document_ids: Sequence[UUID] | None,
    dense_weight: float,
) -> list[Match]:
    """The best `limit` chunks of both searches fused, best first; without `cosines` of what has no vector."""
    by_meaning, by_word = await search_among(search, prefetch(limit), document_ids)
    best = rank(by_meaning, by_word, dense_weight)[:limit]
    if cosines is None:
        return [hit.matched(0.0) for hit in best]
    known = {hit.chunk_id: hit.score for hit in by_meaning}
    unknown = [hit.chunk_id for hit in best if hit.chunk_id not in known]
    if unknown:
        known |= await cosines(unknown)
    # One that was deleted between the two calls has no cosine, and is no match any more.
    return [hit.matched(known[hit.chunk_id]) for hit in best if hit.chunk_id in known]


async def search_among(search: Search, most: int, document_ids: Sequence[UUID] | None) -> Lists:
    """The best `most` hits by meaning and by word among some documents, None for all: what one `search` would bring.

    `search` is given how many hits it has to bring, and the documents.
    """
    if document_ids is None or len(document_ids) <= MOST_NAMED:
        return await search(most, document_ids)
    found = await _best_of_all(search, most, document_ids)
    return await _by_parts(search, most, document_ids) if found is None else found


async def _best_of_all(search: Search, most: int, document_ids: Sequence[UUID]) -> Lists | None:
    """What is among the documents of the best hits of all, if that is enough to be their best hits."""
    depth, among = _DEEPER * most, set(document_ids)
    by_meaning, by_word = await search(depth, None)
    mine = [[hit for hit in hits if hit.document_id in among] for hits in (by_meaning, by_word)]
    enough = [len(kept) >= most or len(hits) < depth for kept, hits in zip(mine, (by_meaning, by_word), strict=True)]
    return (mine[0][:most], mine[1][:most]) if all(enough) else None


async def _by_parts(search: Search, most: int, document_ids: Sequence[UUID]) -> Lists:
    by_meaning: list[Hit] = []
    by_word: list[Hit] = []
    for start in range(0, len(document_ids), MOST_NAMED):
        more_meaning, more_word = await search(most, document_ids[start : start + MOST_NAMED])
        by_meaning, by_word = _best(by_meaning + more_meaning, most), _best(by_word + more_word, most)
    return by_meaning, by_word


def _best(hits: list[Hit], most: int) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:most]
