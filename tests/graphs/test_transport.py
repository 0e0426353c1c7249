import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from langchain.messages import HumanMessage, SystemMessage

from graphs.llm import LanguageModel
from graphs.models import ModelConfig, ModelError
from graphs.transport import HANDLER_PROVIDERS, SDK_PROVIDERS
from tests.graphs.conftest import LITELLM_WARNINGS

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)
ASK = [SystemMessage("the rules"), HumanMessage("question")]


class Provider:
    """Answers in no format at all: what counts is what was sent, and through whom."""

    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.answer = answer
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json=self.answer) if self.answer else httpx.Response(400, json={"error": "no"})


@pytest.mark.parametrize("provider", sorted({*HANDLER_PROVIDERS, *SDK_PROVIDERS, "ollama"}))
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_given_client_carries_the_provider(provider: str, streamed: bool) -> None:
    wire = Provider()
    config = ModelConfig(f"{provider}/some-model", "http://model.test/v1", "key-of-test", 2.0)
    llm = LanguageModel([config], http=wire.client, retries=0)
    with pytest.raises(ModelError):
        await (_drained(llm) if streamed else llm.complete(ASK, max_tokens=5))
    assert {request.url.host for request in wire.requests} == {"model.test"}
    assert not wire.client.is_closed
    await llm.aclose()


async def test_another_provider_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    llm = LanguageModel([ModelConfig("cohere_chat/x", api_key="k")], http=Provider().client)
    await llm.warm_up()
    assert "cohere_chat do not go through" in caplog.text
    await llm.aclose()


async def test_claude_is_asked_to_cache_the_system_prompt() -> None:
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
    }
    wire = Provider(answer)
    llm = LanguageModel([ModelConfig("anthropic/claude-haiku-5-5", api_key="sk-ant-test")], http=wire.client)
    completion = await llm.complete(ASK, max_tokens=5)
    await llm.aclose()
    sent = json.loads(wire.requests[0].content)
    assert sent["system"] == [{"type": "text", "text": "the rules", "cache_control": {"type": "ephemeral"}}]
    assert "cache_control" not in json.dumps(sent["messages"])
    assert wire.requests[0].headers["x-api-key"] == "sk-ant-test"
    assert (completion.text, completion.usage.cost_micros) == ("hello", 150)


async def test_an_ollama_model_is_asked_by_the_given_client_alone() -> None:
    answer = {
        "model": "qwen-of-test",
        "message": {"role": "assistant", "content": "hello"},
        "done": True,
        "eval_count": 3,
    }
    wire = Provider(answer)
    llm = LanguageModel([ModelConfig("ollama/qwen-of-test", "http://model.test")], http=wire.client)
    with _lookups() as looked_up:
        completion = await llm.complete(ASK, max_tokens=5)
        await _drained(llm)
    await llm.aclose()
    assert (completion.text, completion.model, completion.usage.cost_micros) == ("hello", "ollama/qwen-of-test", 0)
    assert [str(request.url) for request in wire.requests] == ["http://model.test/api/chat"] * 2
    assert looked_up == []


@contextmanager
def _lookups() -> Iterator[list[object]]:
    """Host names looked up in the block; an audit hook stays for ever, so it is told when to stop listening."""
    seen: list[object] = []
    listening = True
    sys.addaudithook(lambda event, args: seen.append(args[0]) if listening and event == "socket.getaddrinfo" else None)
    yield seen
    listening = False


async def _drained(llm: LanguageModel) -> list[str]:
    return [piece async for piece in llm.stream(ASK, max_tokens=5)]
