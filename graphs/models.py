"""Which language models answer, what a call gives back, and how it can fail. Nothing here loads LiteLLM."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from graphs.support.records import Usage

EXTRACTIVE = "jobx/extractive"
DEFAULT_ANTHROPIC = "anthropic/claude-haiku-5-5"
DEFAULT_OPENAI = "openai/gpt-5.4-mini"


class ModelError(Exception):
    """A language model gave no answer; the text names the model and the kind of failure, never a key or a prompt."""


class ModelUnavailable(ModelError):
    """Every model failed in a way that may pass: down, over its rate limit, too slow, or an empty answer."""


class ModelRefused(ModelError):
    """The request or the configuration is wrong (key, model name, size): the same call fails again."""


class UnsupportedVersion(RuntimeError):
    """The installed LiteLLM is not the one this code is pinned to."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model: `name` is a LiteLLM model string (`provider/model`), `timeout` is in seconds for one attempt.

    `price` is for one that LiteLLM knows none of: US cents for a million tokens of the prompt, and of the answer.
    """

    name: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    price: tuple[float, float] | None = None

    @property
    def route(self) -> str:
        """LiteLLM's way to the model: through `ollama/` it would flatten the messages into one prompt."""
        return f"ollama_chat/{self.name.removeprefix('ollama/')}" if self.name.startswith("ollama/") else self.name


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer, the configured name of the model that gave it, and what it took."""

    text: str
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class ModelCall:
    """How one call went: the model that answered, or the first one asked, and seconds with all retries."""

    model: str
    outcome: Literal["ok", "unavailable", "refused"]
    seconds: float
    usage: Usage


def models_from(
    anthropic_key: str | None,
    openai_key: str | None,
    models: Sequence[str],
    api_base: str | None = None,
    timeout: float = 30.0,
    price: tuple[float, float] | None = None,
) -> tuple[ModelConfig, ...]:
    """The models to use, best first; `jobx/extractive` when there is neither a model nor a key.

    Named models win over the defaults that the keys stand for. `api_base` is for named models that are not Claude,
    such as a llama.cpp or vLLM server behind `openai/…`, and so is `price`, where LiteLLM knows none.
    """
    if models:
        named = (_named(name, anthropic_key, openai_key, api_base, timeout) for name in models)
        return tuple(replace(model, price=price) for model in named)
    found = [(DEFAULT_ANTHROPIC, anthropic_key), (DEFAULT_OPENAI, openai_key)]
    configured = tuple(ModelConfig(name, None, key, timeout) for name, key in found if key)
    return configured or (ModelConfig(EXTRACTIVE, timeout=timeout),)


def embedding_config(
    name: str, openai_key: str | None, api_base: str | None = None, timeout: float = 30.0
) -> ModelConfig:
    """A hosted embedding model, with the key and the address that a language model of its provider has."""
    return _named(name, None, openai_key, api_base, timeout)


def _named(
    name: str, anthropic_key: str | None, openai_key: str | None, api_base: str | None, timeout: float
) -> ModelConfig:
    if name == EXTRACTIVE:
        return ModelConfig(name, timeout=timeout)
    if name.startswith(("anthropic/", "claude")):
        return ModelConfig(name, None, anthropic_key, timeout)
    key = openai_key if name.startswith("openai/") or "/" not in name else None
    return ModelConfig(name, api_base, key, timeout)


def label(models: Sequence[ModelConfig]) -> str:
    """The models in words, for the line that is printed at start-up."""
    if all(model.name == EXTRACTIVE for model in models):
        return f"{EXTRACTIVE} (no model configured: quotes your documents)"
    return ", then ".join(model.name for model in models)
