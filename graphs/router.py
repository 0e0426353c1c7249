"""LiteLLM itself: which version may run, how it is loaded and silenced, and the Router over the configured models.

LiteLLM is heavy (about 2 s and 160 MB) and configured by globals, so it is imported once, in a thread, on first use,
and told there what it must not do: fetch anything, log a prompt or an answer, or name a key in an exception.
"""

import importlib
import logging
import os
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import httpx

from graphs.backoff import Backoff
from graphs.models import EXTRACTIVE, ModelConfig, UnsupportedVersion
from graphs.support.context import Embed
from graphs.tokens import add_price
from graphs.transport import client_for

PINNED = "1.106.2"
_OLLAMA_PRICE = {"litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0}


def check_version() -> None:
    """Refuse every LiteLLM but the pinned one before any of its code runs.

    1.82.7, 1.82.8 and 1.107.0 are known bad releases; a version nobody tried is not assumed to be good.
    """
    if (installed := version("litellm")) != PINNED:
        raise UnsupportedVersion(f"litellm {installed} is installed; Jobx runs with {PINNED} only: see constraints.txt")


def load() -> Any:
    """LiteLLM, imported and silenced; call it in a thread, the first time takes seconds."""
    check_version()
    for name in ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"):
        os.environ[name] = "True"  # else both lists are fetched from the internet
    # Its lazily built types make pydantic warn the user of a service about nothing they can change.
    warnings.filterwarnings("ignore", "Item '.*' on TypedDict class", UserWarning)
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = litellm.turn_off_message_logging = litellm.redact_messages_in_exceptions = True
    litellm.set_verbose = False
    litellm.drop_params = True  # reasoning models know no temperature
    litellm.DEFAULT_MAX_RETRIES = 0  # its OpenAI embeddings read 0 as unset, and would retry below the Router
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they repeat requests and what a provider said to them
    from graphs.provider import ExtractiveProvider  # noqa: PLC0415

    if not any(item["provider"] == "jobx" for item in litellm.custom_provider_map):
        litellm.custom_provider_map.append({"provider": "jobx", "custom_handler": ExtractiveProvider()})
        litellm.utils.custom_llm_setup()
    # The first call of all reads a vocabulary and modules for 0.3 s, which belong in the thread: so here is one.
    litellm.token_counter(model="", text="x")
    litellm.completion(model="openai/none", messages=[{"role": "user", "content": "x"}], mock_response="x")
    return litellm


def build_router(
    litellm: Any,
    models: Sequence[ModelConfig],
    http: httpx.AsyncClient | None,
    backoff: Backoff,
    cooldown: float,
    embed: Embed | None = None,
) -> Any:
    """A Router of one deployment a model, its id the model's name.

    `embed` serves the extractive model of this Router alone.
    """
    for model in models:
        if model.route.startswith("ollama_chat/"):
            # Without an entry it is looked up at its server by a blocking call outside the given HTTP client.
            litellm.model_cost.setdefault(model.route, _OLLAMA_PRICE)
        add_price(litellm, model)
    router = litellm.Router(
        model_list=[_deployment(model, last=model is models[-1]) for model in models],
        num_retries=backoff.retries,
        allowed_fails=backoff.retries,
        cooldown_time=cooldown,
    )
    clients = {model.name: client_for(litellm, model, http) for model in models}
    if EXTRACTIVE in clients:
        clients[EXTRACTIVE] = embed
    inherited = router._get_client

    def client_of(deployment: Any, kwargs: Any, client_type: str | None = None) -> Any:
        if client_type == "async":
            return clients[deployment["model_info"]["id"]]
        return inherited(deployment, kwargs, client_type)

    # The Router has no argument for either: its clients are made from its own settings and its pauses from constants
    # read at import. The exact pin, tests/graphs/test_llm.py and test_transport.py keep these two seams honest.
    router._get_client = client_of
    router._time_to_sleep_before_retry = backoff.pause
    return router


def _deployment(model: ModelConfig, last: bool) -> dict[str, Any]:
    params: dict[str, Any] = {
        "model": model.route,
        "api_base": model.api_base,
        "api_key": model.api_key,
        "timeout": model.timeout,
    }
    if model.name.startswith(("anthropic/", "claude")):
        params["cache_control_injection_points"] = [{"location": "message", "role": "system"}]
    if last:
        params["cooldown_time"] = 0  # leaving out the last resort would only turn a retry into a handoff
    return {"model_name": model.name, "litellm_params": params, "model_info": {"id": model.name}}
