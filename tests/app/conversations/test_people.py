"""People in conversations: their own words, the pause that follows, and what becomes of drafts."""

import asyncio
import itertools
import unicodedata
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from app.channels import gate
from app.conversations import answering, turns
from app.models import Conversation, Delivery, Handoff, Message, Note, Turn, now
from app.simulators.faults import cut
from app.simulators.telegram import refused

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
_numbers = itertools.count(10_000)
QUESTION = "How many days do I have to return an item?"


@pytest.fixture
async def shop(tenant, run_jobs):
    await tenant.add_text("Returns", RETURNS)
    await run_jobs()
    tenant.agent = await tenant.add_agent()
    tenant.connection = await tenant.connect(tenant.agent)
    return tenant


@pytest.fixture
async def talk(shop, run_jobs):
    """The path of a conversation in which one question was answered."""
    await ask(shop, QUESTION)
    await run_jobs()
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    return f"/v1/conversations/{one['id']}"


async def ask(shop, text):
    # In a chat of Telegram's no two messages have the same number, whoever wrote them.
    await shop.write(shop.connection, text, update_id=next(_numbers))


async def all_of(shop, column):
    async with shop.runtime.vault.session(shop.id) as session:
        return list(await session.scalars(select(column)))


async def say(shop, talk, text="I have looked it up for you."):
    response = await shop.http.post(f"{talk}/messages", json={"text": text})
    assert response.status_code == 202, response.text
    return response.json()["messages"]


async def said(shop):
    return [(each["author"], each["status"]) for each in await shop.messages()]


async def test_a_persons_words_are_sent_and_the_agent_is_silent(shop, talk, telegram, run_jobs):
    [message] = await say(shop, talk)
    assert (message["author"], message["status"]) == ("person", "queued")
    await run_jobs()
    assert telegram.sent[-1].text == "I have looked it up for you."
    assert (await shop.http.get(talk)).json()["agent_paused"] is True
    await ask(shop, QUESTION)
    await run_jobs()
    assert await said(shop) == [
        ("customer", "received"),
        ("agent", "sent"),
        ("person", "sent"),
        ("customer", "received"),
    ]
    assert len(telegram.sent) == 2
    resumed = await shop.http.patch(talk, json={"agent_paused": False})
    assert resumed.json()["agent_paused"] is False
    await ask(shop, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 3


async def test_a_long_text_goes_in_parts_in_order(shop, talk, telegram, run_jobs):
    text = " ".join(f"This is sentence number {number}." for number in range(400))
    messages = await say(shop, talk, text)
    await run_jobs()
    assert len(messages) == len(telegram.sent) - 1 > 1
    assert " ".join(sent.text for sent in list(telegram.sent)[1:]) == text


async def test_the_same_request_twice_is_one_message(shop, talk, telegram, run_jobs):
    for _ in range(2):
        answer = await shop.http.post(
            f"{talk}/messages", json={"text": "Once."}, headers={"Idempotency-Key": "the-same"}
        )
        assert answer.status_code == 202
    await run_jobs()
    assert [sent.text for sent in telegram.sent].count("Once.") == 1


async def test_a_person_ends_the_wait_for_one(shop, telegram, run_jobs):
    await ask(shop, "Do you sell spaceships to Mars?")
    await run_jobs()
    [one] = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    await say(shop, f"/v1/conversations/{one['id']}")
    assert (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"] == []


@pytest.mark.parametrize("moment", ["drafting", "queued"])
async def test_what_the_agent_had_begun_is_not_sent_after_a_person(shop, talk, telegram, run_jobs, monkeypatch, moment):
    if moment == "queued":
        telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=3600))
        await ask(shop, QUESTION)
        await run_jobs()
        await say(shop, talk)
    else:
        drafting, go_on, run = asyncio.Event(), asyncio.Event(), answering.run

        async def slow(*arguments):
            drafting.set()
            await go_on.wait()
            return await run(*arguments)

        monkeypatch.setattr(answering, "run", slow)
        await ask(shop, QUESTION)
        working = asyncio.create_task(run_jobs())
        await asyncio.wait_for(drafting.wait(), 30)
        await say(shop, talk)
        go_on.set()
        await working
    await run_jobs()
    assert [sent.text for sent in telegram.sent][1:] == ["I have looked it up for you."]
    assert "queued" not in await all_of(shop, Delivery.state)


async def test_a_pause_ends_after_a_silence_that_can_be_set(shop, talk, telegram, run_jobs, monkeypatch):
    answer = await shop.http.patch(f"/v1/agents/{shop.agent}", json={"resume_after_minutes": 30})
    assert answer.json()["resume_after_minutes"] == 30
    await say(shop, talk)
    for minutes, sent in ((29, 2), (31, 3)):
        monkeypatch.setattr(turns, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
        await ask(shop, QUESTION)
        await run_jobs()
        assert len(telegram.sent) == sent
    assert (await shop.http.get(talk)).json()["agent_paused"] is False


async def test_without_a_time_a_pause_ends_by_hand_only(shop, talk, telegram, run_jobs, monkeypatch):
    answer = await shop.http.patch(f"/v1/agents/{shop.agent}", json={"resume_after_minutes": None})
    assert answer.json()["resume_after_minutes"] is None
    await say(shop, talk)
    monkeypatch.setattr(turns, "now", lambda: now() + timedelta(days=365))
    await ask(shop, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 2


async def test_a_persons_message_that_may_have_arrived_is_not_sent_again(shop, talk, telegram, run_jobs):
    telegram.fail("sendMessage", cut(acts=True))
    await say(shop, talk)
    await run_jobs()
    assert (await said(shop))[-1] == ("person", "unknown")
    assert len(telegram.sent) == 2
    assert await all_of(shop, Handoff.reason) == ["send_unknown"]


@pytest.mark.parametrize("path", ["messages", "draft"])
async def test_where_nothing_can_be_said_that_is_told(shop, talk, path, run_jobs):
    async def change(**values):
        async with shop.runtime.vault.session(shop.id) as session:
            await session.execute(update(Conversation).values(**values))

    if path == "draft":
        await shop.http.patch(talk, json={"mode": "copilot"})
        await ask(shop, QUESTION)
        await run_jobs()
    await change(blocked_at=now())
    answer = await shop.http.post(f"{talk}/{path}", json={"text": "Hello?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "customer_blocked")
    await change(blocked_at=None)
    await shop.http.delete(f"/v1/connections/{shop.connection}")
    answer = await shop.http.post(f"{talk}/{path}", json={"text": "Hello?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "connection_stopped")
    assert (await shop.http.post(f"{talk}/{path}", json={"text": ""})).status_code == 422


@pytest.mark.parametrize("blank", [" \n", "\x1c", "\u2029\x1f "], ids=["white", "separator", "mixed"])
async def test_what_is_blank_is_refused_wherever_it_would_be_said(shop, talk, blank):
    for path in ("messages", "draft", "notes"):
        assert (await shop.http.post(f"{talk}/{path}", json={"text": blank})).status_code == 422
    asked = await shop.http.patch(f"/v1/agents/{shop.agent}", json={"satisfaction_message": blank})
    assert asked.status_code == 422
    assert (await shop.http.patch(talk, json={"labels": [blank]})).status_code == 422
    assert (await shop.http.patch(talk, json={"assignee": blank})).json()["assignee"] is None


async def test_a_stopped_connections_question_goes_to_no_model(shop, talk, run_jobs, monkeypatch):
    async def run(*_arguments):
        raise AssertionError("it was asked")

    monkeypatch.setattr(answering, "run", run)
    before = len(await all_of(shop, Turn.id))
    await ask(shop, QUESTION)
    # Stored, and not answered yet.
    await run_jobs(once=True)
    await shop.http.delete(f"/v1/connections/{shop.connection}")
    await run_jobs()
    assert len(await all_of(shop, Message.id)) == 3
    assert len(await all_of(shop, Turn.id)) == before


async def test_a_closed_window_is_told_to_a_person(shop, talk, monkeypatch):
    async def closed(*_arguments, **_names):
        return False

    monkeypatch.setattr(gate, "window_is_open", closed)
    answer = await shop.http.post(f"{talk}/messages", json={"text": "Hello?"})
    assert (answer.status_code, answer.json()["code"]) == (409, "window_closed")
    assert (await shop.http.get(talk)).json()["agent_paused"] is False


async def test_others_conversations_are_not_there(shop, talk, make_tenant):
    other = await make_tenant("Other")
    for method, path in (("POST", "messages"), ("POST", "draft"), ("DELETE", "draft")):
        answer = await other.http.request(method, f"{talk}/{path}", json={"text": "x"})
        assert answer.status_code == 404


async def test_an_agent_that_is_off_says_nothing_and_a_person_is_asked(shop, telegram, run_jobs):
    await shop.http.patch(f"/v1/agents/{shop.agent}", json={"mode": "off"})
    await ask(shop, QUESTION)
    await run_jobs()
    assert list(telegram.sent) == []
    [one] = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    assert one["handoff"]["reason"] == "agent_off"
    # A conversation's own mode outranks its agent's.
    answer = await shop.http.patch(f"/v1/conversations/{one['id']}", json={"mode": "autopilot"})
    assert answer.json()["mode"] == "autopilot"
    await ask(shop, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 1
    answer = await shop.http.patch(f"/v1/conversations/{one['id']}", json={"mode": None})
    assert answer.json()["mode"] is None
    await ask(shop, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_an_agent_that_is_put_off_while_it_drafts_leaves_it_to_a_person(
    shop, talk, telegram, run_jobs, monkeypatch
):
    drafting, go_on, run = asyncio.Event(), asyncio.Event(), answering.run

    async def slow(*arguments):
        drafting.set()
        await go_on.wait()
        return await run(*arguments)

    monkeypatch.setattr(answering, "run", slow)
    await ask(shop, QUESTION)
    working = asyncio.create_task(run_jobs())
    await asyncio.wait_for(drafting.wait(), 30)
    assert (await shop.http.patch(talk, json={"mode": "off"})).status_code == 200
    go_on.set()
    await working
    assert len(telegram.sent) == 1
    assert (await all_of(shop, Turn.reason))[-1] == "agent_off"
    assert (await shop.http.get(talk)).json()["handoff"]["reason"] == "agent_off"


@pytest.fixture
async def draft(shop, talk, run_jobs):
    """A question in a conversation in copilot mode, whose draft waits."""
    await shop.http.patch(talk, json={"mode": "copilot"})
    await ask(shop, "How much is returning by post?")
    await run_jobs()
    return f"{talk}/draft"


async def waits_for(shop):
    found = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    return [one["handoff"]["reason"] for one in found]


async def test_a_draft_waits_and_goes_as_it_is(shop, draft, telegram, run_jobs):
    assert len(telegram.sent) == 1
    assert (await said(shop))[-1] == ("agent", "draft")
    assert await waits_for(shop) == ["draft"]
    text = (await shop.messages())[-1]["text"]
    answer = await shop.http.post(draft, json={})
    assert (answer.status_code, [each["text"] for each in answer.json()["messages"]]) == (202, [text])
    assert (await shop.http.post(draft, json={})).json()["code"] == "no_draft"
    await run_jobs()
    assert (len(telegram.sent), telegram.sent[-1].text) == (2, text)
    assert "2.95" in text
    assert await waits_for(shop) == []
    # Approving is no takeover.
    assert (await said(shop))[-1] == ("agent", "sent")
    assert not (await shop.http.get(draft.removesuffix("/draft"))).json()["agent_paused"]


async def test_a_draft_is_edited(shop, draft, telegram, run_jobs):
    answer = await shop.http.post(draft, json={"text": "It costs £2.95, and I will waive it."})
    assert answer.status_code == 202
    await run_jobs()
    assert [sent.text for sent in telegram.sent][1:] == ["It costs £2.95, and I will waive it."]
    assert (await said(shop))[-1] == ("person", "sent")
    assert "draft" not in await all_of(shop, Message.status)


async def test_a_persons_window_is_for_their_own_words(shop, draft, monkeypatch):
    async def for_people(*_arguments, by_person=False, **_names):
        return by_person

    monkeypatch.setattr(gate, "window_is_open", for_people)
    as_it_is = await shop.http.post(draft, json={})
    assert (as_it_is.status_code, as_it_is.json()["code"]) == (409, "window_closed")
    assert (await shop.http.post(draft, json={"text": "In my own words."})).status_code == 202


async def test_a_draft_is_rejected_and_the_customer_still_waits_for_a_person(shop, draft, telegram, run_jobs):
    assert (await shop.http.delete(draft)).status_code == 204
    assert (await shop.http.delete(draft)).json()["code"] == "no_draft"
    await run_jobs()
    assert len(telegram.sent) == 1
    assert await waits_for(shop) == ["draft_rejected"]
    assert (await said(shop))[-1] == ("agent", "cancelled")


async def test_a_new_message_makes_a_draft_void_and_is_answered_with_it(shop, draft, telegram, run_jobs):
    await ask(shop, QUESTION)
    await run_jobs()
    statuses = [status for author, status in await said(shop) if author == "agent"]
    assert sorted(statuses) == ["cancelled", "draft", "sent"]
    assert await waits_for(shop) == ["draft"]
    await shop.http.post(draft, json={})
    await run_jobs()
    assert len(telegram.sent) == 2
    states = await all_of(shop, Turn.state)
    assert sorted(states) == ["replied", "replied", "superseded"]
    # Both questions were in the turn that was sent.
    questions = [each["turn"]["id"] for each in await shop.messages() if each["author"] == "customer"]
    assert questions[1] == questions[2]


async def test_a_person_who_writes_makes_a_draft_void(shop, talk, draft, telegram, run_jobs):
    await say(shop, talk)
    await run_jobs()
    assert [sent.text for sent in telegram.sent][1:] == ["I have looked it up for you."]
    assert (await shop.http.post(draft, json={})).json()["code"] == "no_draft"


async def test_two_who_approve_at_once_send_one(shop, draft, telegram, run_jobs):
    answers = await asyncio.gather(*(shop.http.post(draft, json={}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    await run_jobs()
    assert len(telegram.sent) == 2


async def test_a_copilot_promises_nothing(shop, talk, telegram, run_jobs):
    await shop.http.patch(talk, json={"mode": "copilot"})
    await ask(shop, "Do you sell spaceships to Mars?")
    await run_jobs()
    assert len(telegram.sent) == 1
    assert (await waits_for(shop))[0] in ("ungrounded", "no_passages")


async def stands(shop, talk):
    """A conversation's status, and that it is listed under this one and no other."""
    known = (await shop.http.get(talk)).json()
    for status in ("open", "waiting", "handed_off", "resolved"):
        found = (await shop.http.get("/v1/conversations", params={"status": status})).json()["conversations"]
        assert (known["id"] in [one["id"] for one in found]) == (known["status"] == status)
    return known["status"]


async def test_how_a_conversation_stands(shop, talk, telegram, run_jobs):
    assert await stands(shop, talk) == "open"
    await say(shop, talk)
    await ask(shop, QUESTION)
    await run_jobs()
    # The agent is paused: the customer waits for the person.
    assert await stands(shop, talk) == "waiting"
    assert (await shop.http.get(talk)).json()["waiting_since"] is not None
    await say(shop, talk)
    assert await stands(shop, talk) == "open"
    done = (await shop.http.patch(talk, json={"resolved": True})).json()
    assert (done["status"], done["agent_paused"]) == ("resolved", False)
    assert await stands(shop, talk) == "resolved"
    await run_jobs()
    await ask(shop, "Do you sell spaceships to Mars?")
    await run_jobs()
    assert await stands(shop, talk) == "handed_off"
    done = (await shop.http.patch(talk, json={"resolved": True})).json()
    assert (done["status"], done["handoff"]) == ("resolved", None)
    assert (await shop.http.patch(talk, json={"resolved": False})).json()["status"] == "open"
    await shop.http.patch(talk, json={"resolved": True})
    await ask(shop, QUESTION)
    await run_jobs()
    # It came up again, and was answered.
    assert await stands(shop, talk) == "open"


async def test_resolving_drops_a_draft(shop, talk, draft, telegram, run_jobs):
    assert await stands(shop, talk) == "handed_off"
    await shop.http.patch(talk, json={"resolved": True})
    assert (await shop.http.post(draft, json={})).json()["code"] == "no_draft"
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_conversations_are_found_by_customer_connection_and_time(shop, talk, run_jobs):
    await shop.write(shop.connection, QUESTION, chat_id=77, update_id=next(_numbers))
    await run_jobs()
    newest, oldest = (await shop.http.get("/v1/conversations")).json()["conversations"]
    between = newest["last_message_at"]
    for wanted, found in (
        ({"contact_id": oldest["contact_id"]}, [oldest]),
        ({"connection_id": shop.connection}, [newest, oldest]),
        ({"connection_id": shop.agent}, []),
        ({"since": between}, [newest]),
        ({"until": between}, [oldest]),
        ({"status": "open", "contact_id": newest["contact_id"], "since": between}, [newest]),
    ):
        answer = await shop.http.get("/v1/conversations", params=wanted)
        assert answer.json()["conversations"] == found, wanted
    for wrong in ({"status": "lost"}, {"since": "yesterday"}, {"contact_id": "x"}):
        assert (await shop.http.get("/v1/conversations", params=wrong)).status_code == 422


async def test_the_last_message_is_the_last_whoever_wrote_it(shop, talk, run_jobs):
    async def is_since(moment):
        last = (await shop.http.get(talk)).json()["last_message_at"]
        assert datetime.fromisoformat(last) >= moment

    [_, answer] = await shop.messages()
    await is_since(datetime.fromisoformat(answer["created_at"]) - timedelta(seconds=0.1))
    began = now()
    await say(shop, talk)
    await is_since(began)
    await shop.http.patch(talk, json={"mode": "copilot", "agent_paused": False})
    await ask(shop, QUESTION)
    await run_jobs()
    began = now()
    assert (await shop.http.post(f"{talk}/draft", json={"text": "In my own words."})).status_code == 202
    await is_since(began)
    await shop.http.patch(f"/v1/agents/{shop.agent}", json={"satisfaction_message": "How was it?"})
    began = now()
    await shop.http.patch(talk, json={"resolved": True})
    await is_since(began)


async def test_notes_are_for_colleagues_only(shop, talk, telegram, run_jobs):
    for text in ("Prefers mornings.", "Is a regular."):
        made = await shop.http.post(f"{talk}/notes", json={"text": text})
        assert (made.status_code, made.json()["text"]) == (201, text)
    found = (await shop.http.get(f"{talk}/notes")).json()["notes"]
    assert [note["text"] for note in found] == ["Is a regular.", "Prefers mornings."]
    first = (await shop.http.get(f"{talk}/notes", params={"limit": 1})).json()
    rest = (await shop.http.get(f"{talk}/notes", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [note["text"] for note in rest["notes"]] == ["Prefers mornings."]
    assert (await shop.http.delete(f"/v1/notes/{found[0]['id']}")).status_code == 204
    assert (await shop.http.delete(f"/v1/notes/{found[0]['id']}")).status_code == 404
    await run_jobs()
    assert len(telegram.sent) == 1
    # They go with the conversation.
    await shop.http.delete(talk)
    await run_jobs()
    assert await all_of(shop, Note.id) == []
    assert (await shop.http.post(f"{talk}/notes", json={"text": "x"})).status_code == 404


async def test_labels_find_conversations(shop, talk, run_jobs):
    apart = unicodedata.normalize("NFD", "Rückfrage")
    changed = await shop.http.patch(talk, json={"labels": ["VIP", apart, "Rückfrage", "vip"]})
    assert changed.json()["labels"] == ["vip", "Rückfrage"]
    for label, count in (("Vip", 1), ("rückfrage", 1), (apart, 1), (" vip ", 1), ("vi", 0)):
        found = await shop.http.get("/v1/conversations", params={"label": label})
        assert len(found.json()["conversations"]) == count
    assert (await shop.http.patch(talk, json={"agent_paused": True})).json()["labels"] == ["vip", "Rückfrage"]
    assert (await shop.http.patch(talk, json={"labels": []})).json()["labels"] == []
    assert (await shop.http.get("/v1/conversations", params={"label": "vip"})).json()["conversations"] == []
    for wrong in ([""], ["x" * 51], ["x"] * 21):
        assert (await shop.http.patch(talk, json={"labels": wrong})).status_code == 422


async def test_customers_are_listed(shop, talk, make_tenant, run_jobs):
    await shop.write(shop.connection, QUESTION, chat_id=77, update_id=next(_numbers))
    await run_jobs()
    newest, oldest = (await shop.http.get("/v1/contacts")).json()["contacts"]
    assert (newest["customer_id"], newest["connection_id"]) == ("77", shop.connection)
    assert (await shop.http.get(f"/v1/contacts/{oldest['id']}")).json() == oldest
    found = await shop.http.get("/v1/contacts", params={"connection_id": shop.agent})
    assert found.json()["contacts"] == []
    other = await make_tenant("Other")
    assert (await other.http.get(f"/v1/contacts/{oldest['id']}")).status_code == 404
    assert (await other.http.get("/v1/contacts")).json()["contacts"] == []
