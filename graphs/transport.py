"""How a caller's HTTP client gets under LiteLLM, so that its allow-list and TLS rules hold for model calls too."""

import importlib
import logging
from typing import Any

import httpx

from graphs.models import EXTRACTIVE, ModelConfig

_log = logging.getLogger(__name__)

# LiteLLM reaches these through the OpenAI SDK …
SDK_PROVIDERS = frozenset({"openai", "custom_openai", "llamafile", "lm_studio"})
# … and these through its own handler, which takes a transport. Any other opens connections of its own.
HANDLER_PROVIDERS = frozenset(
    {"anthropic", "deepseek", "gemini", "groq", "hosted_vllm", "mistral", "ollama_chat", "openrouter", "xai"}
)


class ThroughClient(httpx.AsyncBaseTransport):
    """A transport that sends through someone else's client and never closes it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send as the client would, hooks and limits included; the body is left unread."""
        return await self._client.send(request, stream=True)


def client_for(litellm: Any, model: ModelConfig, http: httpx.AsyncClient | None) -> Any:
    """The client object LiteLLM wants for this model's provider, or None to let it make its own."""
    if http is None or model.name == EXTRACTIVE:
        return None
    _, provider, key, base = litellm.get_llm_provider(model.route, api_base=model.api_base, api_key=model.api_key)
    if provider in SDK_PROVIDERS:
        return importlib.import_module("openai").AsyncOpenAI(
            api_key=key or model.api_key or "none", base_url=base or model.api_base, http_client=http, max_retries=0
        )
    if provider in HANDLER_PROVIDERS:
        handlers = importlib.import_module("litellm.llms.custom_httpx.http_handler")
        return handlers.AsyncHTTPHandler(timeout=model.timeout, transport=ThroughClient(http))
    _log.warning("model calls to %s do not go through the given HTTP client", provider)
    return None
