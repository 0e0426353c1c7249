"""How it was: asked once, by the agent's words, and only a number is an answer."""

import itertools
from datetime import timedelta

import pytest

from app.channels import gate
from app.conversations import satisfaction
from app.conversations.satisfaction import rating_of
from app.models import now
from app.simulators.faults import cut
from app.simulators.telegram import refused

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
QUESTION = "How many days do I have to return an item?"
ASKED = "How did we do, from 1 to 5?"
_numbers = itertools.count(40_000)


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        *(("5", 5), (" 4 ", 4), ("3/5", 3), ("2 out of 5", 2), ("1 star", 1), ("5!", 5), ("5 ⭐", 5)),
        *(("⭐⭐⭐", 3), ("⭐️⭐️", 2), ("★★★★", 4), ("👍", 5), ("👍🏽", 5), ("👎", 1)),
        *(
            ("0", None),
            ("6", None),
            ("10", None),
            ("5 apples", None),
            ("", None),
            ("Well, 4?", None),
            ("👍👍 thanks", None),
        ),
        *(("⭐⭐⭐⭐⭐⭐", None), ("2026", None), ("1-5", None)),
    ],
)
def test_a_rating(text, rating):
    assert rating_of(text) == rating


@pytest.fixture
async def talk(tenant, run_jobs):
    """The path of a conversation in which one question was answered, and what a customer does there."""
    await tenant.add_text("Returns", RETURNS)
    await run_jobs()
    agent = await tenant.add_agent(
        satisfaction_message=ASKED, translations={"de": {"satisfaction_message": "Wie war es?"}}
    )
    connection = await tenant.connect(agent)

    async def write(words):
        await tenant.write(connection, words, update_id=next(_numbers))
        await run_jobs()

    tenant.says = write
    await write(QUESTION)
    [one] = (await tenant.http.get("/v1/conversations")).json()["conversations"]
    tenant.path = f"/v1/conversations/{one['id']}"
    return tenant


async def resolve(talk, run_jobs):
    response = await talk.http.patch(talk.path, json={"resolved": True})
    assert response.status_code == 200, response.text
    await run_jobs()


async def test_it_is_asked_once_and_the_answer_is_kept(talk, telegram, run_jobs):
    await resolve(talk, run_jobs)
    await resolve(talk, run_jobs)
    assert [sent.text for sent in telegram.sent][1:] == [ASKED]
    await talk.says("4")
    shown = (await talk.http.get(talk.path)).json()
    # It is an answer, not a question: nobody replies, and nothing is begun anew.
    assert (shown["rating"], shown["status"], len(telegram.sent)) == (4, "resolved", 2)
    assert (await talk.messages())[-1]["status"] == "noted"
    await talk.says("5")
    shown = (await talk.http.get(talk.path)).json()
    assert (shown["rating"], shown["status"]) != (5, "resolved")


async def test_another_question_is_answered(talk, telegram, run_jobs):
    await resolve(talk, run_jobs)
    await talk.says(f"One more thing. {QUESTION}")
    shown = (await talk.http.get(talk.path)).json()
    assert (shown["rating"], shown["status"]) == (None, "open")
    assert "30 days" in telegram.sent[-1].text
    await talk.says("4")
    assert (await talk.http.get(talk.path)).json()["rating"] is None


@pytest.mark.parametrize(("fault", "rating"), [(refused(400, "Bad Request"), None), (cut(acts=True), 4)])
async def test_a_question_that_does_not_arrive_asks_no_person(talk, telegram, run_jobs, fault, rating):
    telegram.fail("sendMessage", fault)
    await resolve(talk, run_jobs)
    shown = (await talk.http.get(talk.path)).json()
    assert (shown["status"], shown["handoff"]) == ("resolved", None)
    await talk.says("4")
    # One in doubt may have been read.
    assert (await talk.http.get(talk.path)).json()["rating"] == rating


@pytest.mark.parametrize("why", ["window", "stopped"])
async def test_where_nothing_can_be_said_nothing_is_asked(talk, telegram, run_jobs, monkeypatch, why):
    async def closed(*_arguments, **_names):
        return False

    if why == "window":
        monkeypatch.setattr(gate, "window_is_open", closed)
    else:
        connection = (await talk.http.get("/v1/connections")).json()["connections"][0]["id"]
        await talk.http.delete(f"/v1/connections/{connection}")
    before = await talk.messages()
    await resolve(talk, run_jobs)
    assert (await talk.messages(), len(telegram.sent)) == (before, 1)


async def test_a_late_number_is_no_answer(talk, telegram, run_jobs, monkeypatch):
    await resolve(talk, run_jobs)
    monkeypatch.setattr(satisfaction, "now", lambda: now() + timedelta(days=8))
    await talk.says("4")
    assert (await talk.http.get(talk.path)).json()["rating"] is None


async def test_in_the_customers_language_or_not_at_all(talk, telegram, run_jobs):
    await talk.says("Wie viele Tage habe ich Zeit, um einen Artikel zurückzugeben?")
    await resolve(talk, run_jobs)
    assert telegram.sent[-1].text == "Wie war es?"
    agent = (await talk.http.get("/v1/agents")).json()["agents"][0]["id"]
    changed = await talk.http.patch(f"/v1/agents/{agent}", json={"satisfaction_message": None, "translations": {}})
    assert changed.json()["satisfaction_message"] is None
    await talk.says(QUESTION)
    before = len(telegram.sent)
    await resolve(talk, run_jobs)
    assert len(telegram.sent) == before


async def test_who_blocked_us_is_not_asked(talk, telegram, run_jobs):
    await talk.http.patch(talk.path, json={"resolved": False})
    chat = {"id": 5001, "type": "private", "first_name": "A"}
    member = {"user": {"id": 1, "is_bot": True, "first_name": "B"}, "status": "kicked"}
    update = {"chat": chat, "from": {"id": 5001, "is_bot": False, "first_name": "A"}, "date": 1789814498}
    update |= {"old_chat_member": {**member, "status": "member"}, "new_chat_member": member}
    connection = (await talk.http.get("/v1/connections")).json()["connections"][0]["id"]
    await talk.post(connection, {"update_id": next(_numbers), "my_chat_member": update})
    await run_jobs()
    await resolve(talk, run_jobs)
    assert len(telegram.sent) == 1
