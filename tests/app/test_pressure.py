"""Back-pressure, on a real queue with a real worker: when customers wait too long, documents wait for them."""

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.assembly import new_pressure
from app.documents import reading
from app.health import Pressure, Stopping
from app.queue import ANSWERS, DELIVERIES, INBOUND, INGESTION, PRIVACY
from tests.app.test_health import value, worker_only
from tests.app.until import until


async def add_job(runtime, queue, *, age=0.0, lock=None, delay=0.0):
    """A job that nobody runs, deferred `age` seconds ago."""
    async with runtime.db.session() as session:
        await runtime.queue.defer(session, "tests:none", queue, lock=lock, delay_seconds=delay, ids={"id": uuid4()})
        newest = "(select max(id) from queue.procrastinate_jobs)"
        statement = (
            f"update queue.procrastinate_events set at = at - make_interval(secs => :age) where job_id = {newest}"
        )
        await session.execute(text(statement), {"age": age})


async def clear(runtime, status="todo"):
    async with runtime.db.session() as session:
        condition = "status = cast(:status as queue.procrastinate_job_status) and task_name = 'tests:none'"
        await session.execute(text(f"delete from queue.procrastinate_jobs where {condition}"), {"status": status})


@pytest.fixture
def measured(runtime, monkeypatch):
    """A pressure that measures at every call, with a limit of a minute and twelve seconds for bursts."""
    monkeypatch.setattr("app.health.pressure._FRESH_SECONDS", 0.02)
    runtime.pressure = Pressure(runtime.queue, runtime.metrics, limit_seconds=60, burst_seconds=12)
    return runtime.pressure


@pytest.mark.parametrize("queue", [INBOUND, DELIVERIES])
async def test_a_queue_older_than_its_limit_is_behind_until_it_is_well_below(runtime, measured, caplog, queue):
    await add_job(runtime, queue, age=50)
    assert await measured.check() == "ok"
    await clear(runtime)
    await add_job(runtime, queue, age=75)
    for _ in range(3):
        await asyncio.sleep(0.03)
        assert await measured.check() == "behind"
    assert value(runtime.metrics, "overloaded") == 1
    assert 75 <= value(runtime.metrics, "queue_oldest_seconds", queue=queue) < 90
    await clear(runtime)
    await add_job(runtime, queue, age=40)
    await asyncio.sleep(0.03)
    assert await measured.check() == "behind", "40 s are still more than half of the limit"
    await clear(runtime)
    await asyncio.sleep(0.03)
    assert await measured.check() == "ok"
    assert value(runtime.metrics, "overloaded") == 0
    first, last = [record for record in caplog.records if record.name == "app.health.pressure"]
    assert first.levelno == logging.WARNING
    assert re.match(f"the queue is behind: a job of {queue} has waited 7[5-9] s, 1 wait there", first.getMessage())
    assert "caught up" in last.getMessage()


async def test_what_is_not_due_or_not_urgent_is_not_behind(runtime, measured):
    await add_job(runtime, INBOUND, age=500, delay=60)
    await add_job(runtime, INGESTION, age=500)
    await add_job(runtime, PRIVACY, age=500)
    await add_job(runtime, ANSWERS, age=300, lock="conversation:1", delay=30)
    await add_job(runtime, ANSWERS, age=300, lock="conversation:1")
    assert await measured.check() == "ok"
    assert value(runtime.metrics, "queue_oldest_seconds", queue=INGESTION) > 400
    assert value(runtime.metrics, "queue_oldest_seconds", queue=ANSWERS) == 0
    assert value(runtime.metrics, "queue_jobs", queue=ANSWERS, status="todo") == 2
    assert value(runtime.metrics, "queue_jobs", queue=DELIVERIES, status="todo") == 0


async def test_a_job_is_due_from_its_time_on(runtime, measured):
    await add_job(runtime, DELIVERIES, age=600, delay=5)
    async with runtime.db.session() as session:
        await session.execute(text("update queue.procrastinate_jobs set scheduled_at = now() - interval '20 seconds'"))
    assert await measured.check() == "ok"
    assert 20 <= value(runtime.metrics, "queue_oldest_seconds", queue=DELIVERIES) < 40


async def test_a_conversation_that_is_still_being_written_is_not_behind_but_one_that_waits_longer_is(runtime, measured):
    await add_job(runtime, ANSWERS, lock="conversation:1")
    async with runtime.db.session() as session:
        await session.execute(text("update queue.procrastinate_jobs set status = 'doing'"))
    await add_job(runtime, ANSWERS, age=70, lock="conversation:1")
    assert await measured.check() == "ok"
    await clear(runtime)
    await add_job(runtime, ANSWERS, age=80, lock="conversation:1")
    await asyncio.sleep(0.03)
    assert await measured.check() == "behind"


async def test_readyz_says_that_the_queue_is_behind_and_stays_200(tenant, measured):
    runtime = tenant.runtime
    await add_job(runtime, INBOUND, age=100)
    async with worker_only(runtime, queue=measured.check) as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["parts"]["queue"] == "behind"
    assert value(runtime.metrics, "part_up", part="queue") == 1


async def test_waiting_ends_with_relief_with_the_process_or_with_the_job(runtime, measured):
    await measured.relieved()
    await add_job(runtime, INBOUND, age=100)
    await asyncio.sleep(0.03)
    waiting = [asyncio.create_task(measured.relieved()) for _ in range(3)]
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting[0], 1)
    await clear(runtime)
    await asyncio.wait_for(waiting[1], 2)
    await add_job(runtime, INBOUND, age=100)
    await asyncio.sleep(0.03)
    last = asyncio.create_task(measured.relieved())
    await asyncio.sleep(0.1)
    measured.stop()
    with pytest.raises(Stopping):
        await asyncio.wait_for(last, 1)
    with pytest.raises(Stopping):
        await measured.relieved()


async def test_a_queue_that_cannot_be_read_holds_nothing_up(runtime, measured, admin):
    await add_job(runtime, INBOUND, age=100)
    assert await measured.check() == "behind"
    await asyncio.sleep(0.03)
    await runtime.queue.app.close_async()
    await asyncio.wait_for(measured.relieved(), 5)
    assert value(runtime.metrics, "queue_oldest_seconds", queue=INBOUND) is None
    await runtime.queue.app.open_async()


@asynccontextmanager
async def ingestion_worker(runtime):
    """A real worker of documents, until the block ends."""
    worker = asyncio.create_task(
        runtime.queue.app.run_worker_async(
            queues=[INGESTION],
            fetch_job_polling_interval=0.05,
            shutdown_graceful_timeout=20,
            install_signal_handlers=False,
            delete_jobs="successful",
            additional_context={"runtime": runtime},
        )
    )
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.wait_for(asyncio.gather(worker, return_exceptions=True), 5)


async def is_read(tenant, document):
    status = (await tenant.document(document["id"]))["status"]
    assert status != "failed"
    return status == "ready"


async def test_a_document_waits_until_customers_have_their_answers(tenant, measured):
    runtime = tenant.runtime
    await add_job(runtime, ANSWERS, age=100)
    document = await tenant.add_text("Hours", "The shop opens at nine.")
    async with ingestion_worker(runtime):
        await until(lambda: doing(runtime))
        await asyncio.sleep(0.3)
        assert (await tenant.document(document["id"]))["status"] == "pending"
        await clear(runtime)
        await until(lambda: is_read(tenant, document))
    assert value(runtime.metrics, "documents_ingested_total", outcome="ready") == 1


async def test_a_document_that_is_being_read_pauses_between_batches(tenant, measured, monkeypatch):
    runtime, sizes = tenant.runtime, []
    monkeypatch.setattr(reading, "BATCH", 2)
    embed = runtime.embedder.embed

    async def watched(texts):
        sizes.append(len(texts))
        if len(sizes) == 1:
            await add_job(runtime, INBOUND, age=100)
            await asyncio.sleep(0.03)
        return await embed(texts)

    monkeypatch.setattr(runtime.embedder, "embed", watched)
    words = " ".join(f"Sock number {number} is made of wool and costs {number} pounds." for number in range(150))
    document = await tenant.add_text("Socks", words)
    async with ingestion_worker(runtime):
        await until(lambda: overloaded(runtime))
        await asyncio.sleep(0.3)
        assert (sizes, (await tenant.document(document["id"]))["status"]) == ([2], "running")
        await clear(runtime)
        await until(lambda: is_read(tenant, document))
    assert sum(sizes) == (await tenant.document(document["id"]))["chunks"]
    assert (await tenant.search("What does sock number 100 cost?"))[0]["document_id"] == document["id"]


async def test_a_worker_that_stops_leaves_a_waiting_document_to_the_next_one(tenant, measured):
    runtime = tenant.runtime
    await add_job(runtime, ANSWERS, age=100)
    document = await tenant.add_text("Hours", "The shop opens at nine.")
    for _ in range(8):  # more often than a job has attempts
        runtime.pressure = Pressure(runtime.queue, runtime.metrics, limit_seconds=60)
        async with ingestion_worker(runtime):
            await until(lambda: doing(runtime))
            runtime.pressure.stop()
    assert value(runtime.metrics, "documents_ingested_total", outcome="handed_back") == 8
    runtime.pressure = Pressure(runtime.queue, runtime.metrics, limit_seconds=60)
    await clear(runtime)
    async with ingestion_worker(runtime):
        await until(lambda: is_read(tenant, document))


async def overloaded(runtime):
    return value(runtime.metrics, "overloaded")


async def doing(runtime):
    query = text("select count(*) from queue.procrastinate_jobs where status = 'doing'")
    async with runtime.db.session() as session:
        return await session.scalar(query)


async def test_the_limit_is_the_one_of_the_settings(runtime, settings):
    await add_job(runtime, INBOUND, age=30)
    assert await new_pressure(settings, runtime.queue, runtime.metrics).check() == "ok"
    short = settings.model_copy(update={"queue_age_limit_seconds": 20.0})
    assert await new_pressure(short, runtime.queue, runtime.metrics).check() == "behind"
