"""A second look at what a search found: a cross-encoder reads the question together with each passage."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vectorstore.model_files import RERANKER, EmbeddingError, Progress, exported, find_model

if TYPE_CHECKING:
    from vectorstore.onnx_reranker import OnnxReranker

log = logging.getLogger(__name__)


class Reranker(Protocol):
    """What orders passages anew."""

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, 0..1; raises EmbeddingError."""
        ...


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers: a folder or a hub name, exported to `cache_dir` on first use.

    It is served by onnxruntime in a thread of its own. Everything here raises
    EmbeddingError if the model cannot be had.
    """

    def __init__(self, model: str | Path, cache_dir: Path) -> None:
        self._model = model
        self._cache_dir = cache_dir
        self._loading = threading.Lock()
        self._loaded: OnnxReranker | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rerank")

    async def prepare(self, progress: Progress | None = None, *, load: bool = True) -> None:
        """Export the model if that was never done, and load it if this process will use it."""
        job = self._ready if load else self._folder
        await asyncio.get_running_loop().run_in_executor(self._pool, job, progress or log.info)

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, 0..1."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._scores, question, texts)

    def close(self) -> None:
        """Let the thread go; what waits for it is cancelled."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _scores(self, question: str, texts: Sequence[str]) -> list[float]:
        return self._ready(log.info).scores(question, texts)

    def _folder(self, progress: Progress) -> Path:
        return exported(find_model(self._model, RERANKER), self._cache_dir, progress)

    def _ready(self, progress: Progress) -> "OnnxReranker":
        with self._loading:
            if self._loaded is None:
                folder = self._folder(progress)
                from vectorstore.onnx_reranker import OnnxReranker  # noqa: PLC0415

                try:
                    self._loaded = OnnxReranker(folder)
                except Exception as error:
                    raise EmbeddingError(f"The prepared reranker in {folder} cannot be loaded; remove it.") from error
            return self._loaded
