"""Hosted embeddings against an OpenAI-compatible server on loopback."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from graphs.embeddings import MOST_BYTES, MOST_TEXTS, PROVIDERS, HostedEmbedder
from graphs.models import ModelCall, ModelConfig
from tests.graphs.conftest import LITELLM_WARNINGS
from tests.graphs.fake_openai import DIMENSION, Cut, FakeOpenAI, Raw, Stall, Status, bag_of_words, embeddings
from vectorstore.embedding import EmbeddingsUnavailable
from vectorstore.model_files import EmbeddingError
from vectorstore.tokens import DefaultTokenizer

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)
Make = Callable[..., HostedEmbedder]


@pytest.fixture
def calls() -> list[ModelCall]:
    return []


@pytest.fixture
async def make(
    server: FakeOpenAI, http: httpx.AsyncClient, tmp_path: Path, calls: list[ModelCall]
) -> AsyncIterator[Make]:
    made: list[HostedEmbedder] = []

    def embedder(timeout: float = 5.0, retries: int = 1) -> HostedEmbedder:
        config = ModelConfig("openai/embed", server.url, "sk-test-key", timeout)
        made.append(HostedEmbedder(config, tmp_path, http=http, retries=retries, backoff=0.01, observe=calls.append))
        return made[-1]

    yield embedder
    for one in made:
        one.close()


def unit(text: str) -> list[float]:
    vector = bag_of_words(text)
    return [number / math.hypot(*vector) for number in vector]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def inputs(server: FakeOpenAI) -> list[list[str]]:
    return [request["input"] for request in server.requests]


async def test_vectors_have_unit_length_and_the_order_of_the_texts(make: Make, server: FakeOpenAI) -> None:
    texts = [f"text number {number}" for number in range(3 * MOST_TEXTS + 5)]
    vectors = await make().embed(texts)
    assert vectors == [pytest.approx(unit(text)) for text in texts]
    assert sorted(len(batch) for batch in inputs(server)) == [5, MOST_TEXTS, MOST_TEXTS, MOST_TEXTS]
    assert server.headers[0]["authorization"] == "Bearer sk-test-key"
    assert await make().embed([]) == []


async def test_a_call_has_only_so_many_bytes_and_a_long_text_is_cut(make: Make, server: FakeOpenAI) -> None:
    embedder = make()
    embedder._most_bytes = 10_001
    await embedder.embed(["ü" * 20_000] * 30)
    assert {text for batch in inputs(server) for text in batch} == {"ü" * 5_000}
    assert [len(batch) for batch in inputs(server)].count(MOST_BYTES // 10_000) == 1
    assert all(sum(len(text.encode()) for text in batch) <= MOST_BYTES for batch in inputs(server))


async def test_only_a_few_calls_are_made_at_once_and_a_question_waits_for_none(make: Make, server: FakeOpenAI) -> None:
    server.script("embed", *[Stall(60)] * 4)
    embedder = make(retries=0)
    documents = asyncio.create_task(embedder.embed(["text"] * MOST_TEXTS * 6))
    await until(lambda: len(server.requests) == 4)
    await embedder.embed_query("question")
    assert inputs(server)[4] == ["question"]
    documents.cancel()
    await asyncio.gather(documents, return_exceptions=True)


async def test_texts_that_cannot_be_sent_as_they_are(make: Make, server: FakeOpenAI) -> None:
    assert len(await make().embed(["", "half \ud83d a pair"])) == 2
    assert inputs(server) == [[" ", "half  a pair"]]


@pytest.mark.parametrize("step", [Status(429), Status(500), Status(503), Cut()])
async def test_a_failure_that_may_pass_is_tried_again(make: Make, server: FakeOpenAI, step: object) -> None:
    server.script("embed", step)
    assert await make().embed(["text"]) == [pytest.approx(unit("text"))]
    assert server.calls("embed") == 2


@pytest.mark.parametrize("retries", [0, 2])
async def test_nothing_else_tries_again(make: Make, server: FakeOpenAI, retries: int) -> None:
    server.script("embed", *[Status(429)] * 9)
    with pytest.raises(EmbeddingsUnavailable):
        await make(retries=retries).embed(["text"])
    assert server.calls("embed") == retries + 1


@pytest.mark.parametrize("step", [Status(429), Status(500), Cut(), Stall(), Status(401), Status(404), Raw(b"<html>")])
async def test_a_provider_that_stays_away_is_unavailable(
    make: Make, server: FakeOpenAI, step: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script("embed", *[step] * 4)
    with pytest.raises(EmbeddingsUnavailable) as raised:
        await make(timeout=1.0).embed(["secret text"])
    for text in (str(raised.value), repr(raised.value), caplog.text):
        assert "sk-test-key" not in text
        assert "secret text" not in text
    assert raised.value.__cause__ is None


async def test_texts_that_are_refused_would_be_again(make: Make, server: FakeOpenAI, calls: list[ModelCall]) -> None:
    server.script("embed", Status(400, "secret text"))
    with pytest.raises(EmbeddingError) as raised:
        await make().embed(["secret text"])
    assert not isinstance(raised.value, EmbeddingsUnavailable)
    assert [(call.model, call.outcome) for call in calls] == [("openai/embed", "refused")]


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 1},
        {"index": 7},
        {"embedding": [1.0] * (DIMENSION - 1)},
        {"embedding": [math.nan] * DIMENSION},
        {"embedding": [math.inf] * DIMENSION},
        {"embedding": [None] * DIMENSION},
        {"embedding": [0.0] * DIMENSION},
        {"embedding": []},
        {"embedding": "AAAA"},
    ],
)
async def test_an_answer_with_anything_but_good_vectors_is_refused(
    make: Make, server: FakeOpenAI, changes: dict[str, object]
) -> None:
    embedder = make(retries=0)
    await embedder.prepare()
    server.script("embed", Raw(json.dumps(embeddings({"model": "m", "input": ["a", "b"]}, **changes)).encode()))
    with pytest.raises(EmbeddingError):
        await embedder.embed(["a", "b"])
    assert len(await embedder.embed(["a", "b"])) == 2


@pytest.mark.parametrize("count", [1, 3])
async def test_an_answer_with_another_number_of_vectors_is_refused(make: Make, server: FakeOpenAI, count: int) -> None:
    answer = embeddings({"model": "m", "input": ["text"] * count})
    server.script("embed", Raw(json.dumps(answer).encode()))
    with pytest.raises(EmbeddingError, match="other vectors"):
        await make().embed(["a", "b"])


async def test_vectors_of_another_size_than_before_are_refused(make: Make, server: FakeOpenAI) -> None:
    embedder = make()
    await embedder.prepare()
    answer = embeddings({"model": "m", "input": ["a"]}, embedding=[1.0, 2.0])
    server.script("embed", Raw(json.dumps(answer).encode()))
    with pytest.raises(EmbeddingError, match=f"2 numbers, and not of {DIMENSION}"):
        await embedder.embed(["a"])


async def test_the_dimension_is_learnt_once(make: Make, server: FakeOpenAI) -> None:
    first, told = make(), []
    with pytest.raises(EmbeddingError, match="not known"):
        _ = first.dimension
    await first.prepare(told.append)
    await first.prepare()
    assert (first.dimension, first.name, server.calls("embed"), len(told)) == (DIMENSION, "openai/embed", 1, 1)
    again = make()
    await again.prepare(load=False)
    assert (again.dimension, server.calls("embed")) == (DIMENSION, 1)


async def test_a_folder_that_takes_nothing_is_no_hindrance(
    tmp_path: Path, server: FakeOpenAI, http: httpx.AsyncClient
) -> None:
    (tmp_path / "file").touch()
    embedder = HostedEmbedder(ModelConfig("openai/embed", server.url, "k"), tmp_path / "file" / "models", http=http)
    await embedder.prepare()
    assert embedder.dimension == DIMENSION
    embedder.close()


async def test_the_dimension_of_a_known_model_is_asked_of_nobody(tmp_path: Path, server: FakeOpenAI) -> None:
    embedder = HostedEmbedder(ModelConfig("openai/text-embedding-3-large"), tmp_path)
    await embedder.prepare()
    assert (embedder.dimension, embedder._most_bytes) == (3072, 8191)
    embedder.close()


async def test_questions_and_sentences_are_asked_for_once(make: Make, server: FakeOpenAI) -> None:
    embedder = make()
    for _ in range(2):
        assert await embedder.embed_query("Where is it?") == pytest.approx(unit("Where is it?"), rel=1e-6)
        assert len(await embedder.embed_sentences(["One.", "Two.", "One."])) == 3
    await embedder.embed_sentences(["Two.", "Three."])
    assert inputs(server) == [["Where is it?"], ["One.", "Two."], ["Three."]]


async def test_tokens_are_those_of_the_local_model(make: Make, server: FakeOpenAI) -> None:
    embedder = make()
    assert embedder.tokenize("unbelievable parcels") == DefaultTokenizer().tokenize("unbelievable parcels")
    assert embedder.count_tokens("the parcel \ud83d") == 2
    assert not server.requests


async def test_what_was_spent_is_told(tmp_path: Path, server: FakeOpenAI, http: httpx.AsyncClient) -> None:
    calls: list[ModelCall] = []
    config = ModelConfig("openai/text-embedding-3-large", server.url, "k")
    embedder = HostedEmbedder(config, tmp_path, http=http, observe=calls.append)
    for number in range(10):
        await embedder.embed_query(f"question {number}")
    embedder.close()
    assert {(call.model, call.outcome, call.usage.prompt_tokens) for call in calls} == {
        ("openai/text-embedding-3-large", "ok", 2)
    }
    # 20 tokens at 0.13 dollars a million: less than a micro dollar each.
    assert sum(call.usage.cost_micros for call in calls) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_given_client_carries_the_provider(provider: str, tmp_path: Path) -> None:
    asked: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=embeddings(json.loads(request.content)))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as wire:
        config = ModelConfig(f"{provider}/some-model", "http://model.test/v1", "key-of-test", 2.0)
        embedder = HostedEmbedder(config, tmp_path, http=wire, retries=0)
        assert await embedder.embed(["text"]) == [pytest.approx(unit("text"))]
        embedder.close()
        assert not wire.is_closed
    assert [str(request.url) for request in asked] == ["http://model.test/v1/embeddings"]


@pytest.mark.parametrize("name", ["text-embedding-3-small", "sentence-transformers/x", "cohere/embed", "openai/"])
def test_a_name_of_no_provider_that_can_be_reached_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="openai/…"):
        HostedEmbedder(ModelConfig(name), tmp_path)
