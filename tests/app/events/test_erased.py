"""What is erased, or may not leave, is not posted: not later, not while it goes, and of TikTok not at all."""

import asyncio
import json
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.egress import Data, Poster, carrying
from app.egress.destinations import ONLY, WEBHOOKS
from app.events.posting import queue_due
from app.models import Change, Erasure, Message, WebhookPost
from tests.app.channels.test_tiktok_journey import agree, sim, start
from tests.app.channels.test_tiktok_journey import shop as tiktok_shop
from tests.app.channels.test_tiktok_journey import write as write_on_tiktok
from tests.app.events.conftest import LOOPBACK
from tests.app.events.receivers import answer, held
from tests.app.events.test_webhooks import _are, add, later, log, write
from tests.app.until import until

__all__ = ["sim", "tiktok_shop"]
WORDS = "My number is canary-4711"


async def left(shop, model, **where):
    async with shop.runtime.vault.session(shop.id) as session:
        query = select(func.count()).select_from(model).filter_by(**where)
        return await session.scalar(query)


async def conversation(shop):
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    return one["id"]


async def erase(shop, path):
    """Ask; the work is for `run_jobs`."""
    asked = await shop.http.delete(path)
    assert asked.status_code == 202, asked.text
    return asked.json()["id"]


@pytest.mark.parametrize("what", ["conversations", "contacts", "connections", "account"])
async def test_what_waited_goes_with_what_it_was_about(shop, receiver, run_jobs, what):
    await add(shop, receiver, "message.received", "conversation.updated")
    receiver.usual = answer(500)
    await write(shop, WORDS)
    await run_jobs()
    assert await left(shop, WebhookPost) >= 1
    assert await left(shop, Change) > 3
    one = (await shop.http.get(f"/v1/conversations/{await conversation(shop)}")).json()
    ids = {"conversations": one["id"], "contacts": one["contact_id"], "connections": shop.connection}
    told = len(receiver.got)
    path = "/v1/account" if what == "account" else f"/v1/{what}/{ids[what]}"
    await shop.http.delete(path, params={"days": 0})
    await run_jobs()
    async with shop.runtime.db.session(shop.id) as session:
        assert await session.scalar(select(func.count()).select_from(WebhookPost)) == 0
        assert await session.scalar(select(func.count()).select_from(Change)) == 0
    await queue_due(shop.runtime)
    await run_jobs()
    # What began the erasure was told to nobody either.
    assert len(receiver.got) == told


async def test_an_erasure_waits_for_a_post_that_is_under_way(shop, receiver, run_jobs):
    release = asyncio.Event()
    await add(shop, receiver, "message.received")
    receiver.answers = [held(release, answer(500))]
    await write(shop, WORDS)
    working = asyncio.create_task(run_jobs())
    await until(lambda: _are(receiver, 1))
    erasure = await erase(shop, f"/v1/conversations/{await conversation(shop)}")
    await until(lambda: _gone(shop))
    assert await left(shop, Erasure, id=UUID(erasure), state="done") == 0
    release.set()
    await working
    await run_jobs()
    assert await left(shop, Erasure, id=UUID(erasure), state="done") == 1
    # The receiver failed, but there is nothing to try again.
    assert len(receiver.got) == 1


async def _gone(shop):
    return await left(shop, WebhookPost) == 0


async def test_what_is_being_erased_is_not_posted_any_more(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [answer(500)]
    await write(shop, WORDS)
    await run_jobs()
    await erase(shop, f"/v1/conversations/{await conversation(shop)}")
    async with shop.runtime.vault.session(shop.id) as session:
        [post] = await session.scalars(select(WebhookPost))
    asked = await shop.http.post(f"/v1/webhooks/{hook['id']}/deliveries/{post.id}/retry")
    assert asked.status_code == 202
    await shop.runtime.queue.app.run_worker_async(
        queues=["posts"],
        wait=False,
        listen_notify=False,
        install_signal_handlers=False,
        delete_jobs="successful",
        additional_context={"runtime": shop.runtime},
    )
    assert [(one["state"], one["error_code"]) for one in await log(shop, hook)] == [("cancelled", "gone")]
    assert len(receiver.got) == 1


async def test_a_disconnect_stops_what_waits(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [answer(500)]
    await write(shop, WORDS)
    await run_jobs()
    # It can be restored for thirty days.
    await erase(shop, f"/v1/connections/{shop.connection}")
    await later(shop, run_jobs)
    assert [(one["state"], one["error_code"]) for one in await log(shop, hook)] == [("cancelled", "connection_stopped")]
    assert len(receiver.got) == 1


async def test_a_message_that_was_taken_back_is_told_without_its_words(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [answer(500)]
    await write(shop, WORDS)
    await run_jobs()
    [message, _] = await shop.messages()
    async with shop.runtime.vault.session(shop.id) as session:
        row = await session.get_one(Message, UUID(message["id"]))
        row.text, row.status = "", "deleted"
    await later(shop, run_jobs)
    told = receiver.got[-1].verified(hook["secret"])["data"]["message"]
    assert (told["text"], told["status"]) == ("", "deleted")


async def test_of_tiktok_there_are_ids_alone(tiktok_shop, sim, receiver, run_jobs):
    shop = tiktok_shop
    hook = await add(
        shop,
        receiver,
        "message.received",
        "reply.sent",
        "conversation.created",
        "conversation.updated",
        "handoff.created",
    )
    assert (await agree(shop, await start(shop))).status_code == 200
    assert await write_on_tiktok(shop, sim, "How many days do I have to return an item?") == 200
    assert await write_on_tiktok(shop, sim, WORDS, customer="canary-customer==", conversation="canary-talk==") == 200
    await run_jobs()
    assert len(sim.sent) == 2
    assert set(receiver.types) == {
        *("message.received", "reply.sent", "conversation.created", "conversation.updated", "handoff.created")
    }
    for got in receiver.got:
        data = got.verified(hook["secret"])["data"]
        assert set(data) <= {"conversation_id", "connection_id", "channel", "message_id", "handoff_id"}
        assert data["channel"] == "tiktok"
        for name, value in data.items():
            assert name == "channel" or UUID(value)
    raw = json.dumps([(got.path, got.headers, got.body.decode()) for got in receiver.got])
    for word in ("canary", "return", "Hung", "hunghero", *(sent.text for sent in sim.sent)):
        assert word not in raw


async def test_code_that_would_post_it_all_the_same_is_refused(receiver):
    assert WEBHOOKS.name not in ONLY[Data.TIKTOK]
    with carrying(Data.TIKTOK):
        posted = await Poster(allow=LOOPBACK).post(receiver.url, {}, b"{}")
    assert (posted.error, receiver.got) == ("not_declared", [])
