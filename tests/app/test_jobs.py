"""Jobs: what they carry, how they end, and that one which its worker has no time for is handed back."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import procrastinate
import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from sqlalchemy import select, text

from app import worker as workers
from app.channels.providers.telegram import Telegram
from app.models import Delivery, Turn
from app.queue import ANSWERS, MAX_ATTEMPTS, Queue, job
from app.simulators.telegram import refused
from tests.app.tracing import logged_lines, recorded_spans

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
QUESTION = "How many days do I have to return an item?"
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@pytest.fixture
async def shop(tenant, run_jobs):
    await tenant.add_text("Returns", RETURNS)
    await run_jobs()
    tenant.connection = await tenant.connect(await tenant.add_agent())
    return tenant


@pytest.fixture
def change_jobs(admin):
    def change(statement):
        with psycopg.connect(admin.url.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(f"update queue.procrastinate_jobs {statement}").rowcount

    return change


async def _jobs(shop):
    return list(await shop.runtime.queue.app.job_manager.list_jobs_async())


async def test_arguments_are_ids_and_a_trace_and_nothing_else(shop, telegram, run_jobs):
    seen = set()
    telegram.fail("sendMessage", refused(429, "Too Many Requests", retry_after=0))
    await shop.add_text("Hours", "The shop opens at nine.")
    await shop.write(shop.connection, QUESTION)
    while jobs := [one for one in await _jobs(shop) if one.status == "todo"]:
        for one in jobs:
            seen.add(one.task_name)
            arguments = dict(one.task_kwargs)
            assert TRACEPARENT.fullmatch(arguments.pop("trace"))
            assert all(str(UUID(value)) == value for value in arguments.values())
        await run_jobs(once=True)
    assert {"documents:ingest", "webhooks:handle_event", "conversations:answer", "channels:deliver_message"} <= seen
    assert len(telegram.sent) == 1


@pytest.mark.parametrize(
    "change",
    ["set args = args - 'trace'", """set args = args || '{"trace": "of another kind"}'"""],
    ids=["of an older version", "with a trace that cannot be read"],
)
async def test_a_job_without_a_trace_runs(shop, telegram, run_jobs, change_jobs, change):
    await shop.write(shop.connection, QUESTION)
    assert change_jobs(change) >= 1
    await run_jobs()
    assert len(telegram.sent) == 1


@pytest.fixture
def worker(shop):
    """A worker that gives its jobs a tenth of a second when it is told to end."""

    def start():
        return asyncio.create_task(
            shop.runtime.queue.app.run_worker_async(
                concurrency=4,
                shutdown_graceful_timeout=0.1,
                listen_notify=False,
                fetch_job_polling_interval=0.05,
                delete_jobs="successful",
                install_signal_handlers=False,
                additional_context={"runtime": shop.runtime},
            )
        )

    return start


@pytest.mark.parametrize("attempts", [0, MAX_ATTEMPTS])
async def test_a_job_cut_by_the_workers_end_is_handed_back(
    shop, telegram, run_jobs, worker, change_jobs, monkeypatch, attempts
):
    search, reached = shop.runtime.index.search, asyncio.Event()

    async def endless(*_args, **_kwargs):
        reached.set()
        await asyncio.sleep(600)

    monkeypatch.setattr(shop.runtime.index, "search", endless)
    await shop.write(shop.connection, QUESTION)
    await run_jobs(once=True)
    change_jobs(f"set attempts = {attempts}")
    with logged_lines() as lines:
        running = worker()
        await asyncio.wait_for(reached.wait(), 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    (cut,) = await _jobs(shop)
    assert (cut.task_name, cut.status, cut.attempts) == ("conversations:answer", "todo", attempts)
    assert cut.scheduled_at <= datetime.now(UTC)
    outcomes = [(line["job"], line["outcome"], line["level"]) for line in lines.read_all() if "attempt" in line]
    assert outcomes == [("conversations:answer", "aborted", "INFO")]
    monkeypatch.setattr(shop.runtime.index, "search", search)
    await run_jobs()
    assert len(telegram.sent) == 1
    async with shop.runtime.vault.session(shop.id) as session:
        assert [turn.state for turn in await session.scalars(select(Turn))] == ["replied"]


async def test_a_send_in_progress_ends_before_its_worker_does(shop, telegram, run_jobs, worker, monkeypatch):
    await shop.write(shop.connection, QUESTION)
    await run_jobs(once=True)
    sending, send = asyncio.Event(), Telegram.send

    async def slow(*args, **kwargs):
        sending.set()
        await asyncio.sleep(0.03)
        return await send(*args, **kwargs)

    monkeypatch.setattr(Telegram, "send", slow)
    running = worker()
    await asyncio.wait_for(sending.wait(), 30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(telegram.sent) == 1
    async with shop.runtime.vault.session(shop.id) as session:
        assert [delivery.state for delivery in await session.scalars(select(Delivery))] == ["sent"]


@pytest.fixture
async def run_job(runtime, run_jobs):
    """Run a function as a job on a real worker, at an attempt; returns what the log tells of its end."""

    async def run(work, attempt=1):
        blueprint = procrastinate.Blueprint()
        job(blueprint, "tests:work", ANSWERS)(work)
        runtime.queue.app.tasks.update(blueprint.tasks)
        async with runtime.db.session() as session:
            await runtime.queue.defer(session, "tests:work", ANSWERS, ids={"thing_id": uuid4()})
        async with runtime.db.session() as session:
            await session.execute(text(f"update queue.procrastinate_jobs set attempts = {attempt - 1}"))
        with logged_lines() as lines, recorded_spans() as spans:
            await run_jobs(once=True)
        (ended,) = [line for line in lines.read_all() if "outcome" in line and line["logger"] == "app.queue"]
        (span,) = spans.get_finished_spans()
        assert span.name == "tests:work"
        assert span.attributes["jobx.outcome"] == ended["outcome"]
        assert f"{span.context.trace_id:032x}" == ended["trace_id"]
        return ended

    return run


async def test_a_job_gets_its_ids_and_its_context(run_job):
    got = []

    async def work(context, thing_id):
        got.append((context.job.task_name, type(thing_id)))

    ended = await run_job(work)
    assert got == [("tests:work", UUID)]
    assert (ended["outcome"], ended["attempt"], ended["level"]) == ("succeeded", 1, "INFO")
    assert ended["ms"] >= 0


@pytest.mark.parametrize(("attempt", "outcome", "level"), [(1, "retried", "WARNING"), (7, "failed", "ERROR")])
async def test_a_job_that_raises_is_retried_until_its_attempts_are_used_up(run_job, runtime, attempt, outcome, level):
    async def work(_context, thing_id):
        raise LookupError(f"canary-4711 {thing_id}")

    ended = await run_job(work, attempt)
    assert (ended["outcome"], ended["level"]) == (outcome, level)
    assert ended["errors"][0]["error"] == "builtins.LookupError"
    assert "canary" not in str(ended)
    (one,) = await runtime.queue.app.job_manager.list_jobs_async()
    assert one.status == ("todo" if outcome == "retried" else "failed")


async def test_a_job_that_cancels_itself_loses_an_attempt(run_job, runtime):
    async def work(_context, thing_id):
        raise asyncio.CancelledError

    ended = await run_job(work, 2)
    assert ended["outcome"] == "retried"
    (one,) = await runtime.queue.app.job_manager.list_jobs_async()
    assert (one.status, one.attempts) == ("todo", 2)


async def test_arguments_of_another_kind_are_an_error_and_not_shown(run_job, runtime):
    async def work(_context, other_id):
        raise AssertionError

    ended = await run_job(work)
    assert ended["errors"][0]["error"] == "builtins.TypeError"


@pytest.fixture
def deaf(runtime, monkeypatch):
    """The queue's connection breaks on each of the first writes of a job's end, before or after it is written."""

    def break_on(times, written):
        connector, broken = runtime.queue.app.connector, []
        write = connector.execute_query_async

        async def away(query, **values):
            end = "finish_job" in query or "retry_job" in query
            if not end or len(broken) == times or written:
                await write(query, **values)
            if end and len(broken) < times:
                broken.append(values["id"])
                raise ConnectorException from psycopg.errors.AdminShutdown()

        monkeypatch.setattr(connector, "execute_query_async", away)
        return broken

    return break_on


@pytest.mark.parametrize("written", [False, True], ids=["not written", "written and not heard of"])
@pytest.mark.parametrize("outcome", ["succeeded", "retried"])
async def test_an_end_that_the_database_does_not_take_is_written_when_it_is_back(
    run_job, runtime, deaf, outcome, written
):
    """The worker lives on, so that nobody else would put the job back."""
    broken = deaf(2, written)

    async def work(_context, thing_id):
        if outcome == "retried":
            raise LookupError

    with logged_lines() as lines:
        await run_job(work, 2)
    assert len(broken) == 2
    assert [line["message"] for line in lines.read_all() if "end of job" in line["message"]] == [
        f"the end of job {broken[0]} could not be written yet: AdminShutdown"
    ]
    left = [(one.status, one.attempts) for one in await runtime.queue.app.job_manager.list_jobs_async()]
    assert left == ([] if outcome == "succeeded" else [("todo", 2)])


async def test_a_worker_does_not_end_a_job_that_another_one_took_over(run_job, runtime, change_jobs):
    async def work(context, thing_id):
        other = await context.app.job_manager.register_worker()
        assert change_jobs(f"set worker_id = {other}") == 1

    await run_job(work)
    (one,) = await runtime.queue.app.job_manager.list_jobs_async()
    assert one.status == "doing"


async def test_a_worker_that_waits_for_its_last_job_is_seen_to_live(shop, telegram, run_jobs, address, monkeypatch):
    """Others take the jobs of the dead, and it takes longer than they need to hold it for dead."""
    monkeypatch.setattr(workers, "STALLED_SECONDS", 1.0)
    monkeypatch.setattr(workers, "HEARTBEAT_SECONDS", 0.1)
    await shop.write(shop.connection, QUESTION)
    await run_jobs(once=True)
    sending, send = asyncio.Event(), Telegram.send

    async def slow(*args, **kwargs):
        sending.set()
        await asyncio.sleep(2)
        return await send(*args, **kwargs)

    monkeypatch.setattr(Telegram, "send", slow)
    queue = Queue(address, workers.BLUEPRINTS)
    async with queue.app.open_async():
        stops = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(workers.run_worker(shop.runtime, stops[0], share="answers"))
        await asyncio.wait_for(sending.wait(), 30)
        other = replace(shop.runtime, queue=queue)
        second = asyncio.create_task(workers.run_worker(other, stops[1], share="answers"))
        stops[0].set()
        await asyncio.wait_for(first, 30)
        stops[1].set()
        await asyncio.wait_for(second, 30)
    assert len(telegram.sent) == 1
    async with shop.runtime.vault.session(shop.id) as session:
        assert [delivery.state for delivery in await session.scalars(select(Delivery))] == ["sent"]
        assert [turn.state for turn in await session.scalars(select(Turn))] == ["replied"]
