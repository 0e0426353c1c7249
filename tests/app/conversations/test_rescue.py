"""What other requests, crashes and outages leave behind is taken up again, in order, and once."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from app.channels import delivery as delivery_module
from app.channels import outbox as outbox_module
from app.channels.providers.telegram import Telegram
from app.db import DatabaseUnavailable
from app.models import Agent, Delivery, Handoff, InboundEvent, Message, TenantKey, Turn
from app.queue import MAX_ATTEMPTS
from app.rescue import rescue
from app.simulators.telegram import refused, text_update
from graphs.llm import LanguageModel
from graphs.models import ModelConfig
from tests.graphs.fake_openai import FakeOpenAI, Reply

QUESTION = "How many days do I have to return an item?"
CHAT = {"id": 9, "type": "private", "first_name": "A"}
PERSON = {"id": 9, "is_bot": False, "first_name": "A"}


@pytest.fixture
async def shop(tenant, run_jobs):
    await tenant.add_text(
        "Returns", "You can return any item within 30 days. Returning by post costs £2.95 per parcel."
    )
    await run_jobs()
    tenant.connection = await tenant.connect(await tenant.add_agent())
    return tenant


async def _rows(shop, model):
    async with shop.runtime.vault.session(shop.id) as session:
        return list(await session.scalars(select(model).order_by(model.id)))


async def _forget_jobs(admin_runtime):
    async with admin_runtime.db.session() as session:
        await session.execute(text("delete from queue.procrastinate_jobs"))


def business(number, words, **more):
    return {
        "message_id": number,
        "business_connection_id": "b1",
        "from": PERSON,
        "chat": CHAT,
        "date": 1789814498 + number,
        "text": words,
        **more,
    }


async def test_an_event_whose_job_is_gone_is_handled_all_the_same(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await _forget_jobs(shop.runtime)
    assert await rescue(shop.runtime) == 0
    assert await rescue(shop.runtime, timedelta()) == 1
    await run_jobs()
    assert len(telegram.sent) == 1
    assert await rescue(shop.runtime, timedelta()) == 0


async def test_a_message_whose_job_is_gone_is_answered_all_the_same(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs(once=True)
    await _forget_jobs(shop.runtime)
    assert await rescue(shop.runtime, timedelta()) == 1
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_a_delivery_whose_job_is_gone_is_sent_or_flagged(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=60))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    await _forget_jobs(shop.runtime)
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["queued"]
    assert await rescue(shop.runtime, timedelta()) == 1
    await run_jobs()
    assert len(telegram.sent) == 1
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Delivery).values(state="sending"))
    assert await rescue(shop.runtime, timedelta()) == 1
    await run_jobs()
    assert len(telegram.sent) == 1
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["send_unknown"]


async def test_a_customer_is_not_met_with_silence_while_the_token_is_dead(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(401, "Unauthorized"))
    for chat in (1, 2):
        await shop.write(shop.connection, QUESTION, chat_id=chat)
        await run_jobs()
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == [
        "send_failed",
        "connection_needs_reauthorisation",
    ]
    waiting = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    assert len(waiting) == 2


async def test_a_reply_that_waits_when_the_token_dies_becomes_a_handoff(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=1), refused(401, "Unauthorized"))
    await shop.write(shop.connection, QUESTION, chat_id=1)
    await run_jobs()
    await shop.write(shop.connection, QUESTION, chat_id=2)
    await run_jobs()
    await asyncio.sleep(1.1)
    await run_jobs()
    assert len(telegram.sent) == 0
    assert len(await _rows(shop, Handoff)) == 2


async def test_the_rest_of_a_burst_is_answered_when_its_last_message_is_taken_back(shop, telegram, run_jobs):
    shop.runtime.settings.burst_wait_seconds = 0.4
    await shop.post(shop.connection, {"update_id": 1, "business_message": business(1, QUESTION)})
    await shop.post(shop.connection, {"update_id": 2, "business_message": business(2, "And socks?")})
    await run_jobs(once=True)
    deleted = {"business_connection_id": "b1", "chat": CHAT, "message_ids": [2]}
    await shop.post(shop.connection, {"update_id": 3, "deleted_business_messages": deleted})
    await run_jobs()
    turns = await _rows(shop, Turn)
    assert [turn.state for turn in turns][-1] in ("replied", "handed_off")
    assert all(message.turn_id or message.status == "deleted" for message in await _rows(shop, Message))


@pytest.mark.parametrize("change", ["edit", "delete"])
async def test_a_change_while_the_draft_is_made_starts_the_turn_again(shop, telegram, run_jobs, monkeypatch, change):
    now_ms = {"date": 1789814498}
    search, changed = shop.runtime.index.search, asyncio.Event()
    first = business(1, "Do you sell spaceships to Mars?")
    update_ = (
        {"update_id": 2, "edited_business_message": {**first, "text": QUESTION, "edit_date": now_ms["date"] + 5}}
        if change == "edit"
        else {
            "update_id": 2,
            "deleted_business_messages": {"business_connection_id": "b1", "chat": CHAT, "message_ids": [1]},
        }
    )

    async def slow_search(*args, **kwargs):
        if not changed.is_set():
            changed.set()
            await shop.post(shop.connection, update_)
            await run_jobs(once=True)
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", slow_search)
    monkeypatch.setattr("app.channels.gate.window_is_open", _always)
    await shop.post(shop.connection, {"update_id": 1, "business_message": first})
    await run_jobs()
    texts = [sent.text for sent in telegram.sent]
    assert [("30 days" in words) for words in texts] == ([True] if change == "edit" else [])
    assert (await _rows(shop, Turn))[0].state == "superseded"


async def test_who_takes_all_back_waits_for_nothing(shop, run_jobs):
    async def stands(**update_):
        await shop.post(shop.connection, update_)
        await run_jobs()
        [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
        shop.talk = f"/v1/conversations/{one['id']}"
        return one["status"]

    def taken_back(*numbers):
        return {"business_connection_id": "b1", "chat": CHAT, "message_ids": list(numbers)}

    await stands(update_id=1, business_message=business(1, QUESTION))
    await shop.http.patch(shop.talk, json={"agent_paused": True, "resolved": False, "handoff_resolved": True})
    assert await stands(update_id=2, business_message=business(2, "And socks?")) == "waiting"
    assert await stands(update_id=3, deleted_business_messages=taken_back(1)) == "waiting"
    assert await stands(update_id=4, deleted_business_messages=taken_back(2)) == "open"
    assert (await shop.http.get(shop.talk)).json()["waiting_since"] is None


async def _always(*_args, **_names):
    return True


async def test_a_later_turn_waits_for_the_one_before(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=2))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    await shop.write(shop.connection, "What does it cost to return by post?")
    await run_jobs()
    assert len(telegram.sent) == 0
    for _ in range(8):
        await asyncio.sleep(0.6)
        await run_jobs()
    replies = [message["text"] for message in await shop.messages() if message["direction"] == "out"]
    assert len(replies) == 2
    assert [sent.text for sent in telegram.sent] == replies


async def test_a_burst_reads_in_the_order_it_was_written(shop, telegram, run_jobs):
    shop.runtime.settings.burst_wait_seconds = 0.3
    for number in (1, 2, 3):
        update_ = text_update(5001, f"Part {number}.", update_id=number, message_id=number, date=1789814498)
        await shop.post(shop.connection, update_)
    await run_jobs()
    asked = [message["text"] for message in await shop.messages() if message["direction"] == "in"]
    assert asked == ["Part 1.", "Part 2.", "Part 3."]


async def test_a_time_beyond_all_calendars_does_no_harm(shop, telegram, run_jobs):
    await shop.post(shop.connection, text_update(5001, QUESTION, update_id=1, message_id=1, date=10**12))
    await run_jobs()
    assert len(telegram.sent) == 1
    assert all(event.handled_at for event in await _rows(shop, InboundEvent))


async def test_a_failed_send_and_a_new_one_at_once_do_not_block_each_other(shop, telegram, run_jobs):
    telegram.fail("sendMessage", *[refused(401, "Unauthorized")] * 3)
    await asyncio.gather(*(shop.write(shop.connection, QUESTION, chat_id=chat) for chat in range(1, 7)))
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        assert await session.scalar(select(func.count()).select_from(Handoff)) + len(telegram.sent) >= 6


async def test_a_later_part_never_overtakes_an_earlier_one(shop, telegram, run_jobs):
    long = " ".join(f"Sentence number {number} of a very long promise." for number in range(200))
    agent = (await shop.http.get("/v1/agents")).json()["agents"][0]["id"]
    async with shop.runtime.vault.session(shop.id) as session:
        (await session.get_one(Agent, UUID(agent))).handoff_message = long
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=1))
    await shop.write(shop.connection, "Do you sell spaceships to Mars?")
    await run_jobs()
    assert len(telegram.sent) == 0
    # The first part's job waits for its time, so only the others are given one.
    added = await rescue(shop.runtime, timedelta())
    assert added == len(await _rows(shop, Delivery)) - 1 >= 1
    assert await rescue(shop.runtime, timedelta()) == 0
    for _ in range(8):
        await asyncio.sleep(0.6)
        await run_jobs()
    assert "".join(sent.text for sent in telegram.sent).replace(" ", "") == long.replace(" ", "")


async def test_one_tenants_trouble_keeps_no_other_waiting(make_tenant, run_jobs, telegram):
    broken, fine = await make_tenant("Broken"), await make_tenant("Fine")
    connection = await fine.connect(await fine.add_agent())
    await fine.write(connection, "Hello")
    async with broken.runtime.vault.session(broken.id) as session:
        await session.execute(update(TenantKey).values(wrapped=b"no key"))
    await _forget_jobs(fine.runtime)
    assert await rescue(fine.runtime, timedelta()) == 1
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_an_edit_of_the_first_of_a_burst_while_the_draft_is_made_is_answered(
    shop, telegram, run_jobs, monkeypatch
):
    search, changed = shop.runtime.index.search, asyncio.Event()
    monkeypatch.setattr("app.channels.gate.window_is_open", _always)
    first, second = business(1, "Do you sell spaceships?"), business(2, "Tell me please")

    async def slow_search(*args, **kwargs):
        if not changed.is_set():
            changed.set()
            await shop.post(shop.connection, {"update_id": 3, "edited_business_message": {**first, "text": QUESTION}})
            await run_jobs(once=True)
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", slow_search)
    shop.runtime.settings.burst_wait_seconds = 0.3
    await shop.post(shop.connection, {"update_id": 1, "business_message": first})
    await shop.post(shop.connection, {"update_id": 2, "business_message": second})
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await _rows(shop, Turn))[-1].state in ("replied", "handed_off")


async def test_a_message_that_was_written_earlier_and_comes_during_the_draft_is_answered(
    shop, telegram, run_jobs, monkeypatch
):
    search, written = shop.runtime.index.search, asyncio.Event()

    async def slow_search(*args, **kwargs):
        if not written.is_set():
            written.set()
            early = text_update(5001, QUESTION, update_id=1, message_id=1, date=1789814490)
            await shop.post(shop.connection, early)
            await run_jobs(once=True)
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", slow_search)
    late = text_update(5001, "Please tell me about returning by post", update_id=2, message_id=2, date=1789814499)
    await shop.post(shop.connection, late)
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await _rows(shop, Turn))[0].state == "superseded"


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "not arrived"])
@pytest.mark.parametrize("disconnect", [True, False], ids=["then a disconnect", "then nothing"])
async def test_a_reply_whose_worker_died_while_it_was_sent_is_flagged_and_not_repeated(
    shop, telegram, run_jobs, monkeypatch, arrived, disconnect
):
    send = Telegram.send

    async def dies(*args, **kwargs):
        if arrived:
            await send(*args, **kwargs)
        raise RuntimeError

    monkeypatch.setattr(Telegram, "send", dies)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["sending"]
    monkeypatch.setattr(Telegram, "send", send)
    if disconnect:
        assert (await shop.http.delete(f"/v1/connections/{shop.connection}")).status_code == 202
    # The job is put back, as that of a dead worker is.
    async with shop.runtime.db.session() as session:
        await session.execute(text("update queue.procrastinate_jobs set scheduled_at = null"))
    await run_jobs()
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["unknown"]
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["send_unknown"]
    assert len(telegram.sent) == arrived


async def test_a_refused_token_that_was_replaced_meanwhile_does_not_stop_the_new_one(
    shop, telegram, run_jobs, monkeypatch
):
    send = Telegram.send

    async def reconnected(self, *args, **kwargs):
        result = await send(self, *args, **kwargs)
        if result.outcome == "reconnect":
            agent = (await shop.http.get("/v1/agents")).json()["agents"][0]["id"]
            await shop.connect(agent, "7000000001:" + "another-token---" * 3)
        return result

    monkeypatch.setattr(Telegram, "send", reconnected)
    telegram.fail("sendMessage", refused(401, "Unauthorized"))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert (await shop.http.get(f"/v1/connections/{shop.connection}")).json()["state"] == "active"
    for _ in range(6):
        await asyncio.sleep(0.6)
        await run_jobs()
    assert len(telegram.sent) == 1


async def test_what_a_provider_said_is_noted_when_what_the_run_found_cannot_be(shop, telegram, run_jobs, monkeypatch):
    def broken(*_args):
        raise TypeError

    monkeypatch.setattr("app.conversations.answering._record", broken)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["sent"]
    assert await _rows(shop, Handoff) == []
    assert len(telegram.sent) == 1


async def test_what_a_provider_said_is_noted_once_the_database_is_back(shop, telegram, run_jobs, monkeypatch):
    settle, away = delivery_module.settle, [DatabaseUnavailable] * 3

    async def late(*args):
        if away:
            raise away.pop()
        await settle(*args)

    monkeypatch.setattr(delivery_module, "_NOTE_PAUSES", (0.01,) * 3)
    for module in (delivery_module, outbox_module):
        monkeypatch.setattr(module, "settle", late)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["sent"]
    assert len(telegram.sent) == 1


async def test_a_last_attempt_that_fails_after_it_spoke_is_flagged_at_once(shop, telegram, run_jobs, monkeypatch):
    async def away(*_args):
        raise DatabaseUnavailable

    monkeypatch.setattr(delivery_module, "_NOTE_PAUSES", ())
    for module in (delivery_module, outbox_module):
        monkeypatch.setattr(module, "settle", away)
    await shop.write(shop.connection, QUESTION)
    await run_jobs(once=True)
    async with shop.runtime.db.session() as session:
        await session.execute(text(f"update queue.procrastinate_jobs set attempts = {MAX_ATTEMPTS - 1}"))
    await run_jobs()
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["unknown"]
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["send_unknown"]
    assert len(telegram.sent) == 1


async def test_a_draft_with_half_a_character_is_answered_or_handed_over(shop, telegram, run_jobs):
    async with FakeOpenAI() as server:
        model = ModelConfig("openai/first", server.url, "k", 5)
        shop.runtime.llm = LanguageModel([model], retries=0)
        server.default = lambda _request: Reply("You have 90 days \ud83d for bananas.\0 [1]")
        await shop.write(shop.connection, QUESTION)
        await run_jobs()
        await shop.runtime.llm.aclose()
    assert [delivery.state for delivery in await _rows(shop, Delivery)] == ["sent"]
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["ungrounded"]


async def test_lost_work_behind_much_that_waits_is_found(shop, telegram, run_jobs, monkeypatch):
    monkeypatch.setattr("app.rescue._AT_ONCE", 2)
    telegram.fail("sendMessage", *[refused(429, "Too Many Requests", retry_after=3600)] * 5)
    for chat in range(5):
        await shop.write(shop.connection, QUESTION, chat_id=6000 + chat)
        await run_jobs()
    lost = (await _rows(shop, Delivery))[-1].id
    async with shop.runtime.db.session() as session:
        gone = "delete from queue.procrastinate_jobs where args ->> 'delivery_id' = :id"
        await session.execute(text(gone), {"id": str(lost)})
    assert await rescue(shop.runtime, timedelta()) == 1
