"""Work of before a disconnect: it does not come to life again with what is restored, and holds up no erasure."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from app.channels.delivery import take
from app.conversations import answering
from app.models import Delivery, Message, Turn
from app.privacy import engine
from app.privacy.removal import StillRunning, end_work
from app.simulators.telegram import refused
from tests.privacy.conftest import QUESTION


async def _all(shop, column):
    async with shop.runtime.vault.session(shop.id) as session:
        return list(await session.scalars(select(column)))


async def _away_and_back(shop):
    """Disconnected, restored and connected again, as if by an owner who thought better of it."""
    response = await shop.http.delete(f"/v1/connections/{shop.connection}")
    assert response.status_code == 202
    assert (await shop.http.post(f"/v1/connections/{shop.connection}/restore")).status_code == 200
    assert await shop.connect(shop.agent) == shop.connection


async def test_a_webhook_that_was_not_read_is_read_no_more(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await _away_and_back(shop)
    await run_jobs()
    assert (await _all(shop, Message.id), list(telegram.sent)) == ([], [])
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_a_reply_that_waited_is_sent_no_more(shop, telegram, run_jobs):
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=3600))
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    [delivery] = await _all(shop, Delivery.id)
    assert await _all(shop, Delivery.state) == ["queued"]
    await _away_and_back(shop)
    async with shop.runtime.vault.session(shop.id) as session:
        assert await take(session, shop.runtime, delivery) is None
    assert (await _all(shop, Delivery.state), list(telegram.sent)) == (["cancelled"], [])


async def test_an_answer_that_was_being_made_is_sent_no_more(shop, telegram, run_jobs, monkeypatch):
    drafted, go_on, run = asyncio.Event(), asyncio.Event(), answering.run

    async def slow(*arguments):
        drafted.set()
        await go_on.wait()
        return await run(*arguments)

    monkeypatch.setattr(answering, "run", slow)
    await shop.write(shop.connection, QUESTION)
    working = asyncio.create_task(run_jobs())
    await asyncio.wait_for(drafted.wait(), 30)
    await _away_and_back(shop)
    go_on.set()
    await working
    assert list(telegram.sent) == []
    assert set(await _all(shop, Turn.state)) <= {"skipped", "superseded"}


@pytest.fixture
async def erasure(shop):
    """An erasure of the connection that runs, its rows gone already."""
    response = await shop.http.delete(f"/v1/connections/{shop.connection}", params={"days": 0})
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(text("delete from tenant.connections"))
        await session.execute(text("delete from queue.procrastinate_jobs"))
    return await engine.load(shop.runtime, UUID(response.json()["id"]))


async def _add_job(shop, status):
    arguments = {"tenant": str(shop.id), "message": str(uuid4()), "status": status}
    async with shop.runtime.db.session() as session:
        await session.execute(
            text(
                "insert into queue.procrastinate_jobs (queue_name, task_name, args, status) values ('answers', 'x',"
                " jsonb_build_object('tenant_id', cast(:tenant as text), 'message_id', cast(:message as text)),"
                " cast(:status as queue.procrastinate_job_status))"
            ),
            arguments,
        )


async def _jobs(shop):
    async with shop.runtime.db.session() as session:
        return list(await session.scalars(text("select cast(status as text) from queue.procrastinate_jobs")))


async def test_waiting_work_goes_at_once_and_running_work_is_waited_for(shop, erasure):
    for status in ("todo", "doing", "failed"):
        await _add_job(shop, status)
    with pytest.raises(StillRunning):
        await end_work(shop.runtime, erasure, seconds=0.2)
    assert await _jobs(shop) == ["doing"]
    waiting = asyncio.create_task(end_work(shop.runtime, erasure, seconds=30))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    async with shop.runtime.db.session() as session:
        await session.execute(text("delete from queue.procrastinate_jobs"))
    await asyncio.wait_for(waiting, 30)
