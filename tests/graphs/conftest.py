from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from graphs.llm import LanguageModel
from graphs.models import ModelConfig
from tests.graphs.fake_openai import FakeOpenAI

# Raised as errors inside LiteLLM they would look like a model that is down.
LITELLM_WARNINGS = (
    r"ignore:Accessing the 'model_(computed_)?fields' attribute:DeprecationWarning:litellm\.",
    r"ignore:Item '\w+' on TypedDict class '\w+' is using the `ReadOnly` qualifier:UserWarning:pydantic\.",
)

Models = Callable[..., LanguageModel]


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def models(server: FakeOpenAI, http: httpx.AsyncClient) -> AsyncIterator[Models]:
    """Make a LanguageModel of models on the fake server, named as they are on the wire."""
    made: list[LanguageModel] = []

    def make(*names: str, timeout: float = 5.0, retries: int = 1, backoff: float = 0.01, cooldown: float = 30.0):
        configs = [ModelConfig(f"openai/{name}", server.url, "sk-test-key", timeout) for name in names]
        made.append(LanguageModel(configs, http=http, retries=retries, backoff=backoff, cooldown=cooldown))
        return made[-1]

    yield make
    for llm in made:
        await llm.aclose()
