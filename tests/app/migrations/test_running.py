"""Migrations beside a service that runs: old code on a new schema, locks, many at once, code that is behind."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from app.db import DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres
from app.errors import ConfigurationError
from app.migrations import runner
from app.migrations.history import known
from app.migrations.runner import DatabaseBusy, OldProcessesRun, migrate
from app.migrations.server import check_server
from tests.app.conversations.test_answering import shop

__all__ = ["shop"]


async def _journeys(shop, telegram, run_jobs, round_number):
    """A DM that is answered, and a document that is found."""
    sent = len(telegram.sent)
    question = "How many days do I have to return an item?"
    assert (await shop.write(shop.connection, question, chat_id=500 + round_number)).status_code == 200
    added = await shop.add_text(f"Socks {round_number}", f"Socks of kind {round_number} are made of wool.")
    await run_jobs()
    assert ["30 days" in call.text for call in list(telegram.sent)[sent:]] == [True]
    assert (await shop.document(added["id"]))["status"] == "ready"
    assert any("wool" in passage["text"] for passage in await shop.search("What are socks made of?"))


async def test_old_code_runs_on_the_new_schema(
    shop, telegram, run_jobs, admin, address, next_release, this_release, runtime
):
    """Once before, so that statements are prepared and plans cached on the connections that live on, and once after."""
    pre, post = next_release
    for round_number in range(3):
        await _journeys(shop, telegram, run_jobs, round_number)
    done = await asyncio.to_thread(lambda: migrate(admin, stage="pre"))
    assert (done.applied, done.waiting) == ((pre,), (post,))
    for round_number in range(3, 5):
        await _journeys(shop, telegram, run_jobs, round_number)
    with pytest.raises(OldProcessesRun):
        await asyncio.to_thread(lambda: migrate(admin, stage="post"))
    this_release()
    await asyncio.to_thread(check_server, address)
    await _journeys(shop, telegram, run_jobs, 5)


def test_code_that_is_behind_leaves_a_newer_database_alone(admin, address, next_release, this_release):
    _, post = next_release
    migrate(admin)
    this_release()
    for stage in (None, "pre", "post"):
        done = migrate(admin, "another-password", stage=stage)
        assert (done.applied, done.newer) == ((), post)
        assert "newer than this release" in str(done)
    # The password is as it was, too.
    check_server(address)


def test_new_code_does_not_start_on_an_old_schema(admin, address, next_release):
    pre, _ = next_release
    with pytest.raises(ConfigurationError, match=f"lacks {pre}.*jobx migrate"):
        check_server(address)
    migrate(admin, stage="pre")
    check_server(address)


def test_many_processes_may_migrate_at_once(empty, add_revision):
    slow = add_revision("pre", 'op.execute("select pg_sleep(0.3)")\nop.execute("create table tenant.once (id uuid)")')
    with ThreadPoolExecutor(6) as threads:
        done = list(threads.map(lambda _: migrate(empty, "password-of-jobx-app"), range(6)))
    assert sorted(len(one.applied) for one in done) == [0] * 5 + [len(known().revisions)]
    with psycopg.connect(empty.conninfo()) as connection:
        assert connection.execute("select version_num from platform.alembic_version").fetchone() == (slow,)


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(runner, "_WAIT_SECONDS", 0.1)


def test_a_long_transaction_holds_up_the_migration_and_nobody_else(admin, next_release, hurried):
    with psycopg.connect(admin.conninfo()) as long, psycopg.connect(admin.conninfo(), autocommit=True) as other:
        long.execute("select count(*) from tenant.messages")
        # Queued behind a migration that waits, these would wait as well; each may take as long as one of its tries.
        other.execute("set lock_timeout = '5s'")
        thread = threading.Thread(target=lambda: migrate(admin, stage="pre"))
        thread.start()
        for _ in range(30):
            other.execute("select count(*) from tenant.messages")
        assert thread.is_alive()
        long.rollback()
        thread.join(30)
        assert not thread.is_alive()
        assert other.execute("select version_num from platform.alembic_version").fetchone() == (next_release[0],)


def test_a_lock_that_never_comes_is_given_up_with_nothing_changed(admin, next_release, hurried, monkeypatch):
    monkeypatch.setattr(runner, "_TRIES", 3)
    before = known().revisions[-3].id
    with psycopg.connect(admin.conninfo()) as long:
        long.execute("select count(*) from tenant.messages")
        with pytest.raises(DatabaseBusy):
            migrate(admin, stage="pre")
        assert long.execute("select version_num from platform.alembic_version").fetchone() == (before,)
    assert migrate(admin, stage="pre").applied == (next_release[0],)


def test_an_administrator_without_superuser_migrates(tmp_path):
    """What CREATEROLE gives changed with PostgreSQL 16; the second server is an older one, so both are tried."""
    with EmbeddedPostgres(tmp_path) as server:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as host:
            assert host.info.server_version >= 160000
            host.execute("create role hosted login createrole createdb password 'x'")
            host.execute("create database jobx owner hosted")
        address = DatabaseAddress(replace(server, user="hosted", password="x").sqlalchemy_url("jobx"))
        assert migrate(address).applied
        assert migrate(address, stage="post").applied == ()
        check_server(address)
        with psycopg.connect(server.dsn("jobx"), autocommit=True) as host:
            host.execute("alter role jobx_app login password 'y'")
        check_server(address.as_app("y"))
        with pytest.raises(ConfigurationError, match="jobx_app cannot prepare the database"):
            migrate(address.as_app("y"))
