"""A cross-encoder of sentence-transformers: where it comes from, and the thread in which it reads pairs of texts."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from vectorstore.model_files import EmbeddingError, Kind, Progress, exported, find_model

if TYPE_CHECKING:
    from vectorstore.onnx_cross_encoder import OnnxCrossEncoder

log = logging.getLogger(__name__)


class ServedCrossEncoder:
    """A cross-encoder: a folder or a hub name, exported to `cache_dir` on first use.

    It is served by onnxruntime in a thread of its own. Everything here raises
    EmbeddingError if the model cannot be had.
    """

    def __init__(self, kind: Kind, model: str | Path, cache_dir: Path) -> None:
        self._kind = kind
        self._model = model
        self._cache_dir = cache_dir
        self._loading = threading.Lock()
        self._loaded: OnnxCrossEncoder | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=kind.name)

    async def prepare(self, progress: Progress | None = None, *, load: bool = True) -> None:
        """Export the model if that was never done, and load it if this process will use it."""
        job = self._ready if load else self._folder
        await asyncio.get_running_loop().run_in_executor(self._pool, job, progress or log.info)

    def close(self) -> None:
        """Let the thread go; what waits for it is cancelled."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _scored(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair, 0..1, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._scores, pairs)

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return self._ready(log.info).scores(pairs)

    def _folder(self, progress: Progress) -> Path:
        return exported(find_model(self._model, self._kind), self._cache_dir, progress)

    def _ready(self, progress: Progress) -> "OnnxCrossEncoder":
        with self._loading:
            if self._loaded is None:
                folder = self._folder(progress)
                from vectorstore.onnx_cross_encoder import OnnxCrossEncoder  # noqa: PLC0415

                try:
                    self._loaded = OnnxCrossEncoder(folder)
                except Exception as error:
                    raise EmbeddingError(
                        f"The prepared {self._kind.name} in {folder} cannot be loaded; remove it."
                    ) from error
            return self._loaded
