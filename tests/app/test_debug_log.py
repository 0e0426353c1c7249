"""The whole journey at the level DEBUG, where libraries would show requests, headers, statements and rows."""

import asyncio
import io
import json
import logging
import socket
import sys
import threading

import httpx
import pytest

from app.health import Readiness
from app.main import create_app
from app.process import Front, _config, _Server
from app.telemetry import set_up_logging
from tests.app.documents.shop import LOOPBACK, html
from tests.app.egress.sites import answer, fetcher, site
from tests.fakes.s3 import KEYS, make_bucket, moto_server, storage
from tests.tenant import TOKEN

CANARY = "zorblaxcanary"
OURS = ("app", "graphs", "ingestion", "jobx", "vectorstore")
UPGRADE = (
    f"GET /v1/documents?api_key={CANARY} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    f"Authorization: Bearer {CANARY}\r\n\r\n"
)


@pytest.fixture
def log(monkeypatch):
    """What is logged from here on; to be asked for first, as a process sets its log up before all else."""
    written, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(sys, "stderr", written)
    for module, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("root", "evals", *OURS)}
    set_up_logging("DEBUG", "json")
    yield written
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    for name, level in levels.items():
        (root if name == "root" else logging.getLogger(name)).setLevel(level)


@pytest.fixture
async def served(log, runtime):
    """The address of a web server as a process runs it."""
    front = Front(Readiness(ready=True))
    front.app = create_app(runtime)
    server = _Server(_config(runtime.settings, front))
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


@pytest.fixture
def stored(runtime):
    """Files are in S3."""
    with moto_server() as store:
        runtime.storage = storage(store, make_bucket(store))
        yield


async def test_nothing_of_a_conversation_a_document_or_a_secret_is_in_the_log(
    log, served, stored, tenant, telegram, run_jobs
):
    # Before LiteLLM is loaded, which puts its own blots on some of what is logged.
    await _upgrade(served)
    tenant.runtime.fetcher, address = fetcher(), f"http://127.0.0.1:{served}"
    async with (
        httpx.AsyncClient(base_url=address, headers=tenant.http.headers, timeout=30) as tenant.http,
        site(answer(html(f"A {CANARY} can be returned within 30 days of delivery.", CANARY))) as shop,
    ):
        await _journey(tenant, run_jobs, shop.url(f"/?key={CANARY}", LOOPBACK))
    assert CANARY in telegram.sent[0].text
    shown = log.getvalue().splitlines()
    secrets = (TOKEN.split(":")[1], tenant.key, KEYS["secret_access_key"], KEYS["access_key_id"], "Bearer")
    assert [line for line in shown if any(word in line for word in (CANARY, *secrets))] == []
    lines = [json.loads(line) for line in shown]
    assert {line["level"] for line in lines if line["logger"].partition(".")[0] not in OURS} <= {"WARNING", "ERROR"}
    assert {"DEBUG", "INFO"} <= {line["level"] for line in lines}


async def _journey(tenant, run_jobs, page):
    await tenant.http.get("/livez")
    await tenant.add_file(f"{CANARY}.txt", f"Returning a {CANARY} by post costs 2 euros.".encode(), "text/plain")
    await tenant.http.post("/v1/documents", json={"url": page})
    await run_jobs()
    assert await tenant.search(f"Within how many days can I return a {CANARY}?")
    connection = await tenant.connect(await tenant.add_agent(name=CANARY))
    await tenant.write(connection, f"Within how many days can I return a {CANARY}?")
    await run_jobs()
    await tenant.http.get(f"/v1/documents?cursor={CANARY}")
    await tenant.http.post("/v1/documents", content=CANARY.encode())


async def _upgrade(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 4")
    writer.close()
