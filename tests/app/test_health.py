"""/livez and /readyz, and the watch over the parts."""

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx
import psycopg
import pytest
from psycopg import sql

from app.health import Monitor, Readiness
from app.health.endpoints import health_app, health_router
from app.metrics import Metrics
from tests.app.until import until


async def fine():
    return None


async def broken():
    raise ConnectionError("postgresql://user:canary-secret@db.internal")


class Switch:
    """A part that answers, fails or hangs, as told."""

    def __init__(self):
        self.error: Exception | None = None
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self):
        self.calls += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def worker_only(runtime, readiness=None, **checks):
    """A client of a worker's own small application."""
    monitor = Monitor({"database": fine, **checks}, runtime.metrics, limit=0.1)
    await monitor.check_all()
    router = health_router(
        runtime.settings, readiness or Readiness(ready=True), monitor, runtime.pressure, runtime.metrics
    )
    transport = httpx.ASGITransport(health_app(router))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        yield client


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"jobx_{name}", labels)


async def test_the_web_application_is_alive_and_ready(tenant):
    await tenant.runtime.monitor.check_all()
    assert (await tenant.http.get("/livez")).text == "ok"
    response = await tenant.http.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ok", "parts": {"start": "ok", "database": "ok", "queue": "ok"}},
    )


async def test_a_database_that_goes_is_seen_by_the_next_request_and_so_is_its_return(tenant, admin):
    await tenant.runtime.monitor.check_all()
    name = str(admin.sqlalchemy_url().database)
    shut = sql.SQL("alter database {} with allow_connections {}")
    with psycopg.connect(admin.conninfo(), dbname="postgres", autocommit=True) as connection:
        connection.execute(shut.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        response = await tenant.http.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (503, "unavailable")
        assert response.json()["parts"]["database"] == "down"
        connection.execute(shut.format(sql.Identifier(name), sql.SQL("true")))
    for _ in range(50):
        response = await tenant.http.get("/readyz")
        if response.status_code == 200:
            break
        await asyncio.sleep(0.05)
    assert response.json()["parts"]["database"] == "ok"


@pytest.mark.parametrize(
    ("readiness", "state"),
    [
        (Readiness(), "starting"),
        (Readiness(ready=True, stopping=True), "stopping"),
        (Readiness(stopping=True), "stopping"),
    ],
)
async def test_a_process_that_starts_or_stops_is_not_sent_requests(runtime, readiness, state):
    async with worker_only(runtime, readiness) as client:
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (503, "unavailable")
        assert response.json()["parts"] == {"start": state, "database": "ok"}
        assert (await client.get("/livez")).status_code == 200


async def test_without_vectors_webhooks_are_still_taken_and_the_part_is_named(runtime):
    async with worker_only(runtime, vectors=broken, files=fine) as client:
        response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "parts": {"start": "ok", "database": "ok", "vectors": "down", "files": "ok"},
    }
    assert value(runtime.metrics, "part_up", part="vectors") == 0
    assert value(runtime.metrics, "part_up", part="files") == 1


async def test_a_change_is_told_once_without_the_words_of_the_error(caplog):
    part = Switch()
    monitor = Monitor({"vectors": part}, Metrics())
    for error in (None, None, ConnectionError("canary-secret"), TimeoutError("canary-secret"), None, None):
        part.error = error
        await monitor.check_all()
    assert [record.getMessage() for record in caplog.records] == [
        "part vectors is down: ConnectionError",
        "part vectors answers again",
    ]


async def test_a_part_that_hangs_is_down_and_asked_only_once_at_a_time(caplog):
    part = Switch()
    part.gate.clear()
    monitor = Monitor({"vectors": part, "files": fine}, Metrics(), limit=0.1)
    assert await asyncio.wait_for(monitor.check_all(), 2) == {"vectors": "down", "files": "ok"}
    states = await asyncio.gather(*(monitor.check("vectors") for _ in range(20)))
    assert set(states) == {"down"}
    assert part.calls == 2
    part.gate.set()
    assert await monitor.check("vectors") == "ok"
    assert "part vectors is down: TimeoutError" in caplog.text


async def test_a_part_whose_call_will_not_be_cancelled_holds_up_nobody_and_is_not_asked_again():
    gate, calls = asyncio.Event(), 0

    async def stubborn():
        nonlocal calls
        calls += 1
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()

    monitor = Monitor({"vectors": stubborn}, Metrics(), limit=0.05)
    for _ in range(3):
        assert await asyncio.wait_for(monitor.check("vectors"), 2) == "down"
    assert calls == 1
    gate.set()
    await asyncio.sleep(0)
    assert await monitor.check("vectors") == "ok"


async def test_a_flood_of_checks_asks_the_database_once(runtime):
    part = Switch()
    part.gate.clear()
    async with worker_only(runtime) as client:
        monitor = Monitor({"database": part}, runtime.metrics)
        router = health_router(runtime.settings, Readiness(ready=True), monitor, runtime.pressure, runtime.metrics)
        client._transport = httpx.ASGITransport(health_app(router))
        asked = [asyncio.create_task(client.get("/readyz")) for _ in range(50)]
        await asyncio.sleep(0.1)
        assert part.calls == 1
        part.gate.set()
        assert {response.status_code for response in await asyncio.gather(*asked)} == {200}
    assert part.calls < 5


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=canary",
        "application/openmetrics-text; version=1.x.0",
        "application/openmetrics-text;version=" + "9" * 5000,
        "text/plain; version=canary; escaping=x",
        "text/plain;version=,application/openmetrics-text;version==",
        ",;=,",
    ],
)
async def test_metrics_are_written_whatever_is_accepted(runtime, accept):
    async with worker_only(runtime) as client:
        response = await client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert "jobx_part_up" in response.text
    assert "canary" not in response.headers["Content-Type"]


async def test_parts_are_watched_in_the_background():
    part = Switch()
    monitor = Monitor({"vectors": part}, Metrics(), every=0.01)
    assert monitor.states == {"vectors": "starting"}
    async with monitor.watching():
        assert monitor.states == {"vectors": "ok"}
        for error, state in ((ConnectionError(), "down"), (None, "ok")):
            part.error = error
            await until(partial(is_now, monitor, state))
    calls = part.calls
    await asyncio.sleep(0.05)
    assert part.calls == calls


async def is_now(monitor, state):
    return monitor.states == {"vectors": state}
