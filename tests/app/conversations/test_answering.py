"""From webhook to reply, through the real endpoint, queue, graph and outbox, with a Bot API at the wire."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.conversations import turns
from app.models import Connection, Conversation, Delivery, Handoff, Message, Turn, now
from app.simulators.faults import cut, garbage
from app.simulators.telegram import refused

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."


@pytest.fixture
async def shop(tenant, run_jobs):
    await tenant.add_text("Returns", RETURNS)
    await run_jobs()
    tenant.agent = await tenant.add_agent()
    tenant.connection = await tenant.connect(tenant.agent)
    return tenant


async def _rows(shop, model):
    async with shop.runtime.vault.session(shop.id) as session:
        return list(await session.scalars(select(model).order_by(model.id)))


async def test_a_question_is_answered_from_the_knowledge(shop, telegram, run_jobs):
    assert (
        await shop.write(shop.connection, "How many days do I have to return an item?", chat_id=77)
    ).status_code == 200
    await run_jobs()
    assert [(sent.chat_id, "30 days" in sent.text) for sent in telegram.sent] == [("77", True)]
    question, reply = await shop.messages()
    assert (question["direction"], question["author"], question["status"]) == ("in", "customer", "received")
    assert (reply["direction"], reply["author"], reply["status"]) == ("out", "agent", "sent")
    assert reply["text"] == telegram.sent[0].text
    assert reply["turn"]["outcome"] == "replied"
    assert reply["turn"]["model"] == "jobx/extractive"
    assert "30 days" in reply["turn"]["citations"][0]["quote"]


@pytest.mark.parametrize("slow", [True, False])
async def test_the_typing_sign_is_shown_if_the_reply_takes_its_time(shop, telegram, run_jobs, monkeypatch, slow):
    search = shop.runtime.index.search

    async def slow_search(*args, **kwargs):
        await asyncio.sleep(0.1)
        return await search(*args, **kwargs)

    monkeypatch.setattr("app.conversations.typing_sign._AFTER_SECONDS", 0.02 if slow else 20)
    monkeypatch.setattr(shop.runtime.index, "search", slow_search)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert bool(_signs(telegram)) is slow
    assert len(telegram.sent) == 1


def _signs(telegram):
    return [call for call in telegram.calls if call.method.lower() == "sendchataction"]


async def test_the_typing_sign_is_shown_while_a_burst_is_waited_out(shop, telegram, run_jobs, monkeypatch):
    monkeypatch.setattr("app.conversations.typing_sign._AFTER_SECONDS", 0.02)
    monkeypatch.setattr("app.conversations.typing_sign._EVERY_SECONDS", 0.1)
    shop.runtime.settings.burst_wait_seconds = 0.8
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(_signs(telegram)) > 1
    assert [call.method.lower() for call in telegram.calls][-1] == "sendmessage"


@pytest.mark.parametrize("change", [{"agent_paused": True}, {"mode": "copilot"}, {"mode": "off"}])
async def test_no_typing_sign_begins_where_the_agent_may_not_speak(shop, telegram, run_jobs, monkeypatch, change):
    monkeypatch.setattr("app.conversations.typing_sign._AFTER_SECONDS", 20)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    [conversation] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    answer = await shop.http.patch(f"/v1/conversations/{conversation['id']}", json=change)
    assert answer.status_code == 200
    monkeypatch.setattr("app.conversations.typing_sign._AFTER_SECONDS", 0.02)
    shop.runtime.settings.burst_wait_seconds = 0.4
    await shop.write(shop.connection, "And how much is it by post?")
    await run_jobs()
    assert not _signs(telegram)


async def test_no_typing_sign_follows_a_takeover(shop, telegram, run_jobs, monkeypatch):
    monkeypatch.setattr("app.conversations.typing_sign._AFTER_SECONDS", 0.02)
    monkeypatch.setattr("app.conversations.typing_sign._EVERY_SECONDS", 0.05)
    search, taken = shop.runtime.index.search, []

    async def taken_over_meanwhile(*args, **kwargs):
        [conversation] = (await shop.http.get("/v1/conversations")).json()["conversations"]
        await asyncio.sleep(0.2)
        await shop.http.patch(f"/v1/conversations/{conversation['id']}", json={"agent_paused": True})
        # One whose way was clear before may still be under way.
        await asyncio.sleep(0.5)
        taken.append(len(telegram.calls))
        await asyncio.sleep(0.5)
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", taken_over_meanwhile)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert taken[0] > 0
    assert len(telegram.calls) == taken[0]


async def test_a_webhook_that_comes_twice_is_answered_once(shop, telegram, run_jobs):
    for _ in range(2):
        assert (await shop.write(shop.connection, "How many days for a return?", update_id=900)).status_code == 200
    await run_jobs()
    assert (await shop.write(shop.connection, "How many days for a return?", update_id=900)).status_code == 200
    await run_jobs()
    assert len(telegram.sent) == 1
    assert len(await shop.messages()) == 2


async def test_what_is_not_known_goes_to_a_person_with_the_template(shop, telegram, run_jobs):
    await shop.write(shop.connection, "Do you sell spaceships to Mars?")
    await run_jobs()
    assert [sent.text for sent in telegram.sent] == [
        "Thank you for your message. A colleague will get back to you here."
    ]
    question, reply = await shop.messages()
    assert reply["turn"]["outcome"] == "handed_off"
    assert reply["turn"]["reason"] in ("ungrounded", "no_passages")
    assert question["turn"]["id"] == reply["turn"]["id"]
    assert len(await _rows(shop, Handoff)) == 1


async def test_a_promise_is_not_made_twice_while_a_person_is_awaited(shop, telegram, run_jobs):
    for text in ("Do you sell spaceships to Mars?", "And submarines for the deep sea?"):
        await shop.write(shop.connection, text)
        await run_jobs()
    assert len(telegram.sent) == 1
    assert [turn.state for turn in await _rows(shop, Turn)] == ["handed_off", "handed_off"]
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert "30 days" in telegram.sent[-1].text


async def test_a_burst_is_one_turn(shop, telegram, run_jobs):
    shop.runtime.settings.burst_wait_seconds = 0.6
    for text in ("Hello", "I have a question", "How many days do I have to return an item?"):
        await shop.write(shop.connection, text)
    await run_jobs()
    assert len(telegram.sent) == 1
    turns = await _rows(shop, Turn)
    assert [turn.state for turn in turns] == ["replied"]
    assert {message["turn"]["id"] for message in await shop.messages()} == {str(turns[0].id)}


async def test_a_burst_without_end_is_answered_at_its_cap(shop, telegram, run_jobs):
    shop.runtime.settings.burst_wait_seconds = 30
    shop.runtime.settings.burst_cap_seconds = 0.5
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_clocks_that_disagree_keep_nobody_waiting(shop, telegram, run_jobs, monkeypatch):
    shop.runtime.settings.burst_wait_seconds = 0.5
    monkeypatch.setattr(turns, "now", lambda: now() - timedelta(hours=4))
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await asyncio.wait_for(run_jobs(), 60)
    assert len(telegram.sent) == 1


async def test_people_in_different_chats_get_their_own_answers(shop, telegram, run_jobs):
    for chat in (1, 2, 3):
        await shop.write(shop.connection, "How many days do I have to return an item?", chat_id=chat)
    await run_jobs()
    assert sorted(sent.chat_id for sent in telegram.sent) == ["1", "2", "3"]


async def test_a_message_during_the_draft_supersedes_it(shop, telegram, run_jobs, monkeypatch):
    search, written = shop.runtime.index.search, asyncio.Event()

    async def slow_search(*args, **kwargs):
        if not written.is_set():
            written.set()
            await shop.write(shop.connection, "What does it cost to return by post?")
            # The second message is stored while the first one's draft is being made.
            await run_jobs(once=True)
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", slow_search)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 1
    assert [turn.state for turn in await _rows(shop, Turn)] == ["superseded", "replied"]
    assert all(message["turn"]["outcome"] == "replied" for message in await shop.messages())


@pytest.mark.parametrize("fault", ["cut", "500", "garbage"])
async def test_a_send_in_doubt_is_flagged_and_never_repeated(shop, telegram, run_jobs, fault):
    faults = {
        "cut": cut(acts=True),
        "500": refused(500, "Internal Server Error", acts=True),
        "garbage": garbage(),
    }
    telegram.fail("sendMessage", faults[fault])
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await shop.messages())[-1]["status"] == "unknown"
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["send_unknown"]


async def test_a_refused_send_becomes_a_handoff(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(403, "Forbidden: bot was blocked by the user"))
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 0
    assert (await shop.messages())[-1]["status"] == "failed"
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["send_failed"]


async def test_too_many_requests_are_tried_again_when_the_provider_says_so(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=1))
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 0
    assert (await shop.messages())[-1]["status"] == "queued"
    await asyncio.sleep(1.1)
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await shop.messages())[-1]["status"] == "sent"


async def test_a_dead_token_stops_the_connection_and_loses_nothing(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(401, "Unauthorized"))
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    state = (await shop.http.get(f"/v1/connections/{shop.connection}")).json()["state"]
    assert state == "needs_reauthorisation"
    assert len(await _rows(shop, Handoff)) == 1


async def test_a_crash_between_marking_and_the_answer_is_flagged_unknown(shop, telegram, run_jobs):
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        delivery = (await session.scalars(select(Delivery))).one()
        delivery.state = "sending"
        await shop.runtime.queue.defer(
            session, "channels:deliver_message", "deliveries", ids={"tenant_id": shop.id, "delivery_id": delivery.id}
        )
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await _rows(shop, Delivery))[0].state == "unknown"


async def test_a_turn_that_a_crash_left_behind_goes_on(shop, telegram, run_jobs):
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Turn).values(state="running"))
        await session.execute(update(Delivery).values(state="cancelled"))
        message = (await session.scalars(select(Message).where(Message.direction == "in"))).one()
        await shop.runtime.queue.defer(
            session, "conversations:answer", "answers", ids={"tenant_id": shop.id, "message_id": message.id}
        )
    # The reply of the first run is there already, so a second one cannot be added, and the job says so by failing.
    await run_jobs()
    assert len(telegram.sent) == 1
    assert len(await _rows(shop, Turn)) == 1


async def test_nothing_is_sent_once_a_person_took_over(shop, telegram, run_jobs, monkeypatch):
    search = shop.runtime.index.search

    async def taken_over(*args, **kwargs):
        async with shop.runtime.vault.session(shop.id) as session:
            await session.execute(update(Conversation).values(agent_paused_at=func.now()))
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", taken_over)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 0
    assert [(turn.state, turn.reason) for turn in await _rows(shop, Turn)] == [("skipped", "person_took_over")]


async def test_nothing_is_sent_after_a_disconnect(shop, telegram, run_jobs, monkeypatch):
    search = shop.runtime.index.search

    async def disconnected(*args, **kwargs):
        assert (await shop.http.delete(f"/v1/connections/{shop.connection}")).status_code == 202
        return await search(*args, **kwargs)

    monkeypatch.setattr(shop.runtime.index, "search", disconnected)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 0
    assert (await shop.write(shop.connection, "Hello?")).status_code == 200
    await run_jobs()
    assert len(await shop.messages()) == 1
    async with shop.runtime.vault.session(shop.id) as session:
        assert (await session.get_one(Connection, UUID(shop.connection))).credentials_sealed is None
    assert "deletewebhook" in [call.method.lower() for call in telegram.calls]


async def test_the_vector_store_being_down_is_retried_and_then_handed_over(shop, telegram, run_jobs, monkeypatch):
    async def down(*_args, **_kwargs):
        raise ConnectionError

    monkeypatch.setattr(shop.runtime.index, "search", down)
    monkeypatch.setattr("app.conversations.tasks.MAX_ATTEMPTS", 1)
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 1
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["internal_error"]


@pytest.mark.parametrize("in_order", [True, False])
async def test_an_edit_before_the_answer_changes_the_question(shop, telegram, run_jobs, in_order):
    chat = {"id": 9, "type": "private", "first_name": "A"}
    person = {"id": 9, "is_bot": False, "first_name": "A"}
    first = {"message_id": 1, "from": person, "chat": chat, "date": 1789814498, "text": "Do you sell spaceships?"}
    edited = {**first, "text": "How many days do I have to return an item?", "edit_date": 1789814499}
    updates = [{"update_id": 71, "message": first}, {"update_id": 72, "edited_message": edited}]
    shop.runtime.settings.burst_wait_seconds = 0.5
    for update_ in updates if in_order else updates[::-1]:
        await shop.post(shop.connection, update_)
    await run_jobs()
    assert len(telegram.sent) == 1
    assert "30 days" in telegram.sent[0].text
    assert len(await shop.messages()) == 2


async def test_a_sticker_is_not_met_with_silence(shop, telegram, run_jobs):
    update_ = {
        "update_id": 81,
        "message": {
            "message_id": 5,
            "from": {"id": 9, "is_bot": False, "first_name": "A"},
            "chat": {"id": 9, "type": "private", "first_name": "A"},
            "date": 1789814498,
            "sticker": {"file_id": "x", "file_unique_id": "y", "type": "regular", "emoji": "👍"},
        },
    }
    assert (await shop.post(shop.connection, update_)).status_code == 200
    await run_jobs()
    assert len(telegram.sent) == 1
    assert [handoff.reason for handoff in await _rows(shop, Handoff)] == ["unsupported_content"]


async def test_a_nul_character_in_a_message_does_no_harm(shop, telegram, run_jobs):
    assert (await shop.write(shop.connection, "How many days\x00 do I have to return an item?\x00")).status_code == 200
    await run_jobs()
    assert "30 days" in telegram.sent[0].text
    assert "\x00" not in (await shop.messages())[0]["text"]


async def test_history_is_part_of_the_question(shop, telegram, run_jobs):
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    await shop.write(shop.connection, "And what does it cost by post?")
    await run_jobs()
    assert "2.95" in telegram.sent[1].text


async def test_a_tenant_sees_who_waits_and_says_when_it_took_care(shop, telegram, run_jobs):
    await shop.write(shop.connection, "Do you sell spaceships to Mars?", chat_id=1)
    await shop.write(shop.connection, "How many days do I have to return an item?", chat_id=2)
    await run_jobs()
    (waiting,) = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    assert waiting["handoff"]["reason"] in ("ungrounded", "no_passages")
    path = f"/v1/conversations/{waiting['id']}"
    assert (await shop.http.patch(path, json={"handoff_resolved": True})).json()["handoff"] is None
    assert (await shop.http.get(path)).json()["handoff"] is None
    await shop.write(shop.connection, "Do you sell spaceships to Venus?", chat_id=1)
    await run_jobs()
    assert len([sent for sent in telegram.sent if sent.chat_id == "1"]) == 2


async def test_a_paused_agent_is_silent_until_it_is_let_go_on(shop, telegram, run_jobs):
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    (conversation,) = (await shop.http.get("/v1/conversations")).json()["conversations"]
    path = f"/v1/conversations/{conversation['id']}"
    assert (await shop.http.patch(path, json={"agent_paused": True})).json()["agent_paused"] is True
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await shop.http.patch(path, json={"agent_paused": False})).json()["agent_paused"] is False
    await shop.write(shop.connection, "How many days do I have to return an item?")
    await run_jobs()
    assert len(telegram.sent) == 2


async def test_a_persons_reply_in_the_owners_app_pauses_the_agent(shop, telegram, run_jobs):
    chat = {"id": 9, "type": "private", "first_name": "A"}
    question = {
        "message_id": 1,
        "business_connection_id": "b1",
        "from": {"id": 9, "is_bot": False, "first_name": "A"},
        "chat": chat,
        "date": int(time.time()),
        "text": "How many days do I have to return an item?",
    }
    owner = {**question, "message_id": 2, "from": {"id": 77, "is_bot": False, "first_name": "Owner"}, "text": "Hi A"}
    await shop.post(shop.connection, {"update_id": 1, "business_message": owner})
    await run_jobs()
    await shop.post(shop.connection, {"update_id": 2, "business_message": question})
    await run_jobs()
    assert len(telegram.sent) == 0
    (conversation,) = (await shop.http.get("/v1/conversations")).json()["conversations"]
    assert conversation["agent_paused"] is True
    assert [message["author"] for message in await shop.messages()] == ["person", "customer"]
