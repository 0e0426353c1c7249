"""Every kind of change is noted by what brings it about, whichever way that comes."""

import itertools

import pytest
from sqlalchemy import select, text

from app.events.schemas import KINDS
from app.models import Change
from app.simulators.faults import cut
from app.simulators.telegram import refused, text_update

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
QUESTION = "How many days do I have to return an item?"
_numbers = itertools.count(20_000)


@pytest.fixture
async def knowing(shop, run_jobs):
    """The shop, whose agent can answer."""
    await shop.add_text("Returns", RETURNS)
    await run_jobs()
    return shop


async def ask(shop, words=QUESTION):
    number = next(_numbers)
    await shop.write(shop.connection, words, update_id=number)
    return number


async def edit(shop, number, words):
    update = text_update(5001, words, update_id=next(_numbers), message_id=number)
    await shop.post(shop.connection, {"update_id": update["update_id"], "edited_message": update["message"]})


async def told(shop):
    """The kinds that were noted since the last call."""
    async with shop.runtime.db.session(shop.id) as session:
        rows = list(await session.scalars(select(Change).order_by(Change.position)))
        await session.execute(text("delete from tenant.changes"))
    return [row.kind for row in rows]


async def test_every_kind_is_told_by_what_brings_it_about(knowing, telegram, run_jobs):
    shop, seen = knowing, []

    async def since():
        await run_jobs()
        found = await told(shop)
        seen.extend(found)
        return found

    number = await ask(shop)
    assert await since() == [
        *("conversation.created", "message.received", "conversation.updated", "reply.queued", "reply.sent")
    ]
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    talk = f"/v1/conversations/{one['id']}"
    await edit(shop, number, "How many weeks?")
    assert await since() == ["message.updated"]
    await shop.http.patch(talk, json={"labels": ["vip"], "assignee": "Ada"})
    assert await since() == ["conversation.updated"]
    await shop.http.patch(talk, json={"labels": ["VIP"], "assignee": "Ada"})
    assert await since() == []
    await shop.http.patch(talk, json={"resolved": True})
    assert await since() == ["conversation.resolved"]
    await shop.http.patch(talk, json={"resolved": False})
    assert await since() == ["conversation.reopened"]
    await shop.http.patch(talk, json={"mode": "copilot"})
    await ask(shop)
    assert await since() == ["conversation.updated", "message.received", "handoff.created", "message.drafted"]
    await shop.http.delete(f"{talk}/draft")
    assert await since() == ["message.updated", "handoff.updated"]
    await ask(shop)
    await since()
    await shop.http.post(f"{talk}/draft", json={})
    assert await since() == ["reply.queued", "reply.sent"]
    await shop.http.patch(talk, json={"agent_paused": True})
    assert await since() == ["conversation.updated"]
    await shop.http.patch(talk, json={"agent_paused": True})
    assert await since() == []
    await shop.http.post(f"{talk}/messages", json={"text": "Let me see."})
    assert set(await since()) == {"handoff.resolved", "reply.queued", "reply.sent"}
    telegram.fail("sendMessage", refused(403, "Forbidden: bot was blocked by the user"))
    await shop.http.post(f"{talk}/messages", json={"text": "Are you there?"})
    assert await since() == ["reply.queued", "reply.failed", "handoff.created"]
    telegram.fail("sendMessage", cut(acts=True))
    await shop.http.post(f"{talk}/messages", json={"text": "Hello?"})
    assert "reply.unknown" in await since()
    await shop.http.patch(f"/v1/agents/{shop.agent}", json={"escalate_after_minutes": 15})
    await shop.http.patch(talk, json={"mode": "autopilot", "agent_paused": False, "handoff_resolved": True})
    await ask(shop, "I want to talk to a person.")
    await since()
    async with shop.runtime.db.session() as session:
        await session.execute(text("update queue.procrastinate_jobs set scheduled_at = now() where status = 'todo'"))
    assert await since() == ["handoff.escalated"]
    assert set(seen) == set(KINDS)


async def test_a_retry_goes_to_and_fro_in_silence(knowing, telegram, run_jobs):
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=0))
    await ask(knowing)
    await run_jobs()
    kinds = await told(knowing)
    assert [kind for kind in kinds if kind.startswith("reply.")] == ["reply.queued", "reply.sent"]


async def test_an_edit_of_what_came_with_a_message_is_told(knowing, run_jobs):
    shop = knowing

    def picture(file_id, number, update_id, **more):
        update = text_update(5001, "", update_id=update_id, message_id=number)
        message = {name: value for name, value in update["message"].items() if name != "text"}
        sizes = [{"file_id": file_id, "file_unique_id": file_id, "width": 1, "height": 1}]
        return {**message, "photo": sizes, "caption": "Look", **more}

    number = next(_numbers)
    await shop.post(shop.connection, {"update_id": number, "message": picture("one", number, number)})
    await run_jobs()
    await told(shop)
    other = next(_numbers)
    edited = picture("two", number, other, edit_date=1789814499)
    await shop.post(shop.connection, {"update_id": other, "edited_message": edited})
    await run_jobs()
    assert "message.updated" in await told(shop)
