"""Vectors of what is asked and answered, with an error that a caller can be told."""

from collections.abc import Awaitable, Callable, Sequence

from app.errors import Unavailable
from app.runtime import Runtime
from vectorstore.model_files import EmbeddingError


class EmbeddingModelUnavailable(Unavailable):
    """The embedding model does not answer right now; try again."""

    code = "embeddings_unavailable"


async def query_vector(runtime: Runtime, query: str) -> list[float]:
    """A question's vector; raises EmbeddingModelUnavailable."""
    try:
        return await runtime.embedder.embed_query(query)
    except EmbeddingError as error:
        raise EmbeddingModelUnavailable from error


def sentence_embedder(runtime: Runtime) -> Callable[[Sequence[str]], Awaitable[list[list[float]]]]:
    """What embeds the sentences of a reply and of its passages, as the graph takes it; as `query_vector` raises."""

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        try:
            return await runtime.embedder.embed_sentences(texts)
        except EmbeddingError as error:
            raise EmbeddingModelUnavailable from error

    return embed
