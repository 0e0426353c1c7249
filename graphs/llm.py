"""The one door to the language models: calls with retries, fallbacks, cooldown, streaming, usage and cost."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import httpx
from opentelemetry.trace import SpanKind

from graphs.backoff import Backoff
from graphs.models import (
    EXTRACTIVE,
    Completion,
    ModelCall,
    ModelConfig,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    label,
)
from graphs.router import build_router, check_version, load
from graphs.spans import describe, span
from graphs.support.context import Embed
from graphs.support.records import Usage
from graphs.tokens import count_tokens, most_micros, price_micros

if TYPE_CHECKING:
    from langchain.messages import AnyMessage

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_WRONG = (400, 401, 403, 404, 413, 422)
_log = logging.getLogger(__name__)


class LanguageModel:
    """Models in order of preference; a call goes to the first and falls back to the next.

    `retries` counts the attempts after the first at each model, `backoff` seconds is the first pause and doubles (a
    provider's Retry-After wins, both end at 8 s), and a model whose attempts all failed is left out for `cooldown`
    seconds if another can answer. `http` carries all traffic of the providers in `graphs.transport`; it belongs to the
    caller. With `embed` the extractive model compares meanings and not only words. `observe` is told of every call that
    ended, and must not raise. An instance lives on one event loop. A LiteLLM other than the pinned one raises
    `UnsupportedVersion`.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig],
        *,
        http: httpx.AsyncClient | None = None,
        retries: int = 2,
        backoff: float = 0.5,
        cooldown: float = 30.0,
        embed: Embed | None = None,
        observe: Callable[[ModelCall], None] = lambda _call: None,
    ) -> None:
        if not models:
            raise ValueError("at least one model is needed")
        check_version()
        self._models = {model.name: model for model in models}
        self._http = http
        self._backoff, self._cooldown = Backoff(retries, backoff), cooldown
        self._embed = embed
        self._observe = observe
        self._litellm: Any = None
        self._router: Any = None
        self._opening = asyncio.Lock()

    @property
    def label(self) -> str:
        """The models in words, for the start-up line."""
        return label(tuple(self._models.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the models, best first."""
        return tuple(self._models)

    def is_extractive(self, models: Sequence[str] = ()) -> bool:
        """Whether the first choice quotes documents instead of writing."""
        return next(iter(models or self._models)) == EXTRACTIVE

    @property
    def writers(self) -> tuple[str, ...]:
        """The names of the models that write instead of quoting documents, best first."""
        return tuple(name for name in self._models if name != EXTRACTIVE)

    async def warm_up(self) -> None:
        """Load LiteLLM now, off the event loop, instead of at the first message."""
        await self._open()

    async def complete(
        self, messages: "Sequence[AnyMessage]", *, max_tokens: int, temperature: float = 0.0, models: Sequence[str] = ()
    ) -> Completion:
        """The models' answer, whole; `models` narrows and orders the configured ones by name.

        Raises `ModelUnavailable` or `ModelRefused`.
        """
        router, names = await self._open(), self._chosen(models)
        started = perf_counter()
        with span("model", SpanKind.CLIENT, asked=names[0]) as current:
            try:
                async with asyncio.timeout(self._deadline(names)):
                    response = await router.acompletion(**self._request(names, messages, max_tokens, temperature))
                completion = self._completion(response, str(response._hidden_params["model_id"]), started)
            except Exception as error:
                raise self._failure(names, error, started) from None
            describe(current, model=completion.model, **asdict(completion.usage))
        return completion

    async def counter(self, models: Sequence[str] = ()) -> Callable[[str], int]:
        """What counts a text's tokens, as the first of the models reads it where LiteLLM knows that."""
        await self._open()
        route = self._models[self._chosen(models)[0]].route
        return partial(count_tokens, self._litellm, route)

    async def most_micros(
        self, messages: "Sequence[AnyMessage]", *, max_tokens: int, models: Sequence[str] = ()
    ) -> int:
        """What a call may cost at most in micro US dollars, whichever model answers; 0 without a known price."""
        await self._open()
        routes = [self._models[name].route for name in self._chosen(models)]
        text = "\n".join(message.text for message in messages)
        return max(most_micros(self._litellm, route, text, len(messages), max_tokens) for route in routes)

    async def price_micros(
        self, calls: int, prompt_tokens: int, completion_tokens: int, models: Sequence[str] = ()
    ) -> int | None:
        """What calls with so many tokens each cost in micro US dollars, whichever model answers.

        None if the price of one of the models is not known.
        """
        await self._open()
        chosen = [self._models[name] for name in self._chosen(models)]
        prices = [price_micros(self._litellm, model, calls, prompt_tokens, completion_tokens) for model in chosen]
        known = [price for price in prices if price is not None]
        return max(known) if len(known) == len(prices) else None

    def stream(
        self, messages: "Sequence[AnyMessage]", *, max_tokens: int, temperature: float = 0.0, models: Sequence[str] = ()
    ) -> "CompletionStream":
        """The same answer piece by piece; a model that fails after its first piece is not replaced, that raises."""
        return CompletionStream(self, messages, max_tokens, temperature, models)

    async def aclose(self) -> None:
        """Take this instance's hooks out of LiteLLM's globals."""
        if self._router is not None:
            self._router.discard()

    async def _pieces(
        self, messages: "Sequence[AnyMessage]", max_tokens: int, temperature: float, models: Sequence[str]
    ) -> AsyncGenerator[str | Completion, None]:
        router, names = await self._open(), self._chosen(models)
        request = self._request(names, messages, max_tokens, temperature)
        started = perf_counter()
        try:
            # Not one timeout around the loop: it would also fire while the reader of the stream is at work.
            deadline = asyncio.get_running_loop().time() + self._deadline(names)
            async with asyncio.timeout_at(deadline):
                response = await router.acompletion(stream=True, stream_options={"include_usage": True}, **request)
            chunks: list[Any] = []
            async with aclosing(response):
                while (chunk := await _next(response, deadline)) is not None:
                    chunks.append(chunk)
                    if chunk.choices and (piece := chunk.choices[0].delta.content):
                        yield _sound(str(piece))
            whole = self._litellm.stream_chunk_builder(chunks, messages=request["messages"])
            yield self._completion(whole, str(response._hidden_params["model_id"]), started)
        except Exception as error:
            raise self._failure(names, error, started) from None

    async def _open(self) -> Any:
        async with self._opening:
            if self._router is None:
                self._litellm = await asyncio.to_thread(load)
                models = tuple(self._models.values())
                self._router = build_router(
                    self._litellm, models, self._http, self._backoff, self._cooldown, self._embed
                )
        return self._router

    def _chosen(self, models: Sequence[str]) -> list[str]:
        if unknown := [name for name in models if name not in self._models]:
            raise ModelRefused(f"not configured: {', '.join(unknown)}")
        return list(models or self._models)

    def _deadline(self, names: Sequence[str]) -> float:
        return sum(self._backoff.deadline(self._models[name].timeout) for name in names)

    def _request(
        self, names: Sequence[str], messages: "Sequence[AnyMessage]", max_tokens: int, temperature: float
    ) -> dict[str, Any]:
        return {
            "model": names[0],
            "fallbacks": [{names[0]: list(names[1:])}] if names[1:] else [],
            "messages": [{"role": _ROLES[message.type], "content": message.text} for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
        }

    def _completion(self, response: Any, name: str, started: float) -> Completion:
        text = _sound(response.choices[0].message.content or "")
        if not text.strip():
            raise ModelUnavailable(f"{name}: empty answer")
        counted = response.usage
        usage = Usage(counted.prompt_tokens, counted.completion_tokens, 1, self._cost_micros(response, name))
        self._observe(ModelCall(name, "ok", perf_counter() - started, usage))
        return Completion(text, name, usage)

    def _cost_micros(self, response: Any, name: str) -> int:
        try:
            dollars: float = self._litellm.completion_cost(completion_response=response, model=self._models[name].route)
            return round(dollars * 1_000_000)
        except Exception:
            return 0  # LiteLLM raises for a model without a known price, such as one on the user's own machine

    def _failure(self, names: Sequence[str], error: Exception, started: float) -> ModelError:
        failure = error if isinstance(error, ModelError) else self._classified(names, error)
        _log.warning("model call failed: %s", failure)
        outcome: Literal["refused", "unavailable"] = "refused" if isinstance(failure, ModelRefused) else "unavailable"
        self._observe(ModelCall(names[0], outcome, perf_counter() - started, Usage()))
        return failure

    def _classified(self, names: Sequence[str], error: Exception) -> ModelError:
        kind = ModelRefused if getattr(error, "status_code", None) in _WRONG else ModelUnavailable
        return kind(f"{', '.join(names)}: {type(error).__name__}")


class CompletionStream:
    """Pieces of text as they come; `completion` is there once the iteration has ended without an error."""

    def __init__(
        self, llm: LanguageModel, messages: "Sequence[AnyMessage]", max_tokens: int, temperature: float, models: Any
    ) -> None:
        self.completion: Completion | None = None
        self._source = llm._pieces(messages, max_tokens, temperature, models)

    async def __aiter__(self) -> AsyncIterator[str]:
        async with aclosing(self._source) as source:
            async for piece in source:
                if isinstance(piece, Completion):
                    self.completion = piece
                else:
                    yield piece


def _sound(text: str) -> str:
    """A model's text without what nothing can store: half a surrogate pair becomes a question mark, NUL goes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


async def _next(response: Any, deadline: float) -> Any:
    """The stream's next chunk, or None at its end; TimeoutError past the deadline (the loop's clock)."""
    async with asyncio.timeout_at(deadline):
        return await anext(response, None)
