"""Everything on servers: two web and two worker processes on PostgreSQL, a Qdrant process and an S3 store."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from app.db import DatabaseAddress
from tests.app.servers.hosted import hosted_postgres
from tests.e2e.processes import QUESTION, RETURNS, ROOT, Process, Shop, Site, free_port, make_shop, until

_AGE_LIMIT = 1.0


@pytest.fixture(scope="module")
def server(postgres) -> Iterator[DatabaseAddress]:
    """A database that was never migrated: on Debian's server and as a host gives it, where that is installed."""
    with hosted_postgres() as hosted:
        host = hosted or postgres
        with psycopg.connect(host.dsn("postgres"), autocommit=True) as connection:
            connection.execute("create database of_servers")
        yield DatabaseAddress(host.sqlalchemy_url("of_servers"))
        if hosted is None:
            with psycopg.connect(host.dsn("postgres"), autocommit=True) as connection:
                connection.execute("drop database of_servers with (force)")


@pytest.fixture(scope="module")
def qdrant_process() -> Iterator[str]:
    """A Qdrant server that is a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.fakes.qdrant", str(port)], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    until(answers)
    yield url
    process.kill()
    process.wait()


@dataclass
class Running:
    """What runs, and what the commands before it said."""

    site: Site
    shop: Shop
    migrated: list[str]
    webs: list[Process]
    answers: Process
    documents: Process


@pytest.fixture(scope="module")
def running(make_site, server, qdrant_process, s3, bot_api) -> Running:
    simulator, api_base = bot_api
    more = {
        "JOBX_QDRANT_URL": qdrant_process,
        "JOBX_TELEGRAM__API_BASE": api_base,
        "JOBX_QUEUE_AGE_LIMIT_SECONDS": str(_AGE_LIMIT),
        "JOBX_BURST_CAP_SECONDS": "0",
    }
    site = make_site(server, {**s3, **more})
    migrated = [done.stdout + done.stderr for done in (site.run("migrate"), site.run("migrate"))]
    shop = make_shop(site, simulator)
    webs = [site.start("serve"), site.start("serve")]
    workers = [site.start("worker", "--queues", share) for share in ("answers", "documents")]
    for process in (*webs, *workers):
        process.ready()
    return Running(site, shop, migrated, webs, *workers)


@pytest.fixture(scope="module")
def connected(running) -> Running:
    """With knowledge, uploaded to the first web process, and a bot."""
    running.shop.read(running.webs[0], "Returns", RETURNS)
    running.shop.connect(running.webs[0])
    return running


def test_migrations_run_apart_and_once(running):
    first, second = running.migrated
    assert "Applied 0001" in first
    assert "The database is up to date" in first
    assert "Nothing was to be done" in second


def test_what_one_web_process_took_another_one_finds(connected):
    for web in connected.webs:
        assert "30 days" in connected.shop.search(web, QUESTION)[0]


def test_a_message_is_answered_from_the_knowledge_once_wherever_it_comes_in(connected):
    shop = connected.shop
    for number, web in ((101, connected.webs[0]), (102, connected.webs[1])):
        assert shop.write(web, number).status_code == 200
    # A provider that heard nothing sends again, and its load balancer picks another process.
    assert shop.write(connected.webs[1], 101).status_code == 200
    shop.answered((101, 102))
    assert all("30 days" in text for number in (101, 102) for text in shop.texts(number))
    (conversation, *_) = shop.call(connected.webs[0], "GET", "/v1/conversations").json()["conversations"]
    path = f"/v1/conversations/{conversation['id']}/messages"
    messages = shop.call(connected.webs[0], "GET", path).json()["messages"]
    assert [(message["direction"], message["status"]) for message in messages] == [("in", "received"), ("out", "sent")]
    assert messages[1]["turn"]["citations"][0]["title"] == "Returns"


def test_nothing_is_kept_on_the_machine(connected):
    data = connected.site.folder / "data"
    assert [path for path in data.rglob("*") if path.is_file()] == []
    assert not any((data / name).exists() for name in ("postgres", "qdrant", "files", "master.key"))


def test_the_worker_for_answers_reads_no_documents(connected):
    """Held is the one that does; that the other way round no message is answered is seen where documents wait."""
    shop, web = connected.shop, connected.webs[0]
    connected.documents.send(signal.SIGSTOP)
    try:
        document = shop.upload(web, "Hours", "The shop opens at nine.")
        assert shop.write(web, 111).status_code == 200
        until(lambda: shop.replies([111])[111])
        time.sleep(1.2)  # longer than the pause in which a worker looks for jobs by itself
        assert shop.status(web, document) == "pending"
    finally:
        connected.documents.send(signal.SIGCONT)
    until(lambda: shop.status(web, document) == "ready")
    shop.answered([111])
    assert {line["job"] for line in connected.documents.lines(outcome="succeeded")} == {"documents:ingest"}


def test_one_trace_leads_from_the_webhook_to_the_send(connected):
    shop = connected.shop
    answer = shop.write(connected.webs[1], 121)
    shop.answered([121])
    trace = answer.headers["Jobx-Trace-Id"]
    (request,) = connected.webs[1].lines(trace_id=trace, route="/webhooks/{channel}/{connection_id}")
    assert request["status"] == 200
    lines = connected.answers.lines(trace_id=trace)
    done = [line["job"] for line in lines if line.get("outcome") == "succeeded"]
    assert done == ["webhooks:handle_event", "conversations:answer"]
    assert len([line for line in lines if line["message"].startswith("delivery ") and line["outcome"] == "ok"]) == 1
    assert [process.lines(trace_id=trace) for process in (connected.webs[0], connected.documents)] == [[], []]


def test_documents_wait_while_customers_do(connected):
    """The worker for answers is held: the queue gets old, which nobody outside notices but the operator."""
    shop, web, documents = connected.shop, connected.webs[0], connected.documents
    before = len(documents.said("the queue is behind"))
    connected.answers.send(signal.SIGSTOP)
    try:
        for number in range(131, 136):
            assert shop.write(web, number).status_code == 200
        until(lambda: all(one.readyz()[1]["parts"]["queue"] == "behind" for one in (*connected.webs, documents)))
        for process in (*connected.webs, documents):
            status, body = process.readyz()
            assert (status, body["status"]) == (200, "degraded")
        document = shop.upload(web, "Parking", "There are eleven parking spaces behind the shop.")
        assert shop.write(web, 136).status_code == 200
        time.sleep(1.2)  # longer than the pause in which a worker looks for jobs by itself
        assert shop.status(web, document) == "pending"
        assert len(documents.said("the queue is behind")) == before + 1
        assert shop.replies(range(131, 137)).total() == 0
    finally:
        connected.answers.send(signal.SIGCONT)
    shop.answered(range(131, 137))
    until(lambda: shop.status(web, document) == "ready")
    until(lambda: web.readyz() == (200, {"status": "ok", "parts": dict.fromkeys(web.readyz()[1]["parts"], "ok")}))
    assert len(web.said("the queue is behind")) == 1
    assert len(web.said("the queue has caught up")) == 1


def test_nothing_of_a_customer_or_a_key_is_in_the_logs(connected):
    site = connected.site
    logs = "".join(process.log.read_text() for process in site.processes)
    secrets = (QUESTION, "30 days", connected.shop.key, connected.shop.secret, "simulated-token", "AKIAJOBXTESTKEY")
    assert not [secret for secret in (*secrets, site.settings["JOBX_MASTER_KEY"]) if secret in logs]
    assert "Traceback" not in logs
