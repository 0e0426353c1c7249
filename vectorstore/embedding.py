"""What the service takes for its embedding model, wherever that runs."""

from collections.abc import Sequence
from typing import Protocol

from vectorstore.model_files import EmbeddingError, Progress


class EmbeddingsUnavailable(EmbeddingError):
    """The model does not answer right now; the same call may succeed later."""


# Of a model's digest; enough to tell the models of one installation from each other.
FINGERPRINT = 12


def space_of(model: "EmbeddingModel") -> str:
    """What tells vectors that can be compared from others: their dimension and their model's fingerprint."""
    return f"{model.dimension}-{model.fingerprint}"


def dimension_of(space: str) -> int:
    """How many numbers the vectors of a space have."""
    return int(space.partition("-")[0])


def fingerprint_of(space: str) -> str:
    """The fingerprint of the model that the vectors of a space are of."""
    return space.partition("-")[2]


class EmbeddingModel(Protocol):
    """Vectors of unit length, and tokens that chunks are counted in.

    A call that cannot be done raises EmbeddingError; EmbeddingsUnavailable if it may be done later as it is.
    """

    @property
    def name(self) -> str:
        """The model's name, to show."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has; known after `prepare`."""
        ...

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that tell the model from any other; may read its files the first time."""
        ...

    async def prepare(self, progress: Progress | None = None, *, load: bool = True) -> None:
        """Do ahead what would take long later; without `load` only what makes the dimension known."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' vectors as documents, in their order."""
        ...

    async def embed_query(self, text: str) -> list[float]:
        """A question's vector; one asked again within the minute is remembered."""
        ...

    async def embed_sentences(self, texts: Sequence[str]) -> list[list[float]]:
        """`embed` for what is compared again and again: remembered as questions are."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """A text's tokens, all of them; may block at first."""
        ...

    def count_tokens(self, text: str) -> int:
        """How many tokens `tokenize` gives."""
        ...

    def close(self) -> None:
        """Let go what is held."""
        ...
