import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.simulators.telegram import TelegramSimulator
from bench.dm import Driver
from bench.load import Request
from bench.partners import Partners, serve
from graphs.support import guardrails
from graphs.support.citations import cited_sentences
from graphs.support.context import AgentProfile
from graphs.support.grounding import supports
from graphs.support.prompts import draft_messages, rewrite_messages
from tests.embedding_cache import cached_embedder
from tests.graphs.shop import DELIVERY, RETURNS

BOT = "/bot7000000001:" + "token-" * 6
MESSAGE = {"chat_id": 42, "text": "In 30 days."}


@pytest.fixture
async def wire() -> AsyncIterator[SimpleNamespace]:
    partners = Partners()
    server = await serve(partners, 0)
    port = server.sockets[0].getsockname()[1]
    async with server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield SimpleNamespace(partners=partners, port=port, client=client)
        await client.aclose()


@pytest.mark.parametrize(
    ("method", "parameters"), [("sendMessage", MESSAGE), ("sendChatAction", {"chat_id": 42, "action": "typing"})]
)
async def test_the_provider_answers_as_the_simulator_does(wire: Any, method: str, parameters: dict[str, Any]) -> None:
    simulator = TelegramSimulator(accept_any_token=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app), base_url="http://x") as simulated:
        wanted = (await simulated.post(f"{BOT}/{method}", json=parameters)).json()
    found = (await wire.client.post(f"{BOT}/{method}", json=parameters)).json()
    assert _shape(found) == _shape(wanted)


async def test_what_was_sent_is_told_once_with_its_moment(wire: Any) -> None:
    await asyncio.gather(*[wire.client.post(f"{BOT}/sendMessage", json=MESSAGE | {"chat_id": chat}) for chat in (1, 2)])
    await wire.client.post(f"{BOT}/sendMessage", json=MESSAGE | {"text": "x" * 3000})
    sent = (await wire.client.get("/sent")).json()["sent"]
    assert sorted(item["chat"] for item in sent) == [1, 2, 42]
    assert sent[2]["text"] == "x" * 3000
    assert sent == sorted(sent, key=lambda item: item["at"])
    assert (await wire.client.get("/sent", params={"since": 2})).json()["sent"] == sent[2:]


async def test_the_model_drafts_what_the_check_lets_through(wire: Any) -> None:
    agent, passages = AgentProfile("Fin"), [RETURNS, DELIVERY]
    prompt = draft_messages(agent, passages, [], "How long can I return shoes?", "How long can I return shoes?")
    asked = {"model": "m", "messages": [{"role": "user", "content": message.text} for message in prompt]}
    answer = (await wire.client.post("/v1/chat/completions", json=asked)).json()
    draft = answer["choices"][0]["message"]["content"]
    drafted = cited_sentences(draft)
    support = await supports(drafted, passages, cached_embedder().embed)
    assert all(verdict.passed for verdict in guardrails.verdicts(draft, drafted, support, passages, agent))
    assert draft.removesuffix(" [1]") not in RETURNS.text
    assert answer["usage"]["total_tokens"] > 0


async def test_the_model_keeps_a_message_as_its_question(wire: Any) -> None:
    prompt = rewrite_messages([], "And for shoes?")
    asked = {"model": "m", "messages": [{"role": "user", "content": message.text} for message in prompt]}
    answer = (await wire.client.post("/v1/chat/completions", json=asked)).json()
    assert answer["choices"][0]["message"]["content"] == "And for shoes?"


class _Stage:
    """A stage whose web process acknowledges everything and sends nothing."""

    handoff_message = "A colleague will answer."

    def __init__(self, port: int) -> None:
        self.ports = {"provider": port}
        self._port = port

    def of(self, kind: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(port=self._port)]

    def numbers(self, count: int) -> int:
        return 0

    def message(self, number: int, text: str, chat: int | None = None) -> Request:
        return Request("/webhooks/telegram/x", {}, text.encode())


async def test_messages_that_never_come_out_are_lost(wire: Any) -> None:
    driver: Any = Driver(_Stage(wire.port), 0.0, patience=0.1)  # type: ignore[arg-type]
    found = await driver.paced(100.0, 0.05)
    assert (found.refused, found.lost, found.doubled) == (0, 5, 0)


async def test_messages_that_come_out_twice_are_doubled(wire: Any) -> None:
    driver: Any = Driver(_Stage(wire.port), 0.0, patience=0.1)  # type: ignore[arg-type]
    posting = asyncio.create_task(driver.burst(3, connections=2))
    await asyncio.sleep(0.05)
    for chat in (6_000_000_000, 6_000_000_001, 6_000_000_001, 6_000_000_002):
        await wire.client.post(f"{BOT}/sendMessage", json=MESSAGE | {"chat_id": chat})
    found = await posting
    assert (found.lost, found.doubled) == (0, 1)


async def test_a_web_process_that_is_away_refuses(wire: Any) -> None:
    stage = _Stage(wire.port)
    stage._port = 1
    driver: Any = Driver(stage, 0.0, patience=0.0)  # type: ignore[arg-type]
    assert (await driver.burst(2)).refused == 2


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    return type(value)
