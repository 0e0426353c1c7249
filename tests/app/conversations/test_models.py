"""A written answer from a model at the wire, and what happens when models fail: a turn is never met with silence."""

import pytest

from graphs.llm import LanguageModel
from graphs.models import ModelConfig
from tests.graphs.fake_openai import FakeOpenAI, Reply, Status

QUESTION = "How many days do I have to return an item?"
GROUNDED = "You can return any item within 30 days of delivery. [1]"


@pytest.fixture
async def server():
    async with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
async def shop(tenant, run_jobs, runtime, server):
    await runtime.llm.aclose()
    models = [ModelConfig(f"openai/{name}", server.url, "key-of-the-test", 5) for name in ("first", "second")]
    runtime.llm = LanguageModel(models, retries=1, backoff=0.01)
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    tenant.connection = await tenant.connect(await tenant.add_agent(instructions="Be brief."))
    return tenant


async def test_a_model_writes_the_reply_and_its_use_is_kept(shop, telegram, server, run_jobs):
    server.script("first", Reply(GROUNDED, prompt_tokens=321, completion_tokens=12))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [sent.text for sent in telegram.sent] == ["You can return any item within 30 days of delivery."]
    reply = (await shop.messages())[-1]
    assert reply["turn"]["model"] == "openai/first"
    assert reply["turn"]["citations"][0]["quote"] == "You can return any item within 30 days of delivery."
    prompt = str(server.requests[0]["messages"])
    assert "Be brief." in prompt
    assert QUESTION in prompt


async def test_a_model_that_is_down_is_tried_again_and_then_replaced(shop, telegram, server, run_jobs):
    server.script("first", Status(500), Status(503))
    server.script("second", Reply(GROUNDED))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await shop.messages())[-1]["turn"]["model"] == "openai/second"


async def test_with_every_model_down_a_person_gets_the_message(shop, telegram, server, run_jobs):
    server.default = lambda _request: Status(500)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [sent.text for sent in telegram.sent] == [
        "Thank you for your message. A colleague will get back to you here."
    ]
    assert (await shop.messages())[-1]["turn"]["reason"] == "model_unavailable"


@pytest.mark.parametrize(
    "invented",
    [
        "You can return any item within 90 days of delivery. [1]",
        "You can return any item within 30 days of delivery. [1] See https://evil.example/return [1]",
        "We will refund you today and send a voucher of 50 pounds. [1]",
        "You can return any item within 30 days of delivery. [7]",
        "You can return any item within 30 days of delivery.",
    ],
)
async def test_what_the_passages_do_not_support_is_not_sent(shop, telegram, server, run_jobs, invented):
    server.default = lambda _request: Reply(invented)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [sent.text for sent in telegram.sent] == [
        "Thank you for your message. A colleague will get back to you here."
    ]
    assert len(server.requests) == 2
    assert (await shop.messages())[-1]["turn"]["outcome"] == "handed_off"


async def test_one_redraft_may_mend_a_reply(shop, telegram, server, run_jobs):
    server.script("first", Reply("You can return any item within 90 days. [1]"), Reply(GROUNDED))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert "30 days" in telegram.sent[0].text
