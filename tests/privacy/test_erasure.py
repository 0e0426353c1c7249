"""Promise 2: what is erased stops at once, and then is gone, whatever happens meanwhile."""

from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from app.models import (
    Connection,
    ConnectionKey,
    Contact,
    Conversation,
    Delivery,
    Handoff,
    InboundEvent,
    Message,
    Turn,
)
from app.privacy import engine, proofkey, receipts
from app.privacy.tasks import start_due
from app.simulators.faults import slow
from app.simulators.telegram import refused
from tests.privacy.conftest import QUESTION

OF_CONNECTION = (Contact, Conversation, Delivery, Handoff, InboundEvent, Message, Turn, Connection, ConnectionKey)


@pytest.fixture
async def shop(shop):
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Connection).values(retention="immediate"))
    return shop


async def _counts(shop):
    async with shop.runtime.db.session(shop.id) as session:
        return {
            model.__name__: await session.scalar(select(func.count()).select_from(model)) for model in OF_CONNECTION
        }


async def _jobs(shop):
    async with shop.runtime.db.session() as session:
        return [row._mapping for row in await session.execute(text("select * from queue.procrastinate_jobs"))]


async def _disconnect(shop, **parameters):
    response = await shop.http.delete(f"/v1/connections/{shop.connection}", params=parameters)
    assert response.status_code == 202, response.text
    return response.json()


async def _read(shop, erasure):
    return (await shop.http.get(f"/v1/erasures/{erasure['id']}")).json()


async def test_a_disconnect_erases_the_connection_and_leaves_a_receipt(shop, telegram, run_jobs):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    erasure = await _disconnect(shop)
    assert (erasure["state"], erasure["scope"], erasure["target_id"]) == ("running", "connection", shop.connection)
    assert (await shop.http.get(f"/v1/connections/{shop.connection}")).json()["state"] == "erasing"
    await run_jobs()
    assert set((await _counts(shop)).values()) == {0}
    assert not telegram.webhooks
    assert await _jobs(shop) == []
    assert (await shop.http.get(f"/v1/connections/{shop.connection}")).status_code == 404
    done = await _read(shop, erasure)
    assert (done["state"], done["revocation"], done["target_id"]) == ("done", "confirmed", None)
    assert done["receipt"]["erased"]["tenant.messages"] == 2
    assert done["receipt"]["remaining"] == 0
    receipts.verify(
        done["receipt"], receipts.public_key(await proofkey.find(shop.runtime.storage, shop.runtime.vault.master))
    )
    assert shop.connection not in str(done)
    assert await shop.connect(shop.agent) != shop.connection


async def test_disconnecting_twice_is_one_erasure(shop, run_jobs):
    assert (await _disconnect(shop))["id"] == (await _disconnect(shop))["id"]
    await run_jobs()
    assert (await shop.http.delete(f"/v1/connections/{shop.connection}")).status_code == 404


async def test_other_connections_and_tenants_keep_everything(shop, make_tenant, telegram, run_jobs):
    other = await make_tenant("Other")
    other.connection = await other.connect(await other.add_agent(), "7000000002:" + "other-simulated-" * 3)
    second = await shop.connect(shop.agent, "7000000003:" + "third-simulated-" * 3)
    for owner, connection in ((shop, shop.connection), (shop, second), (other, other.connection)):
        await owner.write(connection, QUESTION)
    await run_jobs()
    await _disconnect(shop)
    await run_jobs()
    assert (await _counts(shop))["Message"] == 2
    assert (await _counts(other))["Message"] == 2
    assert len(telegram.webhooks) == 2


@pytest.mark.parametrize("done", range(len(engine.STEPS)))
async def test_a_crash_between_any_two_steps_loses_nothing(shop, telegram, run_jobs, done):
    await shop.write(shop.connection, QUESTION)
    await run_jobs()
    erasure = await _disconnect(shop)
    async with shop.runtime.db.session() as session:
        await session.execute(text("delete from queue.procrastinate_jobs"))
    for step in engine.STEPS[:done]:
        await step(shop.runtime, await engine.load(shop.runtime, UUID(erasure["id"])))
    assert await start_due(shop.runtime) == 1
    assert await start_due(shop.runtime) == 0
    await run_jobs()
    assert set((await _counts(shop)).values()) == {0}
    read = await _read(shop, erasure)
    assert (read["state"], read["revocation"]) == ("done", "confirmed")
    assert read["receipt"]["erased"]["tenant.messages"] == 2


async def test_a_provider_that_is_down_holds_nothing_up(shop, telegram, run_jobs, monkeypatch):
    monkeypatch.setattr("app.privacy.revocation.SECONDS", 0.5)
    telegram.fail("getWebhookInfo", *[refused(500, "down")] * 50)
    erasure = await _disconnect(shop)
    await run_jobs()
    assert set((await _counts(shop)).values()) == {0}
    assert (await _read(shop, erasure))["receipt"]["revocation"] == "unconfirmed"


async def test_a_provider_that_says_nothing_holds_nothing_up(shop, telegram, run_jobs, monkeypatch):
    monkeypatch.setattr("app.privacy.revocation.SECONDS", 0.5)
    telegram.fail("getWebhookInfo", *[slow(5)] * 3)
    erasure = await _disconnect(shop)
    await run_jobs()
    assert (await _read(shop, erasure))["receipt"]["revocation"] == "unconfirmed"
