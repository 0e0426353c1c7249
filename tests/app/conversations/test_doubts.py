"""A send in doubt that no echo settles is settled by a person; the provider's word counts more; nothing is resent."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from app.channels.base import SendResult
from app.channels.delivery import SETTLED, Parcel, note, take
from app.models import Delivery, Handoff, now
from app.simulators.faults import cut
from tests.app.channels.test_tiktok_journey import QUESTION, connection, shop, sim, write
from tests.app.conversations.test_people import all_of

__all__ = ["connection", "shop", "sim"]
CUSTOMER = "+ZMM6I2k=="


@pytest.fixture
async def doubt(shop, connection, sim, run_jobs):
    """The path of a message that may or may not have arrived."""
    sim.fail("business/message/send", cut(acts=True))
    assert await write(shop, sim, QUESTION) == 200
    await run_jobs()
    [talk] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    message = (await shop.messages())[-1]
    assert message["status"] == "unknown"
    return f"/v1/conversations/{talk['id']}/messages/{message['id']}"


async def say(shop, doubt, arrived):
    return await shop.http.patch(doubt, json={"arrived": arrived})


async def echo(shop, sim, run_jobs, source="API"):
    headers, body = sim.echo(sim.sent[0], CUSTOMER, source)
    assert (await shop.http.post("/webhooks/tiktok", content=body, headers=headers)).status_code == 200
    await run_jobs()


async def last(shop):
    return [(each["author"], each["status"]) for each in await shop.messages()][-1]


@pytest.mark.parametrize(("arrived", "status"), [(True, "sent"), (False, "failed")])
async def test_a_person_says_what_became_of_it(shop, doubt, sim, run_jobs, arrived, status):
    for _ in range(2):
        answer = await say(shop, doubt, arrived)
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert answer.json()["turn"]["reason"] == "send_unknown"
        await run_jobs()
    assert await last(shop) == ("agent", status)
    assert await all_of(shop, Delivery.state) == [status]
    other = await say(shop, doubt, not arrived)
    assert (other.status_code, other.json()["code"]) == (409, "not_in_doubt")
    assert await last(shop) == ("agent", status)
    assert len(sim.sent) == 1, "nothing is sent by that"


async def test_the_handoff_stays_until_it_is_closed(shop, doubt, run_jobs):
    await say(shop, doubt, True)
    await run_jobs()
    talk = doubt.partition("/messages/")[0]
    assert (await shop.http.get(talk)).json()["handoff"]["reason"] == "send_unknown"
    closed = await shop.http.patch(talk, json={"handoff_resolved": True})
    assert closed.json()["handoff"] is None
    assert (await say(shop, doubt, True)).status_code == 200
    assert len(await all_of(shop, Handoff)) == 1


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_echo_that_comes_after_all_is_believed(shop, doubt, sim, run_jobs, arrived):
    assert (await say(shop, doubt, arrived)).status_code == 200
    for _ in range(2):
        await echo(shop, sim, run_jobs)
    assert await last(shop) == ("agent", "sent")
    talk = (await shop.http.get(doubt.partition("/messages/")[0])).json()
    assert talk["agent_paused"] is False, "it is no word of a person's"
    # The same request once more, as after a timeout.
    assert (await say(shop, doubt, True)).status_code == 200
    assert (await say(shop, doubt, False)).status_code == 409
    [delivery] = await all_of(shop, Delivery)
    assert delivery.provider_message_hash is not None


async def test_an_echo_does_not_take_back_that_it_was_read(shop, doubt, sim, run_jobs):
    await say(shop, doubt, True)
    read = {"read": {"last_read_timestamp": int(sim.sent[0].at * 1000) + 600_000}}
    about = {"conversation_id": "u5Jhp==", "from_user": {"id": CUSTOMER}}
    headers, body = sim.webhook("im_mark_read_msg", about | read)
    await shop.http.post("/webhooks/tiktok", content=body, headers=headers)
    await run_jobs()
    assert await last(shop) == ("agent", "read")
    await echo(shop, sim, run_jobs)
    assert await last(shop) == ("agent", "read")


async def test_a_persons_own_word_is_not_taken_for_a_late_echo(shop, doubt, sim, run_jobs):
    await say(shop, doubt, False)
    await echo(shop, sim, run_jobs, "APP")
    assert await last(shop) == ("person", "sent")
    assert await all_of(shop, Delivery.state) == ["failed"]


async def test_the_same_words_days_later_are_no_late_echo(shop, doubt, sim, run_jobs):
    await say(shop, doubt, False)
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Delivery).values(created_at=now() - timedelta(days=2)))
    await echo(shop, sim, run_jobs)
    assert await last(shop) == ("agent", "failed")


async def test_what_the_provider_confirms_late_is_believed(shop, doubt, runtime, sim):
    """The caller was slow, not dead."""
    await say(shop, doubt, False)
    [delivery] = await all_of(shop, Delivery)
    async with runtime.vault.session(shop.id) as session:
        assert await take(session, runtime, delivery.id) is None, "it is not sent again"
    parcel = Parcel(shop.id, delivery.id, None, None, {}, None)
    await note(runtime, parcel, SendResult("fatal", code="late"))
    assert await last(shop) == ("agent", "failed")
    await note(runtime, parcel, SendResult("ok", "m-late"))
    assert await last(shop) == ("agent", "sent")
    assert await all_of(shop, Delivery.error_code) == [SETTLED]


async def test_only_what_is_in_doubt_can_be_settled(shop, connection, sim, run_jobs):
    await write(shop, sim, QUESTION)
    await run_jobs()
    [talk] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    path = f"/v1/conversations/{talk['id']}/messages"
    for message in await shop.messages():
        for arrived in (True, False):
            answer = await say(shop, f"{path}/{message['id']}", arrived)
            assert (answer.status_code, answer.json()["code"]) == (409, "not_in_doubt")
    assert (await say(shop, f"{path}/{uuid4()}", True)).status_code == 404
    elsewhere = f"/v1/conversations/{uuid4()}/messages/{(await shop.messages())[-1]['id']}"
    assert (await say(shop, elsewhere, True)).status_code == 404
    for body in ({}, {"arrived": None}, {"arrived": "perhaps"}):
        assert (await shop.http.patch(f"{path}/{uuid4()}", json=body)).status_code == 422


async def test_another_tenant_and_a_reading_key_cannot(shop, doubt, make_tenant):
    other = await make_tenant("Other")
    assert (await say(other, doubt, True)).status_code == 404
    made = await shop.http.post("/v1/api-keys", json={"name": "Reads", "scopes": ["conversations:read"]})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await shop.http.patch(doubt, json={"arrived": True}, headers=headers)).status_code == 403
    assert await last(shop) == ("agent", "unknown")


async def test_two_who_disagree_at_once_leave_one_answer(shop, doubt):
    answers = await asyncio.gather(*(say(shop, doubt, arrived) for arrived in (True, False)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    status = next(answer.json()["status"] for answer in answers if answer.status_code == 200)
    assert await last(shop) == ("agent", status)
