"""Samples of real turns: what becomes of them, what is masked, what is refused, and that they go with their source."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from app.conversations.memory import drop_samples
from app.models import Connection, Conversation, EvalSample, Message, StoredResponse, Turn
from app.privacy.retention import retain
from app.simulators.telegram import text_update
from tests.app.evaluations.conftest import INJECTION, QUESTION, samples


async def talk_of(shop):
    [talk] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    return talk


async def left(shop):
    async with shop.runtime.db.session(shop.id) as session:
        return len(list(await session.scalars(select(EvalSample.id))))


async def test_an_answered_turn_becomes_a_sample_once(shop, ask, dataset, take):
    await ask("Hello!")
    turn = await ask(QUESTION)
    path = await dataset()
    assert await take(path, turn_ids=[turn, turn]) == {"added": 1, "known": 0, "left_out": 0}
    assert await take(path, turn_ids=[turn]) == {"added": 0, "known": 1, "left_out": 0}
    [found] = await samples(shop, path)
    sample = found["sample"]
    assert (sample["question"], sample["answerable"], sample["language"]) == (QUESTION, True, "en")
    assert "30 days" in sample["expected"]
    assert sample["relevant"] == [shop.document]
    assert [said["role"] for said in sample["history"]] == ["customer", "agent"]
    assert found["source"] == {"conversation_id": (await talk_of(shop))["id"], "turn_id": turn}


async def test_what_a_person_answered_is_expected_of_a_turn_that_was_handed_over(shop, ask, dataset, take, run_jobs):
    turn = await ask("Do you sell spaceships to Mars?")
    talk = f"/v1/conversations/{(await talk_of(shop))['id']}"
    path = await dataset()
    await take(path, turn_ids=[turn])
    [found] = await samples(shop, path)
    assert (found["sample"]["expected"], found["sample"]["answerable"]) == (None, False)
    await shop.http.post(f"{talk}/messages", json={"text": "Not yet, next year."})
    await run_jobs()
    await ask("Thanks")
    await shop.http.post(f"{talk}/messages", json={"text": "You are welcome."})
    await run_jobs()
    path = await dataset()
    await take(path, turn_ids=[turn])
    assert (await samples(shop, path))[0]["sample"]["expected"] == "Not yet, next year."


async def test_personal_data_is_masked(shop, ask, dataset, take):
    async with shop.runtime.vault.session(shop.id) as session:
        assert await session.scalar(select(Message.id)) is None
    await ask("I am Ada Customer, call me at +44 20 7946 0958.")
    turn = await ask(f"{QUESTION} Write to ada@example.com, says Customer Ada.")
    path = await dataset()
    await take(path, turn_ids=[turn])
    told = str(await samples(shop, path))
    for gone in ("7946", "ada@example.com"):
        assert gone not in told
    assert "[EMAIL_1]" in told
    assert "[PHONE_1]" in told


async def test_false_alarms_become_samples(shop, ask, dataset, take):
    wrong, right = await ask(INJECTION), await ask(INJECTION, chat_id=5002)
    for turn, talk in ((wrong, 1), (right, 0)):
        listed = (await shop.http.get("/v1/conversations")).json()["conversations"]
        body = {"verdict": "injection", "right": turn == right}
        marked = await shop.http.post(f"/v1/conversations/{listed[talk]['id']}/turns/{turn}/marks", json=body)
        assert marked.status_code == 200, marked.text
    path = await dataset()
    assert await take(path, marks="false_alarms") == {"added": 1, "known": 0, "left_out": 0}
    [found] = await samples(shop, path)
    assert (found["source"]["turn_id"], found["sample"]["answerable"]) == (wrong, True)


async def test_nothing_written_on_tiktok_becomes_a_sample(shop, ask, dataset, take):
    turn = await ask(INJECTION)
    talk = (await talk_of(shop))["id"]
    await shop.http.post(f"/v1/conversations/{talk}/turns/{turn}/marks", json={"verdict": "injection", "right": False})
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(update(Connection).values(channel="tiktok"))
    path = await dataset()
    refused = await take(path, 409, turn_ids=[turn])
    assert refused["code"] == "tiktok_stays"
    assert await take(path, marks="false_alarms") == {"added": 0, "known": 0, "left_out": 1}
    assert await left(shop) == 0


@pytest.mark.parametrize("what", ["conversations", "contacts", "connections"])
async def test_what_is_being_erased_gives_no_sample(shop, ask, dataset, take, what):
    turn = await ask(QUESTION)
    talk, path = await talk_of(shop), await dataset()
    ids = {"conversations": talk["id"], "contacts": talk["contact_id"], "connections": shop.connection}
    assert (await shop.http.delete(f"/v1/{what}/{ids[what]}")).status_code == 202
    refused = await take(path, 409, turn_ids=[turn])
    assert refused["code"] == "being_erased"


async def test_turns_that_cannot_be_samples_are_refused(shop, ask, dataset, take, run_jobs):
    path = await dataset()
    assert (await take(path, 422, turn_ids=[str(uuid4())]))["code"] == "unknown_turn"
    turn = await ask(QUESTION)
    talk = f"/v1/conversations/{(await talk_of(shop))['id']}"
    await shop.http.post(f"{talk}/messages", json={"text": "I am here."})
    await run_jobs()
    written = (await shop.messages())[-1]["turn"]["id"]
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(update(Turn).where(Turn.id == UUID(written)).values(state="skipped"))
    assert (await take(path, 422, turn_ids=[turn, written]))["code"] == "nothing_asked"
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(update(Turn).where(Turn.id == UUID(turn)).values(state="superseded"))
    assert (await take(path, 409, turn_ids=[turn]))["code"] == "turn_not_ended"
    for body in ({}, {"turn_ids": [turn], "marks": "false_alarms"}, {"turn_ids": []}):
        await take(path, 422, **body)
    assert await left(shop) == 0
    await take(f"/v1/eval-datasets/{uuid4()}", 404, turn_ids=[turn])


@pytest.mark.parametrize("what", ["conversations", "contacts", "connections", "account", "expired"])
async def test_a_sample_goes_with_what_it_was_taken_from(shop, ask, dataset, take, run_jobs, what):
    turn = await ask(QUESTION)
    path = await dataset({"id": "own", "question": "Mine?"})
    await take(path, turn_ids=[turn])
    talk = await talk_of(shop)
    ids = {"conversations": talk["id"], "contacts": talk["contact_id"], "connections": shop.connection}
    if what == "expired":
        async with shop.runtime.db.session(shop.id) as session:
            await session.execute(text("update tenant.conversations set last_message_at = now() - interval '4 years'"))
        await retain(shop.runtime.vault, shop.runtime, shop.id)
    else:
        place = f"/v1/{what}/{ids[what]}" if what in ids else "/v1/account"
        response = await shop.http.delete(place, params={"days": 0})
        assert response.status_code == 202
    await run_jobs()
    if what != "account":
        assert [one["sample"]["id"] for one in await samples(shop, path)] == ["own"]
    assert await left(shop) == (0 if what == "account" else 1)
    async with shop.runtime.db.session(shop.id) as session:
        assert list(await session.scalars(select(Conversation.id))) == []


@pytest.mark.parametrize("how", ["edited", "deleted"])
async def test_a_sample_goes_with_each_message_that_it_was_made_of(shop, ask, dataset, take, run_jobs, how):
    await shop.write(shop.connection, "Hello!", update_id=71)
    await run_jobs()
    turn = await ask(QUESTION)
    await take(await dataset(), turn_ids=[turn])
    assert await left(shop) == 1
    if how == "edited":
        update_ = text_update(5001, "Hello, I am Ada", update_id=72, message_id=71)
        update_["edited_message"] = update_.pop("message")
        assert (await shop.post(shop.connection, update_)).status_code == 200
        await run_jobs()
    else:
        async with shop.runtime.vault.session(shop.id) as session:
            first = await session.scalar(select(Message).order_by(Message.position).limit(1))
            await drop_samples(session, first)
    assert await left(shop) == 0


async def test_a_documents_id_goes_out_of_samples_with_it(shop, ask, dataset, take, run_jobs):
    turn = await ask(QUESTION)
    path = await dataset()
    await take(path, turn_ids=[turn])
    await shop.http.delete(f"/v1/documents/{shop.document}")
    await run_jobs()
    [found] = await samples(shop, path)
    assert found["sample"]["relevant"] == []
    assert found["sample"]["question"] == QUESTION


async def test_two_that_take_the_same_turn_at_once_make_one_sample(shop, ask, dataset, take):
    turn = await ask(QUESTION)
    path = await dataset()
    told = await asyncio.gather(*(take(path, turn_ids=[turn]) for _ in range(4)))
    assert sum(one["added"] for one in told) == 1
    assert await left(shop) == 1


async def test_a_repeated_request_tells_nothing_of_the_turn(shop, ask, dataset, take):
    turn = await ask(QUESTION)
    path = await dataset()
    headers = {"Idempotency-Key": "same"}
    for _ in range(2):
        response = await shop.http.post(f"{path}/samples/from-turns", json={"turn_ids": [turn]}, headers=headers)
        assert response.json() == {"added": 1, "known": 0, "left_out": 0}
    async with shop.runtime.vault.session(shop.id) as session:
        stored = await session.scalar(select(StoredResponse))
        assert b"30 days" not in stored.body
