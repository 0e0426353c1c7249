"""Tokens and prices before a call is made, as LiteLLM knows them."""

from math import ceil
from typing import Any

from graphs.models import EXTRACTIVE, ModelConfig

_MICROS = 1_000_000
_CENTS_A_MILLION = 100 * 1_000_000
# Around each message and at the end; a count by another tokenizer than the model's own may be too low by so much.
_PER_MESSAGE, _SLACK = 8, 1.25


def count_tokens(litellm: Any, route: str, text: str) -> int:
    """How many tokens a text has for a model, or about so many where its tokenizer is not known."""
    return int(litellm.token_counter(model=route, text=text)) if text else 0


def add_price(litellm: Any, model: ModelConfig) -> None:
    """Have LiteLLM know the price that the settings give a model, unless it knows one."""
    if model.price is None or model.name == EXTRACTIVE or most_micros(litellm, model.route, "x", 1, 1):
        return
    prompt, answer = (cents / _CENTS_A_MILLION for cents in model.price)
    priced = {"input_cost_per_token": prompt, "output_cost_per_token": answer, "mode": "chat"}
    litellm.register_model({model.route: {**priced, "litellm_provider": model.route.partition("/")[0]}})


def most_micros(litellm: Any, route: str, text: str, messages: int, max_tokens: int) -> int:
    """What a call may cost at most, in micro US dollars; 0 for a model whose price is not known."""
    prompt = ceil(count_tokens(litellm, route, text) * _SLACK) + _PER_MESSAGE * (messages + 1)
    return ceil(_dollars(litellm, route, prompt, max_tokens) * _MICROS)


def price_micros(
    litellm: Any, model: ModelConfig, calls: int, prompt_tokens: int, completion_tokens: int
) -> int | None:
    """What calls with so many tokens each cost, in micro US dollars; None for a model whose price is not known."""
    dollars = _dollars(litellm, model.route, prompt_tokens, completion_tokens)
    # LiteLLM has 0 for a price that it does not know as well.
    free = model.route.startswith("ollama_chat/") or model.price == (0, 0)
    return ceil(dollars * calls * _MICROS) if dollars or free else None


def _dollars(litellm: Any, route: str, prompt_tokens: int, completion_tokens: int) -> float:
    try:
        both = litellm.cost_per_token(model=route, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    except Exception:
        return 0.0  # LiteLLM raises for a model without a known price, such as one on the user's own machine
    return float(sum(both))
