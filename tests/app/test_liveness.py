"""A worker that dies is noticed by its lock; one that is only silent is not, nor is a restart of the server a death."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

import psycopg
import pytest

from app import liveness
from app.db import DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres
from app.liveness import SPACE, Liveness
from app.migrations.runner import migrate
from app.queue import Queue

PASSWORD = "password-of-jobx-app"
WORKER = """
import asyncio, sys
from app.db import DatabaseAddress
from app.queue import Queue

async def main():
    queue = Queue(DatabaseAddress(sys.argv[1]))
    async with queue.app.open_async(), queue.alive():
        print(await queue.app.job_manager.register_worker(), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
OPTIONS = "-c search_path=queue"


class Jobs:
    """The queue's tables, by an administrator's connection that is opened for each question."""

    def __init__(self, admin):
        self._dsn = admin.url.replace("+psycopg", "")

    def run(self, statement, *values):
        with psycopg.connect(self._dsn, autocommit=True, options=OPTIONS) as connection:
            found = connection.execute(statement, values)
            row = found.fetchone() if found.description else None
            return row and row[0]

    def begin(self, worker):
        """A job that a worker runs; returns its id."""
        values = "values ('nobody', 'none', 'doing', %s) returning id"
        return self.run(f"insert into procrastinate_jobs (queue_name, task_name, status, worker_id) {values}", worker)

    def is_running(self, job):
        return self.run("select status = 'doing' from procrastinate_jobs where id = %s", job)

    def silent_for(self, worker, seconds):
        statement = "update procrastinate_workers set last_heartbeat = now() - make_interval(secs => %s) where id = %s"
        self.run(statement, seconds, worker)

    def is_held(self, worker):
        query = "select count(*) > 0 from pg_locks where locktype = 'advisory' and classid = %s and objid = %s"
        return self.run(query, SPACE, worker)


@pytest.fixture
def jobs(admin):
    return Jobs(admin)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """As ever, but sooner."""
    monkeypatch.setattr(liveness, "_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(liveness, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(liveness, "SETTLED_SECONDS", 1.0)


@pytest.fixture
def process(address, jobs):
    """A process with one worker, and the worker's id, once its lock is held."""
    with subprocess.Popen([sys.executable, "-c", WORKER, address.url], stdout=subprocess.PIPE) as started:
        worker = int(started.stdout.readline())
        yield started, worker
        with suppress(ProcessLookupError):
            started.kill()


@pytest.fixture
async def other(address):
    """Another process's worker, here, which takes over what the dead leave."""
    queue = Queue(address)
    async with queue.app.open_async(), queue.alive():
        await queue.app.job_manager.register_worker()
        yield queue


async def test_the_job_of_a_killed_worker_is_taken_over(process, other, jobs):
    started, worker = process
    await until(lambda: jobs.is_held(worker))
    job = jobs.begin(worker)
    await asyncio.sleep(2.5)
    assert jobs.is_running(job)
    started.kill()
    await until(lambda: not jobs.is_running(job), 10)
    silent = "select extract(epoch from now() - last_heartbeat)::float8 from procrastinate_workers where id = %s"
    assert jobs.run(silent, worker) < 15
    assert jobs.run("select attempts from procrastinate_jobs where id = %s", job) == 1


async def test_a_worker_that_is_stopped_keeps_its_job_until_it_was_silent_for_long(process, other, jobs):
    started, worker = process
    await until(lambda: jobs.is_held(worker))
    started.send_signal(signal.SIGSTOP)
    job = jobs.begin(worker)
    jobs.silent_for(worker, 20)
    await asyncio.sleep(2.5)
    assert await other.release_stalled(30) == 0
    assert jobs.is_running(job)
    jobs.silent_for(worker, 31)
    assert await other.release_stalled(30) == 1
    assert not jobs.is_running(job)


async def test_a_worker_that_beats_keeps_its_job_without_a_lock(other, jobs):
    worker = jobs.run("insert into procrastinate_workers default values returning id")
    job = jobs.begin(worker)
    for _ in range(15):
        jobs.silent_for(worker, 0.5)
        await asyncio.sleep(0.1)
        assert jobs.is_running(job)
    await until(lambda: not jobs.is_running(job), 10)


async def test_a_worker_that_ends_leaves_no_lock(address, jobs):
    queue = Queue(address)
    async with queue.app.open_async(), queue.alive():
        worker, staying = [await queue.app.job_manager.register_worker() for _ in range(2)]
        await until(lambda: jobs.is_held(worker) and jobs.is_held(staying))
        await queue.app.job_manager.unregister_worker(worker)
        await until(lambda: not jobs.is_held(worker))
        assert jobs.is_held(staying)
    await until(lambda: not jobs.is_held(staying))


async def test_a_session_that_breaks_is_opened_anew(other, jobs):
    worker = jobs.run("select id from procrastinate_workers")
    await until(lambda: jobs.is_held(worker))
    holder = "select pid from pg_locks where locktype = 'advisory' and classid = %s and objid = %s"
    pid = jobs.run(holder, SPACE, worker)
    jobs.run("select pg_terminate_backend(%s)", pid)
    await until(lambda: jobs.is_held(worker) and jobs.run(holder, SPACE, worker) != pid)


@pytest.fixture
def own_server(tmp_path):
    """A server that may crash: the administrator's address, and the service's."""
    with EmbeddedPostgres(tmp_path) as server:
        admin = DatabaseAddress(server.sqlalchemy_url("postgres"))
        migrate(admin, PASSWORD)
        yield admin, admin.as_app(PASSWORD)


class _SlowToReturn(Liveness):
    """Whose session is back two seconds after it broke, and not within the grace."""

    async def _close(self):
        await super()._close()
        await asyncio.sleep(2)


@pytest.mark.parametrize(("settled", "kept"), [(4.0, True), (0.0, False)], ids=["settled", "at once"])
async def test_after_a_crash_of_the_server_nobody_is_missed_who_had_no_time_to_return(
    own_server, monkeypatch, settled, kept
):
    """The second case shows what the rule prevents."""
    monkeypatch.setattr(liveness, "SETTLED_SECONDS", settled)
    admin, address = own_server
    jobs = Jobs(admin)
    worker, rescuer = (jobs.run("insert into procrastinate_workers default values returning id") for _ in range(2))
    keeping = [
        asyncio.create_task(one.keep()) for one in (_SlowToReturn(address, {worker}), Liveness(address, {rescuer}))
    ]
    try:
        await until(lambda: jobs.is_held(worker) and jobs.is_held(rescuer))
        job = jobs.begin(worker)
        crash = "select pid from pg_stat_activity where backend_type = 'checkpointer'"
        os.kill(jobs.run(crash), signal.SIGKILL)
        await until(lambda: _answers(jobs, rescuer), 20)
        jobs.silent_for(worker, 5)
        if kept:
            await until(lambda: jobs.is_held(worker), 20)
            await asyncio.sleep(settled)
            assert jobs.is_running(job)
        else:
            await until(lambda: not jobs.is_running(job), 2)
            assert not jobs.is_held(worker)
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


def _answers(jobs, worker):
    try:
        return jobs.is_held(worker)
    except psycopg.OperationalError:
        return False


async def until(condition, seconds=20.0):
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")
