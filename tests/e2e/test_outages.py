"""Servers that are away at the start, die, are slow or full: nothing acknowledged is lost, nothing is answered twice.

Each server is behind a relay of its own, which refuses and cuts as a server that died does; PostgreSQL is also ended.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest

from app.db import DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres, PostgresAddress
from app.migrations.runner import migrate
from app.simulators.faults import cut
from app.simulators.telegram import TelegramSimulator
from tests.conftest import APP_PASSWORD
from tests.e2e.around import Balancer, Relay, address_of, relay
from tests.e2e.conftest import s3_settings
from tests.e2e.processes import Process, Shop, Site, furnished_shop, until
from tests.fakes.qdrant import Cut, FakeQdrant, Fault, Half, Slow, failed, serving
from tests.fakes.s3 import make_bucket, moto_server

_ALWAYS = 1_000_000
_numbers = itertools.count(1000)


@dataclass
class Servers:
    """Everything outside of Jobx."""

    postgres: EmbeddedPostgres
    database: Relay
    qdrant: FakeQdrant
    vectors: Relay
    files: Relay
    telegram: TelegramSimulator
    provider: Relay
    bucket: str
    admin: PostgresAddress

    def start_postgres(self) -> None:
        self.admin = self.postgres.start()
        self.database.target = str(self.admin.socket_dir / f".s.PGSQL.{self.admin.port}")

    def url(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.database.port}/postgres"

    def settings(self) -> dict[str, str]:
        return {
            "JOBX_DATABASE_URL": self.url("jobx_app", APP_PASSWORD),
            "JOBX_QDRANT_URL": f"http://127.0.0.1:{self.vectors.port}",
            "JOBX_TELEGRAM__API_BASE": f"http://127.0.0.1:{self.provider.port}",
            **s3_settings(f"http://127.0.0.1:{self.files.port}", self.bucket),
        }


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Servers]:
    qdrant, telegram = FakeQdrant(), TelegramSimulator(accept_any_token=True)
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    admin = postgres.start()
    try:
        migrate(DatabaseAddress(admin.sqlalchemy_url("postgres")), APP_PASSWORD)
        with ExitStack() as stack:
            behind = [stack.enter_context(serving(app)) for app in (qdrant, telegram.app)]
            behind.append(stack.enter_context(moto_server()))
            vectors, provider, files = (stack.enter_context(relay(address_of(url))) for url in behind)
            database = stack.enter_context(relay(str(admin.socket_dir / f".s.PGSQL.{admin.port}")))
            bucket = make_bucket(behind[2])
            yield Servers(postgres, database, qdrant, vectors, files, telegram, provider, bucket, admin)
    finally:
        postgres.stop()


@dataclass
class Cold:
    """Two web processes and two workers that were started before their servers, and what was seen of them."""

    site: Site
    shop: Shop
    webs: list[Process]
    workers: list[Process]
    alive: list[int] = field(default_factory=list)
    starting: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    refused: httpx.Response | None = None
    degraded: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    early: list[int] = field(default_factory=list)
    taken: int = 0
    upload: int = 0
    search: int = 0
    answered_after: float = 0.0

    @property
    def processes(self) -> list[Process]:
        return [*self.webs, *self.workers]


@pytest.fixture(scope="module")
def cold(make_site, servers) -> Cold:
    """The start in the wrong order: processes, then the database, then the vectors and the files."""
    site: Site = make_site(DatabaseAddress(servers.url("postgres", servers.admin.password)), servers.settings())
    shop = furnished_shop(site, servers.telegram)
    for server in (servers.database, servers.vectors, servers.files):
        server.down()
    seen = Cold(site, shop, [site.start("serve"), site.start("serve")], [site.start("worker"), site.start("worker")])
    for process in seen.processes:
        process.listening()
    time.sleep(1.5)
    seen.alive = [httpx.get(f"{process.url}/livez").status_code for process in seen.processes]
    seen.starting = [process.readyz() for process in seen.processes]
    seen.refused = shop.write(seen.webs[0], 1)

    servers.database.up()
    for process in seen.processes:
        process.ready()
    seen.degraded = [process.readyz() for process in seen.processes]
    seen.taken = shop.write(seen.webs[1], 2).status_code
    seen.upload = shop.call(seen.webs[0], "POST", "/v1/documents", json={"title": "x", "text": "y"}).status_code
    seen.search = shop.call(seen.webs[0], "POST", "/v1/search", json={"query": "x"}).status_code
    seen.early = list(shop.replies([2]).elements())
    servers.vectors.up()
    servers.files.up()
    began = time.monotonic()
    shop.answered([2])
    seen.answered_after = time.monotonic() - began
    return seen


@pytest.fixture
def running(cold) -> Cold:
    """The same processes, with everything up again."""
    for process in cold.processes:
        process.ready()
    return cold


@contextmanager
def _down(server: Relay) -> Iterator[None]:
    server.down()
    try:
        yield
    finally:
        server.up()


def _take(count: int) -> list[int]:
    return list(itertools.islice(_numbers, count))


def _part(process: Process, name: str) -> str:
    return str(process.readyz()[1]["parts"].get(name))


def test_without_its_database_a_process_lives_and_says_what_is_missing(cold):
    assert cold.alive == [200] * 4
    expected = {"status": "unavailable", "parts": {"start": "starting", "database": "down"}}
    assert cold.starting == [(503, expected)] * 4
    for process in cold.processes:
        waits, answers = [line["message"] for line in process.lines(logger="app.process", level="WARNING")]
        assert waits.startswith("waiting for the database: Nothing listens at the address of JOBX_DATABASE_URL")
        assert answers == "the database answers"


def test_without_its_database_a_webhook_is_to_come_again(cold):
    assert cold.refused.status_code == 503
    assert cold.refused.headers["content-type"] == "application/problem+json"
    assert int(cold.refused.headers["retry-after"]) > 0
    assert cold.shop.replies([1]).total() == 0


def test_without_vectors_and_files_messages_are_taken_and_answered_when_they_are_back(cold):
    for status, body in cold.degraded:
        assert (status, body["status"]) == (200, "degraded")
        assert (body["parts"]["vectors"], body["parts"]["files"], body["parts"]["database"]) == ("down", "down", "ok")
    assert (cold.taken, cold.early) == (200, [])
    assert (cold.upload, cold.search) == (503, 503)
    assert "30 days" in cold.shop.texts(2)[0]
    for process in cold.processes:
        assert process.said("is not answering")
        assert process.said("the file store does not answer yet")
        assert "Traceback" not in process.log.read_text()


def test_a_database_that_is_restarted_under_load_loses_and_doubles_nothing(running, servers):
    shop = running.shop
    with Balancer(shop, running.webs).load(_numbers, threads=6, pause=0.02) as sent:
        time.sleep(0.7)
        servers.postgres.stop()
        until(lambda: 503 in sent.answers.values())
        time.sleep(0.5)
        servers.start_postgres()
        for web in running.webs:
            web.ready()
        until(lambda: list(sent.answers.values())[-12:] == [200] * 12)
    assert set(sent.answers.values()) == {200, 503}
    shop.answered([number for number, status in sent.answers.items() if status == 200])
    # A refused one may have been stored all the same: where the connection broke while it committed.
    assert max(shop.replies(sent.answers).values()) == 1
    for web in running.webs:
        assert web.said("part database is down")
        assert web.said("part database answers again")


def test_a_database_that_is_full_refuses_what_it_cannot_store_and_then_serves(running, servers):
    shop, (before, after) = running.shop, (_take(3), _take(3))
    for number in before:
        assert shop.write(running.webs[0], number).status_code == 200
    with psycopg.connect(running.site.database.conninfo(), autocommit=True) as host:
        host.execute("alter role jobx_app connection limit 0")
        host.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'jobx_app'")
        try:
            refused = shop.write(running.webs[0], after[0])
            assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert running.webs[0].readyz()[0] == 503
            assert _part(running.webs[0], "database") == "down"
        finally:
            host.execute("alter role jobx_app connection limit -1")
    for number in after:
        assert shop.write(running.webs[0].ready(), number).status_code == 200
    shop.answered([*before, *after])


@pytest.mark.parametrize(
    "fault",
    [failed(500, "canary"), Slow(4), Cut(executed=True), Half()],
    ids=["errors", "slow", "cut", "half answers"],
)
def test_a_qdrant_in_trouble_delays_answers_and_loses_none(running, servers, fault: Fault):
    shop, numbers = running.shop, _take(2)
    servers.qdrant.fault(fault, "POST .*/query", times=_ALWAYS)
    try:
        for number, web in zip(numbers, running.webs, strict=True):
            assert shop.write(web, number).status_code == 200
        time.sleep(1.0)
        assert shop.replies(numbers).total() == 0
    finally:
        servers.qdrant.heal()
    shop.answered(numbers)
    assert all("30 days" in shop.texts(number)[0] for number in numbers)


def test_a_qdrant_that_goes_away_is_told_and_forgiven(running, servers):
    shop, web, numbers = running.shop, running.webs[0], _take(2)
    with _down(servers.vectors):
        for number in numbers:
            assert shop.write(web, number).status_code == 200
        until(lambda: _part(web, "vectors") == "down")
        assert web.readyz()[0] == 200
        assert shop.replies(numbers).total() == 0
    shop.answered(numbers)
    assert all("30 days" in shop.texts(number)[0] for number in numbers)
    until(lambda: _part(web, "vectors") == "ok")


def test_a_file_store_that_is_gone_costs_uploads_and_no_answers(running, servers):
    shop, (number,) = running.shop, _take(1)
    with _down(servers.files):
        document = shop.call(running.webs[0], "POST", "/v1/documents", json={"title": "Late", "text": "Late."})
        assert (document.status_code, document.json()["code"]) == (503, "storage_unavailable")
        assert shop.write(running.webs[0], number).status_code == 200
        shop.answered([number])
    shop.read(running.webs[0], "Late", "Late but here.")


def test_a_provider_that_is_away_gets_the_reply_once_it_is_back(running, servers):
    shop, (number,) = running.shop, _take(1)
    with _down(servers.provider):
        assert shop.write(running.webs[0], number).status_code == 200
        until(lambda: any(worker.lines(outcome="retry", channel="telegram") for worker in running.workers))
        assert shop.replies([number]).total() == 0
    shop.answered([number])


def test_a_provider_that_breaks_off_is_never_told_twice(running, servers):
    shop, (number,) = running.shop, _take(1)
    servers.telegram.fail("sendMessage", cut(acts=True))
    assert shop.write(running.webs[0], number).status_code == 200
    shop.answered([number])
    (conversation, *_) = shop.call(running.webs[0], "GET", "/v1/conversations").json()["conversations"]
    path = f"/v1/conversations/{conversation['id']}/messages"
    _, reply = shop.call(running.webs[0], "GET", path).json()["messages"]
    assert (reply["status"], reply["turn"]["outcome"], reply["turn"]["reason"]) == (
        "unknown",
        "handed_off",
        "send_unknown",
    )


def test_no_secret_and_no_traceback_came_into_the_logs(running):
    logs = "".join(process.log.read_text() for process in running.processes)
    for secret in (APP_PASSWORD, "canary", "30 days", running.shop.key, running.shop.secret, "simulated-token"):
        assert secret not in logs
    assert "Traceback" not in logs
