"""What is told of each call of a model."""

import httpx
import pytest
from langchain.messages import HumanMessage

from graphs.llm import LanguageModel
from graphs.models import ModelCall, ModelConfig, ModelRefused, ModelUnavailable
from tests.graphs.conftest import LITELLM_WARNINGS
from tests.graphs.fake_openai import FakeOpenAI, Reply, Status

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)
ASK = [HumanMessage("What does it cost?")]


class Seen:
    """A model of two names on the fake server, and the calls it told of."""

    def __init__(self, server: FakeOpenAI, http: httpx.AsyncClient) -> None:
        self.calls: list[ModelCall] = []
        configs = [ModelConfig(f"openai/{name}", server.url, "sk-test-key", 5.0) for name in ("gpt-4.1-mini", "b")]
        self.llm = LanguageModel(configs, http=http, retries=0, backoff=0.01, observe=self.calls.append)


@pytest.fixture
async def seen(server: FakeOpenAI, http: httpx.AsyncClient):
    made = Seen(server, http)
    yield made
    await made.llm.aclose()


async def test_a_call_is_told_with_its_tokens_its_cost_and_its_time(seen: Seen, server: FakeOpenAI) -> None:
    server.script("gpt-4.1-mini", Reply("Ten pounds.", prompt_tokens=1000, completion_tokens=500))
    await seen.llm.complete(ASK, max_tokens=5)
    (call,) = seen.calls
    assert (call.model, call.outcome) == ("openai/gpt-4.1-mini", "ok")
    assert (call.usage.prompt_tokens, call.usage.completion_tokens, call.usage.cost_micros) == (1000, 500, 1200)
    assert 0 < call.seconds < 60


async def test_a_fallback_is_told_by_the_model_that_answered(seen: Seen, server: FakeOpenAI) -> None:
    server.script("gpt-4.1-mini", Status(500))
    await seen.llm.complete(ASK, max_tokens=5)
    assert [(call.model, call.outcome) for call in seen.calls] == [("openai/b", "ok")]


@pytest.mark.parametrize(
    ("code", "error", "outcome"), [(500, ModelUnavailable, "unavailable"), (401, ModelRefused, "refused")]
)
async def test_a_failure_is_told_once_by_the_first_model(
    seen: Seen, server: FakeOpenAI, code: int, error: type[Exception], outcome: str
) -> None:
    server.default = lambda _request: Status(code)
    with pytest.raises(error):
        await seen.llm.complete(ASK, max_tokens=5)
    assert [(call.model, call.outcome, call.usage.calls) for call in seen.calls] == [
        ("openai/gpt-4.1-mini", outcome, 0)
    ]


async def test_a_stream_is_told_when_it_has_ended(seen: Seen, server: FakeOpenAI) -> None:
    server.script("gpt-4.1-mini", Reply("Ten pounds.", prompt_tokens=40, completion_tokens=5))
    stream = seen.llm.stream(ASK, max_tokens=5)
    async for _ in stream:
        assert seen.calls == []
    assert [(call.outcome, call.usage) for call in seen.calls] == [("ok", stream.completion.usage)]
