import asyncio
import importlib.metadata
import logging
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace

import httpx
import pytest
from langchain.messages import AIMessage, HumanMessage, SystemMessage

from graphs import router
from graphs.backoff import MAX_BACKOFF
from graphs.llm import LanguageModel
from graphs.models import ModelConfig, ModelError, ModelRefused, ModelUnavailable, UnsupportedVersion
from tests.graphs.conftest import LITELLM_WARNINGS, Models
from tests.graphs.fake_openai import Cut, Drip, FakeOpenAI, Reply, Stall, Status

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)
ASK = [SystemMessage("rules"), HumanMessage("one"), AIMessage("two"), HumanMessage("the secret question")]


async def test_the_answer_comes_with_the_model_that_gave_it_and_its_usage(models: Models, server: FakeOpenAI) -> None:
    server.script("a", Reply("Thirty days [1].", prompt_tokens=40, completion_tokens=5))
    completion = await models("a").complete(ASK, max_tokens=50, temperature=0.25)
    assert (completion.text, completion.model) == ("Thirty days [1].", "openai/a")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.calls) == (40, 5, 1)
    sent = server.requests[0]
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "user"]
    assert (sent["max_tokens"], sent["temperature"]) == (50, 0.25)


async def test_a_model_without_a_price_costs_nothing_and_one_with_a_price_what_it_says(
    models: Models, server: FakeOpenAI
) -> None:
    server.script("gpt-4.1-mini", Reply("yes", prompt_tokens=1000, completion_tokens=500))
    assert (await models("gpt-4.1-mini").complete(ASK, max_tokens=5)).usage.cost_micros == 400 + 800
    assert (await models("home-made").complete(ASK, max_tokens=5)).usage.cost_micros == 0


async def test_a_price_is_told_before_and_none_where_it_is_not_known(models: Models, server: FakeOpenAI) -> None:
    assert await models("gpt-4.1-mini").price_micros(3, 1000, 500) == 3 * (400 + 800)
    # The dearest of those that may answer.
    assert await models("gpt-4.1-mini", "gpt-4.1").price_micros(1, 1000, 500) == 2000 + 4000
    assert await models("gpt-4.1-mini", "home-made").price_micros(1, 1000, 500) is None
    own = ModelConfig("openai/mine", server.url, "key", price=(100, 200))
    for model, cost in ((own, 2000), (replace(own, name="openai/free", price=(0, 0)), 0), (ModelConfig("ollama/x"), 0)):
        llm = LanguageModel([model])
        assert await llm.price_micros(1, 1000, 500) == cost
        await llm.aclose()


@pytest.mark.parametrize("failure", [Status(500), Status(503), Status(429), Cut(), Stall()])
async def test_a_failure_that_may_pass_is_tried_again(models: Models, server: FakeOpenAI, failure: object) -> None:
    server.script("a", failure, Reply("now it works"))
    completion = await models("a", "b", timeout=1.0).complete(ASK, max_tokens=5)
    assert (completion.text, completion.model) == ("now it works", "openai/a")
    assert server.calls("a") == 2


async def test_a_model_that_stays_down_is_replaced_by_the_next_and_then_left_out(
    models: Models, server: FakeOpenAI
) -> None:
    llm = models("a", "b", retries=1)
    server.script("a", Status(500), Status(500), Status(500), Status(500))
    assert (await llm.complete(ASK, max_tokens=5)).model == "openai/b"
    assert server.calls("a") == 2
    assert (await llm.complete(ASK, max_tokens=5)).model == "openai/b"
    tried = server.calls("a")
    assert (await llm.complete(ASK, max_tokens=5)).model == "openai/b"
    assert server.calls("a") == tried, "the model was asked during its cooldown"


async def test_a_model_is_asked_again_when_its_cooldown_is_over(models: Models, server: FakeOpenAI) -> None:
    llm = models("a", "b", retries=0, cooldown=0.3)
    server.script("a", Status(500))
    assert (await llm.complete(ASK, max_tokens=5)).model == "openai/b"
    assert (await llm.complete(ASK, max_tokens=5)).model == "openai/b"
    await asyncio.sleep(0.4)
    assert (await llm.complete(ASK, max_tokens=5)).model == "openai/a"


async def test_the_last_resort_is_never_left_out(models: Models, server: FakeOpenAI) -> None:
    llm = models("a", retries=0)
    server.script("a", Status(500), Status(500), Status(500))
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await llm.complete(ASK, max_tokens=5)
    assert (await llm.complete(ASK, max_tokens=5)).text == "scripted answer"


async def test_all_models_down_is_unavailable_and_says_so_without_the_key_or_the_prompt(
    models: Models, server: FakeOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.default = lambda request: Status(500, f"boom sk-test-key {request['messages'][-1]['content']}")
    with pytest.raises(ModelUnavailable) as raised:
        await models("a", "b").complete(ASK, max_tokens=5)
    assert "openai/a, openai/b" in str(raised.value)
    for text in (str(raised.value), repr(raised.value), caplog.text):
        assert "sk-test-key" not in text
        assert "secret question" not in text
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("code", [400, 401, 404])
async def test_a_wrong_request_or_key_is_refused_without_a_retry(models: Models, server: FakeOpenAI, code: int) -> None:
    server.default = lambda request: Status(code)
    with pytest.raises(ModelRefused):
        await models("a", retries=3).complete(ASK, max_tokens=5)
    assert server.calls("a") == 1


async def test_a_forbidden_model_is_refused(models: Models, server: FakeOpenAI) -> None:
    server.default = lambda request: Status(403)
    with pytest.raises(ModelRefused):
        await models("a").complete(ASK, max_tokens=5)


async def test_an_empty_answer_is_no_answer(models: Models, server: FakeOpenAI) -> None:
    server.script("a", Reply(" "))
    with pytest.raises(ModelUnavailable, match="empty"):
        await models("a").complete(ASK, max_tokens=5)


async def test_retry_after_is_obeyed_and_the_pause_doubles(models: Models) -> None:
    llm = models("a", backoff=0.5)
    response = httpx.Response(429, headers={"retry-after": "3"})
    limited = httpx.HTTPStatusError("", request=httpx.Request("POST", "http://x"), response=response)
    assert llm._backoff.pause(limited, 2, 2) == 3
    assert [llm._backoff.pause(ValueError(), left, 3) for left in (3, 2, 1, 0)] == [0.5, 1.0, 2.0, 0.0]
    assert llm._backoff.pause(ValueError(), 1, 9) == MAX_BACKOFF


async def test_a_call_may_narrow_and_order_the_models(models: Models, server: FakeOpenAI) -> None:
    llm = models("a", "b", "c")
    assert (await llm.complete(ASK, max_tokens=5, models=("openai/c", "openai/b"))).model == "openai/c"
    server.script("c", Status(400))
    assert (await llm.complete(ASK, max_tokens=5, models=("openai/c", "openai/b"))).model == "openai/b"
    with pytest.raises(ModelRefused, match="openai/z"):
        await llm.complete(ASK, max_tokens=5, models=("openai/z",))
    assert server.calls("a") == 0


async def test_a_stream_gives_pieces_then_the_whole_with_usage(models: Models, server: FakeOpenAI) -> None:
    server.script("a", Reply("You have thirty days", prompt_tokens=9, completion_tokens=4))
    stream = models("a").stream(ASK, max_tokens=20)
    pieces = [piece async for piece in stream]
    assert pieces == ["You", " have", " thirty", " days"]
    assert stream.completion is not None
    assert (stream.completion.text, stream.completion.model) == ("You have thirty days", "openai/a")
    assert (stream.completion.usage.prompt_tokens, stream.completion.usage.completion_tokens) == (9, 4)


@pytest.mark.parametrize("failure", [Status(500), Stall(), Cut()])
async def test_a_stream_that_does_not_begin_is_tried_again_or_replaced(
    models: Models, server: FakeOpenAI, failure: object
) -> None:
    server.script("a", failure, failure)
    stream = models("a", "b", timeout=1.0).stream(ASK, max_tokens=20)
    assert "".join([piece async for piece in stream]) == "scripted answer"
    assert stream.completion is not None
    assert stream.completion.model in {"openai/a", "openai/b"}


async def test_a_stream_cut_in_the_middle_raises_and_is_not_continued_by_another_model(
    models: Models, server: FakeOpenAI
) -> None:
    server.script("a", Cut(after_words=2))
    stream, pieces = models("a", "b").stream(ASK, max_tokens=20), []

    async def read() -> None:
        async for piece in stream:
            pieces.append(piece)

    with pytest.raises(ModelUnavailable):
        await read()
    assert pieces == ["word0", " word1"]
    assert stream.completion is None
    assert server.calls("b") == 0


async def test_a_reader_may_leave_a_stream_early(models: Models, server: FakeOpenAI) -> None:
    server.script("a", Reply("You have thirty days"))
    stream = models("a").stream(ASK, max_tokens=20)
    async with aclosing(aiter(stream)) as pieces:
        async for piece in pieces:
            assert piece == "You"
            break
    assert stream.completion is None


async def test_a_server_that_drips_cannot_hold_the_call_for_ever(models: Models, server: FakeOpenAI) -> None:
    llm = models("a", timeout=1.0, retries=0)
    await llm.warm_up()
    server.script("a", Drip(seconds=10))
    with pytest.raises(ModelUnavailable):
        await asyncio.wait_for(llm.complete(ASK, max_tokens=5), 5)


def test_another_version_of_litellm_is_refused_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "version", lambda name: "1.107.0")
    with pytest.raises(UnsupportedVersion, match=r"1\.107\.0.*1\.106\.2"):
        LanguageModel([ModelConfig("jobx/extractive")])


def test_the_pin_is_the_one_in_the_constraints() -> None:
    assert importlib.metadata.version("litellm") == router.PINNED
    with open("constraints.txt") as constraints:
        assert f"litellm=={router.PINNED}\n" in constraints.readlines()


def test_importing_the_graphs_does_not_load_litellm() -> None:
    code = "import graphs.llm, graphs.support.graph, sys; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_litellm_and_answering_opens_no_connection() -> None:
    code = """
import asyncio, sys
opened = []
watched = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: opened.append((event, args)) if event in watched else None)
from langchain.messages import HumanMessage
from graphs.llm import LanguageModel
from graphs.models import ModelConfig
llm = LanguageModel([ModelConfig("jobx/extractive"), ModelConfig("anthropic/claude-haiku-5-5", api_key="k")])
print(asyncio.run(llm.complete([HumanMessage("x")], max_tokens=5)).text)
sys.exit(len(opened))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "NO_ANSWER"), done.stderr


def test_no_key_is_in_the_representation_of_a_model() -> None:
    assert "sk-very-secret" not in repr(ModelConfig("openai/x", api_key="sk-very-secret"))


async def test_no_model_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        LanguageModel([])


def test_the_errors_are_one_tree() -> None:
    assert issubclass(ModelRefused, ModelError)
    assert issubclass(ModelUnavailable, ModelError)
