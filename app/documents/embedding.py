"""Vectors of what is asked and answered, with an error that a caller can be told."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from operator import mul

from app.errors import Unavailable
from app.runtime import Runtime
from graphs.support.records import Passage
from vectorstore.embedding import EmbeddingModel
from vectorstore.model_files import EmbeddingError


class EmbeddingModelUnavailable(Unavailable):
    """The embedding model does not answer right now; try again."""

    code = "embeddings_unavailable"


async def query_vector(model: EmbeddingModel, query: str) -> list[float]:
    """A question's vector; raises EmbeddingModelUnavailable."""
    try:
        return await model.embed_query(query)
    except EmbeddingError as error:
        raise EmbeddingModelUnavailable from error


async def with_cosines(runtime: Runtime, query: str, passages: Sequence[Passage]) -> list[Passage]:
    """Passages that were found by their words only, with how close they are in meaning by this process's model."""
    asked = await query_vector(runtime.embedder, query)
    vectors = await sentence_embedder(runtime)([passage.whole for passage in passages])
    return [
        replace(passage, cosine=sum(map(mul, asked, vector))) for passage, vector in zip(passages, vectors, strict=True)
    ]


def sentence_embedder(runtime: Runtime) -> Callable[[Sequence[str]], Awaitable[list[list[float]]]]:
    """What embeds the sentences of a reply and of its passages, as the graph takes it; as `query_vector` raises."""

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        try:
            return await runtime.embedder.embed_sentences(texts)
        except EmbeddingError as error:
            raise EmbeddingModelUnavailable from error

    return embed
