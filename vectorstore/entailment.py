"""Whether one text follows from another, as a model of natural language inference (NLI) sees it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vectorstore.cross_encoder import ServedCrossEncoder
from vectorstore.model_files import ENTAILMENT


class Entailment(Protocol):
    """What tells how likely a premise entails a hypothesis."""

    async def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The probability, 0..1, that the first text of each pair entails the second, in order.

        Raises EmbeddingError.
        """
        ...


class CrossEncoderEntailment(ServedCrossEncoder):
    """A cross-encoder with a label called entailment, such as `cross-encoder/nli-deberta-v3-small`."""

    def __init__(self, model: str | Path, cache_dir: Path) -> None:
        super().__init__(ENTAILMENT, model, cache_dir)

    async def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The probability, 0..1, that the first text of each pair entails the second, in order."""
        return await self._scored(pairs)
