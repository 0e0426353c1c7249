"""One call of a hosted embedding model through LiteLLM, and what of its answer can be trusted."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import httpx

from graphs.backoff import Backoff
from graphs.models import ModelCall, ModelConfig
from graphs.router import build_router, check_version, load
from graphs.support.records import Usage
from vectorstore.embedding import EmbeddingsUnavailable
from vectorstore.model_files import EmbeddingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Its texts are at fault; whatever else is refused (a key, a model's name) may be mended while they wait.
_TEXTS_AT_FAULT = (400, 413, 422)
_REFUSED = (400, 401, 403, 404, 413, 422)
_MICROS = 1_000_000
_TINY = 1e-9
_log = logging.getLogger(__name__)


class EmbeddingCalls:
    """Calls of one model with retries and a deadline, each told to `observe`; all traffic goes through `http`.

    `dimension` is checked in every answer, and taken from the first one while it is None.
    """

    def __init__(
        self,
        model: ModelConfig,
        http: httpx.AsyncClient | None,
        backoff: Backoff,
        observe: Callable[[ModelCall], None],
    ) -> None:
        check_version()
        self.dimension: int | None = None
        self._model = model
        self._http = http
        self._backoff = backoff
        self._observe = observe
        self._litellm: Any = None
        self._router: Any = None
        self._opening = asyncio.Lock()
        self._micros_owed = 0.0

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' unit vectors in their order, in one call; raises EmbeddingError or EmbeddingsUnavailable."""
        router = await self._open()
        started = perf_counter()
        try:
            async with asyncio.timeout(self._backoff.deadline(self._model.timeout)):
                response = await router.aembedding(model=self._model.name, input=list(texts), fallbacks=[])
            vectors = self._checked(response, len(texts))
        except Exception as error:
            raise self._failure(error, started) from None
        self._observe(ModelCall(self._model.name, "ok", perf_counter() - started, self._usage(response)))
        return vectors

    async def listed(self) -> tuple[int | None, int | None]:
        """The model's dimension and the most tokens of a text, as far as LiteLLM's list has them."""
        await self._open()
        costs = self._litellm.model_cost
        entry = costs.get(self._model.name) or costs.get(self._model.name.partition("/")[2]) or {}
        return entry.get("output_vector_size"), entry.get("max_input_tokens")

    def close(self) -> None:
        """Take this instance's hooks out of LiteLLM's globals."""
        if self._router is not None:
            self._router.discard()

    async def _open(self) -> Any:
        async with self._opening:
            if self._router is None:
                self._litellm = await asyncio.to_thread(load)
                self._router = build_router(self._litellm, (self._model,), self._http, self._backoff, cooldown=0)
        return self._router

    def _checked(self, response: Any, count: int) -> list[list[float]]:
        rows = {row["index"]: row["embedding"] for row in response.data}
        if len(response.data) != count or sorted(rows) != list(range(count)):
            raise EmbeddingError(f"{self._model.name} answered with other vectors than it was asked for.")
        matrix = self._matrix([rows[index] for index in range(count)])
        if self.dimension is None:
            self.dimension = matrix.shape[1]
        if matrix.shape[1] != self.dimension:
            raise EmbeddingError(
                f"{self._model.name} gives vectors of {matrix.shape[1]} numbers, and not of {self.dimension} as before."
                " If it is another model now, remove *-hosted.json in the folder of models, and start again."
            )
        vectors: list[list[float]] = matrix.tolist()
        return vectors

    def _matrix(self, rows: Sequence[Any]) -> "NDArray[Any]":
        """The rows at unit length."""
        import numpy as np  # noqa: PLC0415

        malformed = EmbeddingError(f"{self._model.name} answered with something that is no vector.")
        try:
            matrix = np.asarray(rows, np.float64)
        except (TypeError, ValueError):
            raise malformed from None
        if matrix.ndim != 2 or not np.isfinite(matrix).all():  # noqa: PLR2004
            raise malformed
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not matrix.shape[1] or lengths.min() < _TINY:
            raise malformed
        unit: NDArray[Any] = matrix / lengths
        return unit

    def _usage(self, response: Any) -> Usage:
        tokens = 0 if response.usage is None else response.usage.prompt_tokens
        try:
            dollars: float = self._litellm.completion_cost(
                completion_response=response, model=self._model.route, call_type="aembedding"
            )
        except Exception:
            dollars = 0.0  # LiteLLM raises for a model without a known price, such as one on the user's own machine
        # A question costs a fraction of a micro dollar, which would be rounded away each time.
        self._micros_owed += dollars * _MICROS
        micros = int(self._micros_owed)
        self._micros_owed -= micros
        return Usage(tokens, 0, 1, micros)

    def _failure(self, error: Exception, started: float) -> EmbeddingError:
        status = getattr(error, "status_code", None)
        outcome: Literal["refused", "unavailable"] = "refused" if status in _REFUSED else "unavailable"
        self._observe(ModelCall(self._model.name, outcome, perf_counter() - started, Usage()))
        failure = error if isinstance(error, EmbeddingError) else self._classified(status, error)
        _log.warning("embedding call failed: %s", failure)
        return failure

    def _classified(self, status: object, error: Exception) -> EmbeddingError:
        kind = EmbeddingError if status in _TEXTS_AT_FAULT else EmbeddingsUnavailable
        return kind(f"{self._model.name}: {type(error).__name__}")
