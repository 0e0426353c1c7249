"""Outgoing webhooks: what is posted, by whom it can be asked for, and what a receiver can rely on."""

import asyncio
import itertools
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from standardwebhooks import WebhookVerificationError

from app.egress import Poster
from app.events import posting, service
from app.events.posting import DELAYS, queue_due
from app.models import Webhook, WebhookPost, now
from app.rescue import rescue
from tests.app.events.conftest import LOOPBACK
from tests.app.events.receivers import answer, cut, endless_head, garbage, gigabytes, held, receiving
from tests.app.until import until

_numbers = itertools.count(30_000)


async def write(shop, words="Hello there", chat_id=5001):
    number = next(_numbers)
    assert (await shop.write(shop.connection, words, chat_id=chat_id, update_id=number)).status_code == 200


async def add(shop, receiver, *events, **more):
    """Make a webhook; all of it, with the secret."""
    body = {"url": receiver.url, **({"events": events} if events else {}), **more}
    made = await shop.http.post("/v1/webhooks", json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def log(shop, hook, **params):
    found = await shop.http.get(f"/v1/webhooks/{hook['id']}/deliveries", params=params)
    assert found.status_code == 200, found.text
    return found.json()["deliveries"]


async def later(shop, run_jobs, **changes):
    """Let the time of what waits come, and run it."""
    async with shop.runtime.vault.session(shop.id) as session:
        due = update(WebhookPost).where(WebhookPost.state == "pending").values(next_attempt_at=now(), **changes)
        await session.execute(due)
        await session.execute(update(Webhook).values(resume_at=None))
    await queue_due(shop.runtime)
    await run_jobs()


async def count(shop, *where):
    async with shop.runtime.vault.session(shop.id) as session:
        return len(list(await session.scalars(select(WebhookPost.id).where(*where))))


async def test_what_was_said_is_posted_and_signed(shop, receiver, run_jobs):
    hook = await add(shop, receiver)
    await write(shop, "Where is my parcel?")
    await run_jobs()
    assert sorted(receiver.types) == ["handoff.created", "message.received", "reply.sent"]
    by_type = {got.json["type"]: got for got in receiver.got}
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    asked, said = await shop.messages()
    body = by_type["message.received"].verified(hook["secret"])
    assert set(body) == {"type", "timestamp", "data"}
    data = body["data"]
    assert (data["conversation_id"], data["message_id"]) == (one["id"], asked["id"])
    assert (data["channel"], data["connection_id"]) == ("telegram", shop.connection)
    assert {name: data["message"][name] for name in ("id", "direction", "author", "text", "kind", "status")} == {
        name: asked[name] for name in ("id", "direction", "author", "text", "kind", "status")
    }
    assert data["contact"]["id"] == one["contact_id"]
    assert data["contact"]["name"]
    assert by_type["reply.sent"].json["data"]["message"]["text"] == said["text"]
    told = by_type["handoff.created"].json["data"]
    assert told["handoff"]["reason"] == one["handoff"]["reason"]
    assert told["conversation"] == {"id": one["id"], "status": "handed_off", "labels": [], "language": "en"}
    headers = by_type["reply.sent"].headers
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("Jobx-Webhooks/1")
    assert "cookie" not in headers
    assert [post["state"] for post in await log(shop, hook)] == ["delivered"] * 3
    assert {post["event_id"] for post in await log(shop, hook)} == {got.id for got in receiver.got}
    tampered = by_type["reply.sent"]
    tampered.body = tampered.body.replace(b"reply.sent", b"reply.lost")
    with pytest.raises(WebhookVerificationError):
        tampered.verified(hook["secret"])


async def test_only_what_was_asked_for_is_posted(shop, receiver, run_jobs):
    await add(shop, receiver, "conversation.updated", "conversation.resolved")
    off = await add(shop, receiver, "message.received")
    await shop.http.patch(f"/v1/webhooks/{off['id']}", json={"enabled": False})
    await write(shop)
    await run_jobs()
    receiver.got.clear()
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    await shop.http.patch(f"/v1/conversations/{one['id']}", json={"resolved": True, "labels": ["vip"]})
    await run_jobs()
    assert receiver.types == ["conversation.resolved", "conversation.updated"]
    told = receiver.got[0].json["data"]
    assert (told["conversation"]["status"], told["conversation"]["labels"]) == ("resolved", ["vip"])
    assert "message" not in told
    assert await log(shop, off) == []


async def test_nothing_is_posted_of_what_did_not_happen(shop, receiver, run_jobs):
    await add(shop, receiver, "conversation.updated")
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(
            text("select tenant.tell('conversation.updated', :tenant, :one, :one, null, null)"),
            {"tenant": shop.id, "one": shop.connection},
        )
        assert await session.scalar(text("select count(*) from queue.procrastinate_jobs")) == 1
        await session.rollback()
    await run_jobs()
    assert (receiver.got, await count(shop)) == ([], 0)


async def test_a_change_waits_for_nobody_who_changes_a_webhook_and_is_posted_all_the_same(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "conversation.updated")
    going = await add(shop, receiver, "conversation.updated")
    tell = text("select tenant.tell('conversation.updated', :tenant, :one, :one, null, null)")
    async with shop.runtime.vault.session(shop.id) as changing, shop.runtime.vault.session(shop.id) as deleting:
        (await posting.lock(changing, UUID(hook["id"]))).kinds = ["conversation.updated", "reply.sent"]
        await changing.flush()
        await service.delete(deleting, UUID(going["id"]))
        await deleting.flush()
        async with shop.runtime.db.session(shop.id) as session:
            await session.execute(text("set local lock_timeout = '2s'"))
            await session.execute(tell, {"tenant": shop.id, "one": shop.connection})
    assert await count(shop, WebhookPost.webhook_id == UUID(hook["id"])) == 1
    assert await count(shop) == 1


async def test_an_event_has_one_id_wherever_it_goes_and_however_often(shop, receiver, run_jobs):
    """Two webhooks, a receiver that fails, a process that dies after the answer, and a person who asks for it again."""
    hooks = [await add(shop, receiver, "message.received") for _ in range(2)]
    receiver.answers = [answer(500)]
    await write(shop)
    await run_jobs()
    await later(shop, run_jobs)
    async with shop.runtime.vault.session(shop.id) as session:
        # As if what the answer was had not been written down.
        await session.execute(update(WebhookPost).values(state="pending", queued_at=None))
    await later(shop, run_jobs)
    [post] = await log(shop, hooks[0])
    again = await shop.http.post(f"/v1/webhooks/{hooks[0]['id']}/deliveries/{post['id']}/retry")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    await run_jobs()
    assert len(receiver.got) == 6
    assert {got.id for got in receiver.got} == {post["event_id"]}
    assert {got.json["data"]["message"]["text"] for got in receiver.got} == {"Hello there"}


async def test_a_receiver_that_fails_is_tried_as_told_and_then_no_more(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    receiver.usual = answer(503)
    await write(shop)
    await run_jobs()
    for attempt, delay in enumerate(DELAYS, 1):
        [post] = await log(shop, hook, state="pending")
        assert (post["attempts"], post["status_code"], post["error_code"]) == (attempt, 503, "http_status")
        async with shop.runtime.vault.session(shop.id) as session:
            [at] = await session.scalars(select(WebhookPost.next_attempt_at))
        assert delay - timedelta(seconds=60) < at - now() < 1.1 * delay
        assert len(receiver.got) == attempt
        await later(shop, run_jobs)
    [post] = await log(shop, hook, state="failed")
    assert (post["attempts"], post["next_attempt_at"], len(receiver.got)) == (10, None, 10)
    assert sum(DELAYS, timedelta()) > timedelta(days=3)
    await later(shop, run_jobs)
    assert len(receiver.got) == 10
    # The webhook itself goes on.
    receiver.usual = answer(200)
    await write(shop)
    await later(shop, run_jobs)
    assert [post["state"] for post in await log(shop, hook)] == ["delivered", "failed"]
    assert (await shop.http.get(f"/v1/webhooks/{hook['id']}")).json()["failing_since"] is None


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("120", 119, 121),
        ("999999999", 86_000, 86_401),
        ("soon", 3, 6),
        (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", 3, 6),
        (f"Mon, 01 Jan 2126 00:00:00 +{'9' * 20}", 3, 6),
    ],
    ids=["in bounds", "too long", "no time", "no year", "no zone"],
)
async def test_a_receiver_says_when_within_bounds(shop, receiver, run_jobs, asked, least, most):
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [answer(429, f"Retry-After: {asked}")]
    await write(shop)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        [at] = await session.scalars(select(WebhookPost.next_attempt_at))
    assert timedelta(seconds=least) < at - now() < timedelta(seconds=most)
    assert await queue_due(shop.runtime) == 0
    assert (await log(shop, hook))[0]["status_code"] == 429


@pytest.mark.parametrize(
    ("misbehave", "state", "code"),
    [
        (cut, "pending", "unreachable"),
        (garbage, "pending", "unreachable"),
        (endless_head, "pending", None),
        (gigabytes, "delivered", None),
        (answer(302, "Location: http://127.0.0.1:1/elsewhere"), "pending", "http_status"),
        (answer(404), "pending", "http_status"),
        (answer(200), "delivered", None),
    ],
    ids=["cut", "garbage", "endless", "gigabytes", "redirect", "missing", "fine"],
)
async def test_receivers_that_misbehave(shop, receiver, run_jobs, misbehave, state, code):
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [misbehave]
    await write(shop)
    await run_jobs()
    [post] = await log(shop, hook)
    assert post["state"] == state
    assert (post["error_code"] is None) == (state == "delivered")
    assert code is None or post["error_code"] == code
    assert [got.path for got in receiver.got] == ["/hook"]
    await later(shop, run_jobs)
    assert (await log(shop, hook))[0]["state"] == "delivered"


async def test_nobody_at_home_and_nobody_who_answers(shop, receiver, run_jobs):
    never = asyncio.Event()
    shop.runtime.poster = Poster(allow=LOOPBACK, seconds=0.3)
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [held(never)]
    await write(shop)
    await run_jobs()
    assert (await log(shop, hook))[0]["error_code"] == "timed_out"
    await shop.http.patch(f"/v1/webhooks/{hook['id']}", json={"url": "http://127.0.0.1:1025/hook"})
    await later(shop, run_jobs)
    assert (await log(shop, hook))[0]["error_code"] == "unreachable"
    never.set()


async def test_one_that_is_gone_is_left_alone(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received", "handoff.created")
    other = await add(shop, receiver, "reply.sent")
    await write(shop)
    receiver.answers = [answer(410)]
    await run_jobs()
    shown = (await shop.http.get(f"/v1/webhooks/{hook['id']}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    states = {post["state"] for post in await log(shop, hook)}
    assert states in ({"failed", "cancelled"}, {"failed"})
    assert (await log(shop, other))[0]["state"] == "delivered"
    told = len(receiver.got)
    await write(shop)
    await later(shop, run_jobs)
    assert len(await log(shop, hook)) <= 2
    refused = await shop.http.post(f"/v1/webhooks/{hook['id']}/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    again = await shop.http.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": True})
    assert (again.json()["enabled"], again.json()["disabled_reason"]) == (True, None)
    await write(shop)
    await run_jobs()
    assert len(receiver.got) > told


async def test_days_of_nothing_but_failures_disable_it(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    receiver.usual = answer(500)
    await write(shop)
    await run_jobs()
    await write(shop)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Webhook).values(failing_since=now() - posting.FAILING_FOR - timedelta(hours=1)))
        first = select(WebhookPost.id).order_by(WebhookPost.id).limit(1)
        await session.execute(
            update(WebhookPost).where(WebhookPost.id.in_(first.scalar_subquery())).values(next_attempt_at=now())
        )
        await session.execute(update(Webhook).values(resume_at=None))
    await queue_due(shop.runtime)
    await run_jobs()
    shown = (await shop.http.get(f"/v1/webhooks/{hook['id']}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "failing")
    assert {post["state"] for post in await log(shop, hook)} == {"cancelled"}
    await shop.http.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": True})
    await write(shop)
    await run_jobs()
    shown = (await shop.http.get(f"/v1/webhooks/{hook['id']}")).json()
    assert shown["enabled"] is True, "it begins anew"


async def test_one_that_fails_again_and_again_is_asked_less_often(shop, receiver, run_jobs):
    await add(shop, receiver, "message.received")
    receiver.usual = answer(500)
    for chat in range(30):
        await write(shop, chat_id=6000 + chat)
    await run_jobs()
    # The others wait for a pause to end, and cost nothing.
    assert len(receiver.got) < 10
    assert await count(shop, WebhookPost.attempts == 0) > 20
    assert await queue_due(shop.runtime) == 0
    receiver.usual = answer(200)
    while await count(shop, WebhookPost.state == "pending"):
        await later(shop, run_jobs)
    assert await count(shop, WebhookPost.state == "delivered") == 30


async def test_a_slow_receiver_holds_up_no_other(shop, receiver, run_jobs):
    release = asyncio.Event()
    receiver.usual = held(release)
    async with receiving() as quick:
        await add(shop, receiver, "message.received")
        await add(shop, quick, "message.received")
        for chat in range(30):
            await write(shop, chat_id=6000 + chat)
        working = asyncio.create_task(
            shop.runtime.queue.app.run_worker_async(
                queues=["inbound", "posts"],
                concurrency=16,
                listen_notify=False,
                fetch_job_polling_interval=0.05,
                install_signal_handlers=False,
                delete_jobs="successful",
                additional_context={"runtime": shop.runtime},
            )
        )
        await until(lambda: _are(quick, 30))
        assert receiver.most_open <= 4
        assert await _jobs(shop) <= 20
        release.set()
        await until(lambda: _are(receiver, 30))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert len({got.id for got in receiver.got}) == 30


async def _are(receiver, number):
    return len(receiver.got) >= number


async def _jobs(shop):
    async with shop.runtime.db.session() as session:
        return await session.scalar(
            text("select count(*) from queue.procrastinate_jobs where queue_name = 'posts' and status = 'todo'")
        )


async def test_a_post_whose_job_is_lost_gets_another(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    await write(shop)
    await run_jobs(once=True)
    async with shop.runtime.db.session() as session:
        await session.execute(text("delete from queue.procrastinate_jobs where queue_name = 'posts'"))
    await run_jobs()
    assert receiver.got == []
    await rescue(shop.runtime, timedelta(0))
    await queue_due(shop.runtime)
    await run_jobs()
    assert (await log(shop, hook))[0]["state"] == "delivered"
    # A second job for the same finds nothing to do.
    assert len(receiver.got) == 1


async def test_a_second_job_does_not_go_before_the_time(shop, receiver, run_jobs):
    await add(shop, receiver, "message.received")
    receiver.answers = [answer(500)]
    await write(shop)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        [post] = await session.scalars(select(WebhookPost.id))
        await session.execute(update(Webhook).values(resume_at=None))
        assert await posting.take(session, shop.runtime.metrics, post) is None


async def test_what_was_taken_though_it_was_cancelled_is_shown_as_delivered(shop, receiver, run_jobs):
    release = asyncio.Event()
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [held(release)]
    await write(shop)
    working = asyncio.create_task(run_jobs())
    await until(lambda: _are(receiver, 1))
    await shop.http.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": False})
    assert [post["state"] for post in await log(shop, hook)] == ["cancelled"]
    release.set()
    await working
    assert [(post["state"], post["status_code"]) for post in await log(shop, hook)] == [("delivered", 204)]


async def test_two_secrets_sign_for_a_day_after_a_rotation(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    rotated = await shop.http.post(f"/v1/webhooks/{hook['id']}/secret")
    assert rotated.headers["cache-control"] == "no-store"
    new = rotated.json()["secret"]
    assert new.startswith("whsec_")
    assert new != hook["secret"]
    await write(shop)
    await run_jobs()
    [got] = receiver.got
    assert got.verified(hook["secret"]) == got.verified(new)
    assert len(got.headers["webhook-signature"].split()) == 2
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Webhook).values(previous_until=now()))
    await write(shop)
    await run_jobs()
    got = receiver.got[-1]
    assert got.verified(new)
    with pytest.raises(WebhookVerificationError):
        got.verified(hook["secret"])


async def test_a_test_has_no_content(shop, receiver, run_jobs):
    hook = await add(shop, receiver, description="CRM")
    asked = await shop.http.post(f"/v1/webhooks/{hook['id']}/test")
    assert (asked.status_code, asked.json()["event"], asked.json()["state"]) == (202, "webhook.test", "pending")
    await run_jobs()
    [got] = receiver.got
    assert (got.verified(hook["secret"])["type"], got.json["data"]) == ("webhook.test", {})
    assert got.id == asked.json()["event_id"]


async def test_the_log_has_pages_and_states(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [answer(500), answer(200), answer(200)]
    for _ in range(3):
        await write(shop)
        await run_jobs()
    path = f"/v1/webhooks/{hook['id']}/deliveries"
    first = (await shop.http.get(path, params={"limit": 2})).json()
    second = (await shop.http.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [post["state"] for post in first["deliveries"]] == ["delivered", "delivered"]
    assert [post["state"] for post in second["deliveries"]] == ["pending"]
    assert second["next_cursor"] is None
    assert len(await log(shop, hook, state="pending")) == 1
    assert (await shop.http.get(path, params={"state": "lost"})).status_code == 422


async def test_a_webhook_is_changed_and_deleted(shop, receiver, run_jobs):
    hook = await add(shop, receiver, "message.received", description="CRM")
    assert (hook["events"], hook["description"], hook["enabled"]) == (["message.received"], "CRM", True)
    path = f"/v1/webhooks/{hook['id']}"
    shown = (await shop.http.get(path)).json()
    assert shown == {name: value for name, value in hook.items() if name != "secret"}
    assert (await shop.http.get("/v1/webhooks")).json()["webhooks"] == [shown]
    changed = (await shop.http.patch(path, json={"events": ["reply.sent"], "description": None})).json()
    assert (changed["events"], changed["description"], changed["url"]) == (["reply.sent"], None, receiver.url)
    receiver.usual = answer(500)
    await write(shop)
    await run_jobs()
    assert receiver.types == ["reply.sent"]
    assert (await shop.http.delete(path)).status_code == 204
    assert (await shop.http.get(path)).status_code == 404
    await later(shop, run_jobs)
    assert (len(receiver.got), await count(shop)) == (1, 0)


async def test_a_webhook_that_is_deleted_while_it_is_posted_to_is_gone(shop, receiver, run_jobs):
    release = asyncio.Event()
    hook = await add(shop, receiver, "message.received")
    receiver.answers = [held(release)]
    await write(shop)
    working = asyncio.create_task(run_jobs())
    await until(lambda: _are(receiver, 1))
    assert (await shop.http.delete(f"/v1/webhooks/{hook['id']}")).status_code == 204
    release.set()
    await working
    assert await count(shop) == 0
