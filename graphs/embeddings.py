"""Dense vectors from a provider's embedding model, behind the same face as those of the local one."""

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

from graphs.backoff import Backoff
from graphs.embedding_calls import EmbeddingCalls
from graphs.models import ModelCall, ModelConfig
from vectorstore.embedding import FINGERPRINT
from vectorstore.model_files import EmbeddingError, Progress
from vectorstore.recent import RecentVectors
from vectorstore.tokens import DefaultTokenizer, sound

# Their embedding calls take the given HTTP client, and tests/graphs/test_embeddings.py asks them; in the pinned LiteLLM
# those of all others open connections of their own. A server that speaks OpenAI's API is `openai/…` with a base URL.
PROVIDERS = ("hosted_vllm", "openai", "openrouter")
MOST_TEXTS = 64
# A tokenizer makes no more tokens of a text than it has bytes, so that a text cut by bytes always fits, and a batch is
# within what providers take. Of a model that LiteLLM does not know, 512 tokens or so are assumed.
MOST_BYTES = 200_000
_UNKNOWN_BYTES = 2048
_CALLS_AT_ONCE = 4
_log = logging.getLogger(__name__)


class HostedEmbedder:
    """Embeds with a LiteLLM model; `cache_dir` keeps its dimension, so that a start does not need the provider.

    Texts of documents, of replies and of questions do not wait for each other. `http`, `retries`, `backoff` and
    `observe` are those of `graphs.llm.LanguageModel`. A provider that would go past `http` raises EmbeddingError. An
    instance lives on one event loop.
    """

    def __init__(
        self,
        model: ModelConfig,
        cache_dir: Path,
        *,
        http: httpx.AsyncClient | None = None,
        retries: int = 2,
        backoff: float = 0.5,
        observe: Callable[[ModelCall], None] = lambda _call: None,
    ) -> None:
        if model.name.partition("/")[0] not in PROVIDERS or not model.name.partition("/")[2]:
            raise EmbeddingError(f"A hosted embedding model is one of {'/…, '.join(PROVIDERS)}/…, not {model.name}.")
        self._model = model
        self._calls = EmbeddingCalls(model, http, Backoff(retries, backoff), observe)
        self._known_by = hashlib.sha256(f"{model.name}\0{model.api_base}".encode()).hexdigest()
        self._note = cache_dir / f"{self._known_by}-hosted.json"
        self._most_bytes = _UNKNOWN_BYTES
        self._preparing = asyncio.Lock()
        self._tokenizer = DefaultTokenizer()
        self._documents, self._replies = asyncio.Semaphore(_CALLS_AT_ONCE), asyncio.Semaphore(_CALLS_AT_ONCE)
        self._recent_queries, self._recent_sentences = RecentVectors(), RecentVectors()

    @property
    def name(self) -> str:
        """The LiteLLM model's name."""
        return self._model.name

    @property
    def dimension(self) -> int:
        """How many numbers a vector has; EmbeddingError before `prepare`."""
        if self._calls.dimension is None:
            raise EmbeddingError(f"The dimension of {self.name} is not known yet.")
        return self._calls.dimension

    @property
    def fingerprint(self) -> str:
        """Of the model's name and its provider's address: what stands behind them is the provider's to change."""
        return self._known_by[:FINGERPRINT]

    async def prepare(self, progress: Progress | None = None, *, load: bool = True) -> None:
        """Find out the dimension, by one embedding if it is neither kept nor in LiteLLM's list, and load LiteLLM.

        Without `load` LiteLLM is left alone if the dimension is kept.
        """
        async with self._preparing:
            if self._calls.dimension is None and self._note.is_file():
                kept = json.loads(self._note.read_text())
                self._calls.dimension, self._most_bytes = kept["dimension"], kept["most_bytes"]
            if self._calls.dimension is None:
                await self._learn(progress)
        if load:
            await self._calls.listed()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' unit vectors, in their order; one that is too long for the model is cut."""
        return await self._embed(texts, self._documents)

    async def embed_query(self, text: str) -> list[float]:
        """A question's unit vector; one asked again within the minute is remembered."""
        (vector,) = await self._recent_queries.vectors([text], self._at_once)
        return vector

    async def embed_sentences(self, texts: Sequence[str]) -> list[list[float]]:
        """`embed` for what is compared again and again, such as the sentences of passages that many ask for."""
        return await self._recent_sentences.vectors(texts, lambda new: self._embed(new, self._replies))

    def tokenize(self, text: str) -> list[int]:
        """The local default model's tokens, so that chunks are as long with any model."""
        return self._tokenizer.tokenize(text)

    def count_tokens(self, text: str) -> int:
        """How many tokens `tokenize` gives."""
        return len(self.tokenize(text))

    def close(self) -> None:
        """Let LiteLLM go; the HTTP client is its owner's."""
        self._calls.close()

    async def _learn(self, progress: Progress | None) -> None:
        dimension, tokens = await self._calls.listed()
        # What a server of one's own calls by a known name may be any model.
        if dimension is not None and self._model.api_base is None:
            self._calls.dimension = dimension
        else:
            (progress or (lambda _words: None))(f"Asking {self.name} for the size of its vectors (once)")
            await self._calls.vectors(["How many numbers has a vector?"])
        if tokens is not None and self._model.api_base is None:
            self._most_bytes = tokens
        self._keep()

    def _keep(self) -> None:
        unfinished = self._note.with_suffix(f".{os.getpid()}")
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({"dimension": self._calls.dimension, "most_bytes": self._most_bytes}))
            unfinished.rename(self._note)
        except OSError as error:
            # An image may bring the folder of models, and nobody may write there.
            _log.info("the size of vectors of %s is found out at each start (%s)", self.name, error.strerror)

    async def _at_once(self, texts: Sequence[str]) -> list[list[float]]:
        return await self._calls.vectors([self._cut(text) for text in texts])

    async def _embed(self, texts: Sequence[str], free: asyncio.Semaphore) -> list[list[float]]:
        async def call(batch: Sequence[str]) -> list[list[float]]:
            async with free:
                return await self._calls.vectors(batch)

        try:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(call(batch)) for batch in _batches([self._cut(text) for text in texts])]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [vector for made in calls for vector in made.result()]

    def _cut(self, text: str) -> str:
        """What the model takes of a text; providers refuse an empty one."""
        return sound(text).encode()[: self._most_bytes].decode("utf-8", "ignore") or " "


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == MOST_TEXTS or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
