"""Search by whole words: what is found, what is not, and that no message is stored without its words."""

import itertools

import pytest
from sqlalchemy import select

from app.models import Contact, Message, MessageWord
from app.models.words import hashes_of
from app.simulators.telegram import text_update
from tests.app.conversations.test_people import ask, say, shop, talk
from tests.app.keys.conftest import anew
from tests.tenant import Tenant

__all__ = ["anew", "shop", "talk"]
_numbers = itertools.count(50_000)


async def found(tenant: Tenant, words: str, **filters: str) -> list[str]:
    response = await tenant.http.get("/v1/conversations", params={"words": words, **filters})
    assert response.status_code == 200, response.text
    return [each["id"] for each in response.json()["conversations"]]


async def customers(tenant: Tenant, words: str, **filters: str) -> list[str]:
    response = await tenant.http.get("/v1/contacts", params={"words": words, **filters})
    assert response.status_code == 200, response.text
    return [each["name"] for each in response.json()["contacts"]]


async def written(shop: Tenant, text: str, chat_id: int, name: str = "Ada Lovelace") -> None:
    number = next(_numbers)
    update = text_update(chat_id, text, update_id=number, message_id=number, name=name)
    assert (await shop.post(shop.connection, update)).status_code == 200


async def audit(tenant: Tenant) -> int:
    """How many messages there are; each has the words of its text, and nothing else does."""
    async with tenant.runtime.vault.session(tenant.id) as session:
        messages = list(await session.scalars(select(Message)))
        rows = list(await session.scalars(select(MessageWord)))
        expected = {
            (one.id, one.conversation_id, one.connection_id, word)
            for one in messages
            for word in hashes_of("word", one.text, one.connection_id)
        }
    got = [(row.message_id, row.conversation_id, row.connection_id, row.word) for row in rows]
    assert set(got) == expected
    assert len(got) == len(expected)
    return len(messages)


async def test_conversations_are_found_by_every_one_of_the_words(shop, run_jobs):
    for chat, text in enumerate(
        ("My parcel is lost, I want a refund.", "Where is my PARCEL?", "Ein Päckchen für A-1234"), 1
    ):
        # One after the other: what comes together may be read in any order.
        await written(shop, text, chat)
        await run_jobs()
    first, second, third = (
        each["id"] for each in reversed((await shop.http.get("/v1/conversations")).json()["conversations"])
    )
    assert await found(shop, "parcel") == [second, first]
    assert await found(shop, "Refund parcel") == [first]
    assert await found(shop, "refund parcel elephant") == []
    assert await found(shop, "parce") == []
    for words in ("packchen", "PÄCKCHEN", "a-1234", "1234", "für 1234"):
        assert await found(shop, words) == [third]
    assert await found(shop, "B-1234") == []


async def test_words_of_several_messages_and_of_our_answer_count(shop, talk, run_jobs):
    await ask(shop, "It was a blue umbrella.")
    await run_jobs()
    assert len(await found(shop, "umbrella return")) == 1
    assert len(await found(shop, "umbrella delivery")) == 1, "said by the agent"
    await say(shop, talk, "We found a giraffe.")
    assert len(await found(shop, "giraffe umbrella")) == 1, "written by a person, not sent yet"
    await shop.http.post(f"{talk}/notes", json={"text": "a hippopotamus"})
    assert await found(shop, "hippopotamus") == []


async def test_words_go_with_the_other_filters_and_with_pages(shop, run_jobs):
    for chat in range(5):
        await written(shop, f"A parcel for number {chat}", 100 + chat)
    await run_jobs()
    everything = await found(shop, "parcel")
    assert len(everything) == 5
    page = (await shop.http.get("/v1/conversations", params={"words": "parcel", "limit": 3})).json()
    rest = await found(shop, "parcel", cursor=page["next_cursor"])
    assert [each["id"] for each in page["conversations"]] + rest == everything
    assert await found(shop, "parcel", connection_id=shop.connection) == everything
    assert await found(shop, "parcel", connection_id=everything[0]) == []
    await shop.http.patch(f"/v1/conversations/{everything[2]}", json={"labels": ["vip"]})
    assert await found(shop, "parcel", label="vip") == [everything[2]]
    assert await found(shop, "parcel", status="resolved") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "no_words"),
        ("👍 !?", "no_words"),
        (" ".join(f"word{number}" for number in range(11)), "too_many_words"),
        ("東京都千代田区霞が関一丁目", "too_many_words"),
        ("x" * 201, "invalid_request"),
    ],
)
async def test_what_cannot_be_searched_for_is_said(shop, words, code):
    for place in ("conversations", "contacts"):
        answer = await shop.http.get(f"/v1/{place}", params={"words": words})
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_another_tenant_finds_nothing(shop, make_tenant, run_jobs):
    await written(shop, "My parcel is lost.", 1)
    await run_jobs()
    other = await make_tenant("Other")
    assert await found(shop, "parcel") != []
    assert await found(other, "parcel") == []
    assert await customers(other, "Ada") == []


async def test_a_word_has_another_hash_in_each_connection_and_is_found_in_all(shop, run_jobs):
    await written(shop, "My parcel is lost.", 1)
    shop.connection = await shop.connect(shop.agent, "7000000009:" + "another-token-" * 3)
    await written(shop, "My parcel is lost.", 1)
    await run_jobs()
    assert len(await found(shop, "parcel lost")) == 2
    assert len(await found(shop, "parcel", connection_id=shop.connection)) == 1
    async with shop.runtime.vault.session(shop.id) as session:
        one, two = [
            set(await session.scalars(select(MessageWord.word).where(MessageWord.message_id == message)))
            for message in await session.scalars(select(Message.id).where(Message.direction == "in"))
        ]
    assert len(one) == len(two) == 4
    assert one.isdisjoint(two)
    assert {len(word) for word in one | two} == {16}


async def test_edits_and_removals_take_their_words_along(shop, run_jobs):
    number = next(_numbers)
    update = text_update(9, "A parcel and a giraffe", update_id=number, message_id=number)
    await shop.post(shop.connection, update)
    await run_jobs()
    edited = {"update_id": next(_numbers), "edited_message": {**update["message"], "text": "A parcel and a zebra"}}
    await shop.post(shop.connection, edited)
    await run_jobs()
    assert await found(shop, "giraffe") == []
    assert len(await found(shop, "parcel zebra")) == 1
    await audit(shop)


async def test_every_message_of_every_journey_has_its_words(shop, talk, telegram, run_jobs):
    await ask(shop, "Do you sell spaceships to Mars?")
    await run_jobs()
    await say(shop, talk, " ".join(f"This is sentence number {number}." for number in range(400)))
    await run_jobs()
    await shop.http.patch(talk, json={"agent_paused": False, "handoff_resolved": True, "mode": "copilot"})
    await ask(shop, "How many days do I have to return an item?")
    await run_jobs()
    assert len(await found(shop, "return", status="handed_off")) == 1
    approved = await shop.http.post(f"{talk}/draft", json={"text": "Thirty days, with greetings from the walrus."})
    assert approved.status_code == 202, approved.text
    await run_jobs()
    assert len(await found(shop, "walrus")) == 1
    await ask(shop, "How many days do I have to return an item?")
    await run_jobs()
    assert (await shop.http.delete(f"{talk}/draft")).status_code == 204
    assert await audit(shop) > 8


async def test_erasing_a_conversation_and_disconnecting_take_the_words(shop, talk, run_jobs):
    assert await audit(shop) == 2
    assert (await shop.http.delete(talk)).status_code == 202
    await run_jobs()
    assert await audit(shop) == 0
    async with shop.runtime.vault.session(shop.id) as session:
        assert list(await session.scalars(select(MessageWord))) == []


async def test_only_the_first_thousand_words_of_a_message_are_found(shop, run_jobs):
    await written(shop, " ".join(f"w{number:x}q" for number in range(1001)), 3)
    await run_jobs()
    assert len(await found(shop, "w0q w3e7q")) == 1
    assert await found(shop, "w3e8q") == []
    await audit(shop)


async def test_customers_are_found_by_words_of_their_name_or_by_their_id(shop, run_jobs):
    for chat, name in ((501, "Zoë de la Cruz"), (502, "Zoe Miller"), (503, "Ada Lovelace")):
        await written(shop, "Hello", chat, name)
    await run_jobs()
    assert await customers(shop, "zoe") == ["Zoe Miller", "Zoë de la Cruz"]
    assert await customers(shop, "cruz ZOË") == ["Zoë de la Cruz"]
    assert await customers(shop, "Zo") == []
    assert await customers(shop, "503") == ["Ada Lovelace"]
    assert await customers(shop, "50") == []
    assert await customers(shop, "503", connection_id=shop.connection) == ["Ada Lovelace"]
    await written(shop, "I married", 503, "Ada King")
    await run_jobs()
    assert await customers(shop, "lovelace") == []
    assert await customers(shop, "king") == ["Ada King"]


async def test_a_name_and_a_message_never_have_a_hash_in_common(shop, run_jobs):
    await written(shop, "Ada Lovelace", 503, "Ada Lovelace")
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        said = set(await session.scalars(select(MessageWord.word)))
        [named] = await session.scalars(select(Contact.words))
    assert len(named) == 2
    assert said.isdisjoint(named)


async def test_what_is_sealed_anew_is_found_as_before(shop, talk, anew):
    before = await found(shop, "return item")
    await anew(shop)
    assert await found(shop, "return item") == before != []
    await audit(shop)
