"""Promise 5: what has had its time goes by itself; how much that is can be seen before."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from app import privacy_cli
from app.models import Contact, Conversation, Erasure, InboundEvent, Message, StoredResponse, now
from app.privacy import erasure, retention
from app.privacy.inventory import places
from app.privacy.places import RULES, TERMS
from app.privacy.replay import Asker
from app.privacy.tasks import plan_retention
from tests.privacy.conftest import QUESTION


async def _age(tenant, model, days, *where):
    async with tenant.runtime.vault.session(tenant.id) as session:
        values = {"created_at": now() - timedelta(days=days)}
        if model is Conversation:
            values["last_message_at"] = values["created_at"]
        await session.execute(update(model).where(*where).values(**values))


async def _count(tenant, model):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return await session.scalar(select(func.count()).select_from(model))


async def _run(tenant, run_jobs):
    """As the job of the hour does it."""
    await plan_retention(tenant.runtime)
    async with tenant.runtime.db.session() as session:
        now_due = "update queue.procrastinate_jobs set scheduled_at = null where task_name = 'privacy:retain'"
        await session.execute(text(now_due))
    await run_jobs()


async def _rules(tenant, **parameters):
    answer = await tenant.http.get("/v1/account/retention", params=parameters)
    assert answer.status_code == 200
    return {rule["data"]: rule for rule in answer.json()["rules"]}


def test_every_rule_of_the_inventory_that_goes_by_time_is_carried_out():
    assert set(TERMS) == {"conversations", *retention._OLD}
    assert {place.retention for place in places()} == set(RULES)


async def test_a_conversation_goes_with_its_customer_when_it_has_had_its_time(shop, telegram, run_jobs):
    for chat in (1, 2):
        await shop.write(shop.connection, QUESTION, chat_id=chat)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        old = await session.scalar(select(Conversation).order_by(Conversation.id).limit(1))
    await _age(shop, Conversation, 729, Conversation.id == old.id)
    await _run(shop, run_jobs)
    assert await _count(shop, Conversation) == 2
    await _age(shop, Conversation, 731, Conversation.id == old.id)

    rule = (await _rules(shop))["conversations"]
    assert (rule["days"], rule["least"], rule["most"], rule["due"]) == (730, 1, 1095, 1)
    assert rule["oldest"] < (now() - timedelta(days=730)).isoformat()
    assert await _count(shop, Conversation) == 2

    await _run(shop, run_jobs)

    assert [await _count(shop, model) for model in (Conversation, Contact, Message)] == [1, 1, 2]
    (erasure,) = (await shop.http.get("/v1/erasures")).json()["erasures"]
    assert (erasure["scope"], erasure["state"]) == ("expired", "done")
    assert erasure["receipt"]["erased"]["tenant.messages"] == 2
    assert (await _rules(shop))["conversations"]["due"] == 0


async def test_a_customer_with_a_younger_conversation_stays(shop, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        known = await session.scalar(select(Contact))
        session.add(
            Conversation(
                connection_id=known.connection_id,
                contact_id=known.id,
                provider_hash=b"another",
                provider_id="another",
                last_message_at=now(),
            )
        )
    await _age(shop, Conversation, 800, Conversation.provider_hash != b"another")
    await _run(shop, run_jobs)
    assert [await _count(shop, model) for model in (Conversation, Contact, Message)] == [1, 1, 0]


async def test_a_customer_who_writes_again_begins_anew(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    await _age(shop, Conversation, 800)
    await retention.retain(shop.runtime.vault, shop.runtime, shop.id)
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert [await _count(shop, model) for model in (Conversation, Contact, Message)] == [1, 1, 2]
    assert len(telegram.sent) == 2


@pytest.mark.parametrize("days", [1, 90, 1095])
async def test_a_tenant_sets_its_own_time(shop, run_jobs, days):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    await _age(shop, Conversation, days + 1)
    assert (await _rules(shop, conversations_days=days))["conversations"]["due"] == 1
    assert (await _rules(shop))["conversations"]["days"] == 730
    answer = await shop.http.put("/v1/account/retention", json={"conversations_days": days})
    assert answer.json()["rules"][0]["days"] == days
    await _run(shop, run_jobs)
    assert await _count(shop, Conversation) == 0
    answer = await shop.http.put("/v1/account/retention", json={"conversations_days": None})
    assert answer.json()["rules"][0]["days"] == 730


@pytest.mark.parametrize("days", [0, -1, 1096])
async def test_a_time_outside_of_the_limits_is_refused(shop, days):
    for answer in (
        await shop.http.put("/v1/account/retention", json={"conversations_days": days}),
        await shop.http.get("/v1/account/retention", params={"conversations_days": days}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "retention_out_of_bounds")


@pytest.mark.parametrize("days", [True, 1.0, "1"])
async def test_a_time_is_a_whole_number_of_days(shop, days):
    assert (await shop.http.put("/v1/account/retention", json={"conversations_days": days})).status_code == 422


async def test_what_is_left_over_of_events_requests_and_jobs_goes(shop, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    async with shop.runtime.db.session() as session:
        for old, state, whose in (
            (True, "failed", "tenant_id"),
            (True, "todo", "tenant_id"),
            (False, "failed", "tenant_id"),
            (True, "failed", "erasure_id"),
            (False, "failed", "erasure_id"),
        ):
            added = text(
                "insert into queue.procrastinate_jobs (queue_name, task_name, args, scheduled_at)"
                " values ('nobody', 'nothing', jsonb_build_object(cast(:whose as text), cast(:tenant as text)),"
                " now() + interval '1 day') returning id"
            )
            job = await session.scalar(added, {"tenant": str(shop.id), "whose": whose})
            ended = text(
                "update queue.procrastinate_jobs"
                " set status = cast(:state as text)::queue.procrastinate_job_status where id = :job"
            )
            await session.execute(ended, {"job": job, "state": state})
            # The queue's triggers note when a job's state changed; that is what is moved.
            moved = text("update queue.procrastinate_events set at = at - interval '31 days' where job_id = :job")
            if old:
                await session.execute(moved, {"job": job})
    for _ in range(2):
        made = await shop.http.post("/v1/agents", json={"name": "Mia"}, headers={"Idempotency-Key": "once"})
        assert made.status_code == 201
    replays = await _count(shop, StoredResponse)
    assert replays == 1
    await _age(shop, InboundEvent, 31)
    await _age(shop, StoredResponse, 2)
    rules = await _rules(shop)
    assert {name: rules[name]["due"] for name in ("events", "replays", "jobs")} == {
        "events": 1,
        "replays": replays,
        "jobs": 1,
    }

    await _run(shop, run_jobs)

    assert [await _count(shop, model) for model in (InboundEvent, StoredResponse)] == [0, 0]
    async with shop.runtime.db.session() as session:
        left = await session.scalars(text("select status from queue.procrastinate_jobs where queue_name = 'nobody'"))
        assert sorted(left) == ["failed", "failed", "todo"]


async def test_another_tenant_s_time_is_its_own(shop, make_tenant, run_jobs):
    other = await make_tenant("Other")
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    await _age(shop, Conversation, 10)
    assert (await other.http.put("/v1/account/retention", json={"conversations_days": 1})).status_code == 200
    await _run(shop, run_jobs)
    assert await _count(shop, Conversation) == 1
    assert (await _rules(other))["conversations"]["days"] == 1


async def test_it_is_planned_once(shop):
    assert await plan_retention(shop.runtime)
    assert not await plan_retention(shop.runtime)


async def test_a_message_that_comes_while_its_customer_is_being_erased_is_not_lost(
    shop, telegram, run_jobs, monkeypatch
):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        contact = await session.scalar(select(Contact.id))
    begun, go_on = asyncio.Event(), asyncio.Event()
    cut_loose = erasure._erase_conversations

    async def slowly(*args):
        begun.set()
        await go_on.wait()
        return await cut_loose(*args)

    monkeypatch.setattr(erasure, "_erase_conversations", slowly)
    erasing = asyncio.create_task(shop.http.delete(f"/v1/contacts/{contact}"))
    await begun.wait()
    # It waits for the moment that the erasure takes to be asked for, and finds no such customer any more.
    writing = asyncio.create_task(shop.write(shop.connection, QUESTION))
    await asyncio.sleep(0.3)
    assert not writing.done()
    go_on.set()
    assert ((await erasing).status_code, (await writing).status_code) == (202, 200)
    await run_jobs()
    assert [await _count(shop, model) for model in (Contact, Conversation, Message)] == [1, 1, 2]
    assert len(telegram.sent) == 2
    async with shop.runtime.vault.session(shop.id) as session:
        assert await session.scalar(select(Contact.id)) != contact
        assert list(await session.scalars(select(Erasure.state))) == ["done"]


async def test_the_command_counts_before_it_lets_go(shop, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    await _age(shop, Conversation, 800)
    asker = Asker(shop.runtime.queue, shop.runtime.settings)
    count, oldest = (await privacy_cli._retain(shop.runtime.vault, asker, dry_run=True))["conversations"]
    assert (count, oldest < now() - timedelta(days=799)) == (1, True)
    assert await _count(shop, Erasure) == 0
    await privacy_cli._retain(shop.runtime.vault, asker, dry_run=False)
    await run_jobs()
    assert await _count(shop, Conversation) == 0
