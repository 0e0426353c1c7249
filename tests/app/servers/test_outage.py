"""A server that dies, is full, read-only or silent in the middle of work: 503, nothing lost, recovery by itself."""

import asyncio
import os
import signal

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from app import worker
from app.db import Database, DatabaseUnavailable, is_unavailable
from app.main import create_app
from app.models import InboundEvent, new_id
from app.simulators.telegram import text_update
from tests.app.conversations.test_answering import shop
from tests.app.events.streams import serving, streaming
from tests.app.servers.hosted import ADMIN

__all__ = ["shop"]
QUESTION = "How many days do I have to return an item?"


async def _write(shop, number):
    return await shop.post(shop.connection, text_update(number, QUESTION, update_id=number, message_id=number))


async def _events(shop):
    async with shop.runtime.vault.session(shop.id) as session:
        return await session.scalar(select(func.count()).select_from(InboundEvent))


def _is_unavailable(response):
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")


async def _until(condition, seconds=40):
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is in a database
            await asyncio.sleep(0.05)


async def test_a_webhook_while_the_server_is_away_is_refused_and_taken_when_it_is_back(shop, postgres):
    assert (await _write(shop, 1)).status_code == 200
    postgres.stop()
    for _ in range(3):
        _is_unavailable(await _write(shop, 2))
    with pytest.raises(OperationalError):
        await shop.runtime.db.ping()
    await asyncio.to_thread(postgres.start)
    assert (await _write(shop, 2)).status_code == 200
    assert await _events(shop) == 2


async def test_connections_that_lay_idle_while_the_server_restarted_cost_no_request(shop, postgres):
    await asyncio.gather(*(_write(shop, number) for number in range(1, 9)))
    postgres.stop()
    await asyncio.to_thread(postgres.start)
    assert [(await _write(shop, number)).status_code for number in range(9, 19)] == [200] * 10


async def test_a_stream_outlives_the_server_and_misses_nothing(shop, postgres):
    async with serving(create_app(shop.runtime)) as web, streaming(web, shop.key) as stream:
        await _noted(shop, first := new_id())
        assert (await stream.next()).data["conversation_id"] == str(first)
        # Committed, and the server is gone before anybody was told; then another, once it is back.
        await _noted(shop, second := new_id())
        postgres.stop()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.start)
        await _noted(shop, third := new_id())
        found = [await stream.next(30), await stream.next(30)]
    assert [event.data["conversation_id"] for event in found] == [str(second), str(third)]


async def _noted(shop, one):
    async with shop.runtime.db.session(shop.id) as session:
        await session.execute(
            text("select tenant.tell('conversation.updated', :tenant, :one, :one, null, null)"),
            {"tenant": shop.id, "one": one},
        )


async def test_backends_that_are_killed_lose_no_acknowledged_event(shop, host, admin):
    """As a provider does: what was not acknowledged is sent again, until it is."""
    stop = asyncio.Event()

    async def kill():
        while not stop.is_set():
            query = (
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"
            )
            await asyncio.to_thread(host.execute, query, (admin.database,))
            await asyncio.sleep(0.05)

    async def deliver(number):
        for attempt in range(40):
            response = await _write(shop, number)
            if response.status_code == 200:
                return attempt
            _is_unavailable(response)
            await asyncio.sleep(0.01 * attempt)
        raise AssertionError("never acknowledged")

    killing = asyncio.create_task(kill())
    attempts = []
    try:
        for start in range(1, 31, 10):
            attempts += await asyncio.gather(*(deliver(number) for number in range(start, start + 10)))
    finally:
        stop.set()
        await killing
    assert sum(attempts) > 0
    assert await _events(shop) == 30


async def test_a_worker_goes_on_when_the_server_restarts_under_it(shop, telegram, postgres, monkeypatch):
    monkeypatch.setattr(worker, "STALLED_SECONDS", 2.0)
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.5)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run_worker(shop.runtime, stop))

    async def answered(*chats):
        return {sent.chat_id for sent in telegram.sent} >= {str(chat) for chat in chats}

    try:
        assert (await _write(shop, 101)).status_code == 200
        await _until(lambda: answered(101))
        for chat in (102, 103, 104):
            assert (await _write(shop, chat)).status_code == 200
        postgres.stop()
        await asyncio.sleep(1)
        assert not running.done()
        await asyncio.to_thread(postgres.start)
        assert (await _write(shop, 105)).status_code == 200
        await _until(lambda: answered(102, 103, 104, 105))
    finally:
        stop.set()
        await running
    assert len(telegram.sent) == 5


async def test_a_full_server_is_unavailable_and_then_serves(shop, host, address):
    fresh = Database(address, pool_size=1)
    host.execute(f"alter role {ADMIN} connection limit 0")
    try:
        with pytest.raises(DatabaseUnavailable):
            async with fresh.session() as session:
                await session.execute(text("select 1"))
    finally:
        host.execute(f"alter role {ADMIN} connection limit -1")
    async with fresh.session() as session:
        assert await session.scalar(text("select 1")) == 1
    await fresh.close()


async def test_a_server_that_takes_no_writes_is_unavailable_and_then_serves(shop, host):
    async def read_only(value):
        host.execute(f"alter system set default_transaction_read_only = {value}")
        host.execute("select pg_reload_conf()")

        async def seen():
            async with shop.runtime.db.session() as session:
                return await session.scalar(text("show transaction_read_only")) == value

        await _until(seen)

    assert (await _write(shop, 1)).status_code == 200
    await read_only("on")
    try:
        _is_unavailable(await _write(shop, 2))
    finally:
        host.execute("set default_transaction_read_only = off")
        await read_only("off")
    assert (await _write(shop, 2)).status_code == 200
    assert await _events(shop) == 2


async def test_a_silent_server_is_noticed_by_the_ping_and_forgiven(address, monkeypatch):
    monkeypatch.setattr("app.db._PING_SECONDS", 0.3)
    db = Database(address, pool_size=1, overflow=0)
    async with db.session() as session:
        pid = await session.scalar(text("select pg_backend_pid()"))
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):
            with pytest.raises(TimeoutError):
                await db.ping()
    finally:
        os.kill(pid, signal.SIGCONT)
    await db.ping()
    await db.close()


async def test_a_pool_without_a_free_connection_is_unavailable(address):
    db = Database(address, pool_size=1, overflow=0)
    db.engine.sync_engine.pool._timeout = 0.1
    async with db.session() as session:
        await session.execute(text("select 1"))
        with pytest.raises(DatabaseUnavailable):
            async with db.session() as second:
                await second.execute(text("select 1"))
    await db.close()


def test_what_is_the_servers_trouble_and_what_is_ours():
    for trouble in (psycopg.errors.DiskFull(), psycopg.errors.AdminShutdown(), psycopg.errors.TooManyConnections()):
        assert is_unavailable(trouble)
    for ours in (psycopg.errors.UniqueViolation(), psycopg.errors.UndefinedTable(), ValueError(), KeyError()):
        assert not is_unavailable(ours)


async def test_a_mistake_of_ours_stays_what_it_is(db):
    with pytest.raises(ProgrammingError, match="does not exist"):
        async with db.session() as session:
            await session.execute(text("select * from nowhere"))
