"""A second look at what a search found: a cross-encoder reads the question together with each passage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vectorstore.cross_encoder import ServedCrossEncoder
from vectorstore.model_files import RERANKER


class Reranker(Protocol):
    """What orders passages anew."""

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, 0..1; raises EmbeddingError."""
        ...


class CrossEncoderReranker(ServedCrossEncoder):
    """A cross-encoder that gives one score."""

    def __init__(self, model: str | Path, cache_dir: Path) -> None:
        super().__init__(RERANKER, model, cache_dir)

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, 0..1."""
        return await self._scored([(question, text) for text in texts])
