"""Dense vectors of texts: any sentence-transformers model, served by onnxruntime in threads of this process."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from vectorstore.embedding import FINGERPRINT
from vectorstore.model_card import ModelCard
from vectorstore.model_files import EmbeddingError, ModelSource, Progress, exported, find_model, model_name
from vectorstore.recent import RecentVectors

if TYPE_CHECKING:
    from vectorstore.onnx_model import OnnxModel

__all__ = ["Embedder", "EmbeddingError"]

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
log = logging.getLogger(__name__)
# Texts embedded in one go, so that several callers take turns.
_SLICE = 4


class Embedder:
    """Embeds with `model`: a folder, a hub name, or None for the model that is installed with the service.

    The model is exported to `cache_dir` on first use, once, and loaded on first use in each process; `prepare` does
    both ahead. Documents have `threads`, each of which computes a text at a time, and queries one of their own, so that
    a query waits for no documents. Everything here raises EmbeddingError if the model cannot be had.
    """

    def __init__(self, model: str | Path | None, cache_dir: Path, *, threads: int = 1) -> None:
        self._model = model
        self._cache_dir = cache_dir
        self._threads = threads
        self._loading = threading.Lock()
        self._found: ModelSource | None = None
        self._loaded: OnnxModel | None = None
        self._documents = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="embed-documents")
        self._queries = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed-query")
        self._recent_queries = RecentVectors()
        self._recent_sentences = RecentVectors()

    @property
    def name(self) -> str:
        """The model's hub name, or that of its folder."""
        return model_name(self._model)

    @property
    def dimension(self) -> int:
        """How many numbers a vector has; blocks while the model is exported, if it never was."""
        return self._card(log.info).dimension

    @property
    def fingerprint(self) -> str:
        """Of the model's files, or of its hub name; blocks the first time, 0.2 s per 100 MB of a folder."""
        return self._source().digest[:FINGERPRINT]

    async def prepare(self, progress: Progress | None = None, *, load: bool = True) -> None:
        """Export the model if that was never done, and load it; `progress` is told, in words, if it takes long.

        Without `load` a process that may never embed anything saves the model's memory, about 90 MB.
        """
        await _in(self._documents, self._ready if load else self._card, progress or log.info)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' unit vectors as documents, in their order; a text is cut after 256 tokens or the model's limit."""
        loop = asyncio.get_running_loop()
        vectors: list[list[float]] = []
        # As many slices as there are threads, and no more: other callers' turns come in between.
        under_way: deque[asyncio.Future[list[list[float]]]] = deque()
        try:
            for start in range(0, len(texts), _SLICE):
                if len(under_way) == self._threads:
                    vectors += await under_way.popleft()
                piece = texts[start : start + _SLICE]
                under_way.append(loop.run_in_executor(self._documents, self._embed_documents, piece))
            while under_way:
                vectors += await under_way.popleft()
        finally:
            for future in under_way:
                future.cancel()
        return vectors

    async def embed_query(self, text: str) -> list[float]:
        """A question's unit vector, the whole of a long one's; one asked again within the minute is remembered."""

        async def embed(texts: Sequence[str]) -> list[list[float]]:
            return [await _in(self._queries, self._embed_query, text) for text in texts]

        (vector,) = await self._recent_queries.vectors([text], embed)
        return vector

    async def embed_sentences(self, texts: Sequence[str]) -> list[list[float]]:
        """`embed` for what is compared again and again, such as the sentences of passages that many ask for."""
        return await self._recent_sentences.vectors(texts, self.embed)

    def tokenize(self, text: str) -> list[int]:
        """The model's own tokens of a text, all of them, without marks at the ends; blocks while the model loads."""
        return self._ready().tokenize(text)

    def count_tokens(self, text: str) -> int:
        """How many tokens `tokenize` gives."""
        return len(self.tokenize(text))

    def close(self) -> None:
        """Let the threads go; what waits for them is cancelled."""
        for pool in (self._documents, self._queries):
            pool.shutdown(wait=False, cancel_futures=True)

    def _embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        model = self._ready()
        vectors: list[list[float]] = model.embed([model.card.document_prompt + text for text in texts]).tolist()
        return vectors

    def _embed_query(self, text: str) -> list[float]:
        model = self._ready()
        vector: list[float] = model.embed_whole(text, model.card.query_prompt).tolist()
        return vector

    def _ready(self, progress: Progress = log.info) -> "OnnxModel":
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load(progress)
            return self._loaded

    def _card(self, progress: Progress) -> ModelCard:
        return ModelCard.read(self._folder(progress))

    def _folder(self, progress: Progress) -> Path:
        return exported(self._source(), self._cache_dir, progress)

    def _source(self) -> ModelSource:
        if self._found is None:
            self._found = find_model(self._model)
        return self._found

    def _load(self, progress: Progress) -> "OnnxModel":
        folder = self._folder(progress)
        from vectorstore.onnx_model import OnnxModel  # noqa: PLC0415

        try:
            return OnnxModel(folder)
        except Exception as error:
            raise EmbeddingError(f"The prepared embedding model in {folder} cannot be loaded; remove it.") from error


async def _in(pool: ThreadPoolExecutor, job: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    return await asyncio.get_running_loop().run_in_executor(pool, job, *arguments)
