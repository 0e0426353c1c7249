"""What a search found, in the order of a reranker."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from graphs.support.records import Passage
from vectorstore.model_files import EmbeddingError
from vectorstore.rerank import Reranker

# So many of the best passages are looked at again.
RERANKED = 24
log = logging.getLogger(__name__)


async def reranked(reranker: Reranker, question: str, found: Sequence[Passage], limit: int) -> list[Passage]:
    """The best `limit` passages by the reranker, with its scores; as they were found if it fails.

    A question with its approved answer that was among the best stays there: it is compared word for word later.
    """
    try:
        scores = await reranker.scores(question, [passage.whole for passage in found])
    except EmbeddingError:
        log.warning("the reranker failed: passages stay in the order in which they were found")
        return list(found[:limit])
    scored = [replace(passage, score=score) for passage, score in zip(found, scores, strict=True)]
    ordered = sorted(scored, key=lambda passage: -passage.score)
    pairs = [passage for passage in scored[:limit] if passage.question and passage not in ordered[:limit]]
    return [*ordered[: limit - len(pairs)], *pairs]
