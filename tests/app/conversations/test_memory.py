"""Long conversations: summed up once, kept with the conversation, and forgotten when what they cover changes."""

import pytest
from sqlalchemy import select, text

from app.models import Conversation, Message
from graphs.llm import LanguageModel
from graphs.models import ModelConfig
from tests.graphs.fake_openai import FakeOpenAI, Reply

GROUNDED = "You can return any item within 30 days of delivery. [1]"
SUMMARY = "The customer asked about returns of lamps."
LONG = " It was a very nice lamp and I liked it a lot, but it does not fit my room at all." * 8


def answer(request):
    system = request["messages"][0]["content"]
    if system.startswith("Sum up"):
        return Reply(SUMMARY)
    return Reply("How many days to return an item?" if system.startswith("Rewrite") else GROUNDED)


@pytest.fixture
async def server():
    async with FakeOpenAI() as fake:
        fake.default = answer
        yield fake


@pytest.fixture
async def shop(tenant, run_jobs, runtime, server):
    await runtime.llm.aclose()
    runtime.llm = LanguageModel([ModelConfig("openai/first", server.url, "key", 5)], retries=0)
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    tenant.connection = await tenant.connect(await tenant.add_agent(context_tokens=3000))
    return tenant


def update(number, words, kind="message"):
    person = {"id": 9, "is_bot": False, "first_name": "A"}
    chat = {"id": 9, "type": "private", "first_name": "A"}
    message = {"message_id": number, "from": person, "chat": chat, "date": 1789814498 + number, "text": words}
    if kind == "edited_message":
        message["edit_date"] = 1789815498
    return {"update_id": number + (1000 if kind == "edited_message" else 0), kind: message}


async def talk(shop, run_jobs, turns, first=1):
    for number in range(first, first + turns):
        await shop.post(shop.connection, update(number, f"Lamp {number}: how many days to return an item?{LONG}"))
        await run_jobs()


async def conversation(shop):
    async with shop.runtime.vault.session(shop.id) as session:
        [found] = await session.scalars(select(Conversation))
        return found.summary, found.summary_until


async def talk_until_summed_up(shop, server, run_jobs):
    """So many turns; their last one made the summary."""
    turns = 0
    while not summing(server):
        turns += 1
        assert turns < 9
        await talk(shop, run_jobs, 1, first=turns)
    return turns


def summing(server):
    return [r for r in server.requests if r["messages"][0]["content"].startswith("Sum up")]


async def test_a_long_conversation_is_summed_up_once_and_goes_on_from_there(shop, telegram, server, run_jobs):
    turns = await talk_until_summed_up(shop, server, run_jobs)
    assert turns > 2
    summary, until = await conversation(shop)
    assert summary == SUMMARY
    before = len(server.requests)
    await talk(shop, run_jobs, 1, first=turns + 1)
    # It rewrites and drafts, and sums nothing up.
    assert len(server.requests) == before + 2
    drafted = str(server.requests[-1]["messages"])
    assert SUMMARY in drafted
    assert "Lamp 1:" not in drafted
    assert f"Lamp {turns}:" in drafted
    assert await conversation(shop) == (SUMMARY, until)
    assert len(telegram.sent) == turns + 1
    # As encrypted as the messages are.
    async with shop.runtime.vault.session(shop.id) as session:
        stored = await session.scalar(text("select summary_sealed from tenant.conversations"))
    assert SUMMARY.encode() not in bytes(stored)


@pytest.mark.parametrize("covered", [True, False])
async def test_an_edit_of_what_a_summary_covers_drops_it(shop, server, run_jobs, covered):
    turns = await talk_until_summed_up(shop, server, run_jobs)
    await shop.post(shop.connection, update(1 if covered else turns, "Something else", "edited_message"))
    await run_jobs()
    assert (await conversation(shop))[0] == (None if covered else SUMMARY)
    if covered:
        await talk(shop, run_jobs, 1, first=turns + 1)
        again = str(summing(server)[-1]["messages"])
        assert "Something else" in again
        assert "Lamp 1:" not in again
        assert (await conversation(shop))[0] == SUMMARY


async def test_a_summary_is_not_kept_when_a_message_changes_while_it_is_made(shop, server, run_jobs, monkeypatch):
    complete = shop.runtime.llm.complete

    async def meanwhile(messages, **options):
        if messages[0].text.startswith("Sum up"):
            async with shop.runtime.vault.session(shop.id) as session:
                first = (await session.scalars(select(Message).order_by(Message.position).limit(1))).one()
                first.text = "edited"
        return await complete(messages, **options)

    monkeypatch.setattr(shop.runtime.llm, "complete", meanwhile)
    await talk_until_summed_up(shop, server, run_jobs)
    assert await conversation(shop) == (None, None)


async def test_a_summary_is_not_kept_after_a_disconnect(shop, server, run_jobs, monkeypatch):
    complete = shop.runtime.llm.complete

    async def meanwhile(messages, **options):
        if messages[0].text.startswith("Sum up"):
            assert (await shop.http.delete(f"/v1/connections/{shop.connection}")).status_code == 202
        return await complete(messages, **options)

    monkeypatch.setattr(shop.runtime.llm, "complete", meanwhile)
    await talk_until_summed_up(shop, server, run_jobs)
    assert await conversation(shop) == (None, None)


async def test_a_sensitive_topic_goes_to_a_person_without_a_model(shop, telegram, server, run_jobs):
    agents = (await shop.http.get("/v1/agents")).json()["agents"]
    body = {"sensitive_topics": ["legal action"]}
    assert (await shop.http.patch(f"/v1/agents/{agents[0]['id']}", json=body)).json()["sensitive_topics"] == [
        "legal action"
    ]
    await shop.write(shop.connection, "My lawyers prepare legal actions against you.")
    await run_jobs()
    assert server.requests == []
    assert (await shop.messages())[-1]["turn"]["reason"] == "sensitive_topic"
    assert len(telegram.sent) == 1
