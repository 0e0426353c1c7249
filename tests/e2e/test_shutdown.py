"""Processes that are asked to end, or killed: no webhook is refused, no turn is cut, and none is answered twice."""

import asyncio
import contextlib
import itertools
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from app.liveness import SPACE
from app.queue import Queue
from app.simulators.faults import slow
from app.simulators.telegram import TelegramSimulator
from tests.e2e.around import Balancer, SlowModel, refuses, slow_model
from tests.e2e.processes import QUESTION, Process, Shop, Site, furnished_shop, until
from tests.graphs.fake_openai import Reply

_REPLY = "You can return any item within 30 days of delivery [1]."
_SHUTDOWN_SECONDS = 4.0
_SLOTS = 2
_numbers = itertools.count(1000)


@dataclass
class Stage:
    """A shop whose model can be slow, one web process, and two workers; a test that ends one need not replace it."""

    site: Site
    shop: Shop
    model: SlowModel
    telegram: TelegramSimulator
    web: Process
    workers: list[Process] = field(default_factory=list)

    def pair(self) -> tuple[Process, Process]:
        """Two workers that run."""
        self.workers = [worker for worker in self.workers if worker.popen.poll() is None]
        while len(self.workers) < 2:
            self.workers.append(self.site.start("worker"))
        for worker in self.workers:
            worker.ready()
        return self.workers[0], self.workers[1]

    def write(self, count: int) -> list[int]:
        """Messages of so many customers, all taken."""
        numbers = _take(count)
        assert [self.shop.write(self.web, number).status_code for number in numbers] == [200] * count
        return numbers

    def statuses(self) -> list[str]:
        """Those of the messages of the newest conversation."""
        (conversation, *_) = self.shop.call(self.web, "GET", "/v1/conversations").json()["conversations"]
        path = f"/v1/conversations/{conversation['id']}/messages"
        return [message["status"] for message in self.shop.call(self.web, "GET", path).json()["messages"]]

    @contextlib.contextmanager
    def sql(self) -> Iterator[psycopg.Connection]:
        """The queue's tables."""
        options = "-c search_path=queue"
        with psycopg.connect(self.site.database.conninfo(), autocommit=True, options=options) as connection:
            yield connection

    def is_seen(self, workers: int) -> bool:
        """Whether so many workers hold the locks that tell that they live."""
        query = "select count(distinct pid) from pg_locks where locktype = 'advisory' and classid = %s and granted"
        with self.sql() as connection:
            return connection.execute(query, (SPACE,)).fetchone() == (workers,)

    def half_a_minute_later(self) -> None:
        """As if nobody had given a sign of life for that long; a living worker does within seconds."""
        with self.sql() as connection:
            connection.execute("update procrastinate_workers set last_heartbeat = now() - interval '31 seconds'")


@pytest.fixture(scope="module")
def built(make_site, database, qdrant, bot_api) -> Iterator[Stage]:
    telegram, api_base = bot_api
    with slow_model() as model:
        model.default = lambda _request: Reply(_REPLY)
        settings = {
            "JOBX_QDRANT_URL": qdrant[1],
            "JOBX_TELEGRAM__API_BASE": api_base,
            "JOBX_MODELS": "openai/slow",
            "JOBX_MODEL_API_BASE": model.url,
            "OPENAI_API_KEY": "key-canary",
            "JOBX_ANSWER_CONCURRENCY": str(_SLOTS),
            "JOBX_SHUTDOWN_SECONDS": str(_SHUTDOWN_SECONDS),
        }
        site = make_site(database, settings)
        yield Stage(site, furnished_shop(site, telegram), model, telegram, site.start("serve").ready())


@pytest.fixture
def stage(built) -> Iterator[Stage]:
    built.model.seconds, built.model.asked = 0.0, 0
    yield built
    with built.sql() as connection:
        connection.execute("truncate procrastinate_jobs cascade")


@contextlib.contextmanager
def _held(process: Process) -> Iterator[None]:
    """Keep a process from doing anything, so that the other one does it."""
    process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(signal.SIGCONT)


def _take(count: int) -> list[int]:
    return list(itertools.islice(_numbers, count))


def _answers(worker: Process) -> int:
    return len(worker.lines(job="conversations:answer", outcome="succeeded"))


def test_no_webhook_is_refused_while_one_of_two_web_processes_ends(stage):
    ending = stage.site.start("serve", JOBX_DRAIN_SECONDS="3").ready()
    with Balancer(stage.shop, [ending, stage.web]).load(_numbers, threads=3, pause=0.02) as sent:
        time.sleep(0.5)
        ending.send()
        until(lambda: ending.readyz()[0] == 503)
        assert ending.readyz()[1]["parts"]["start"] == "stopping"
        assert httpx.get(f"{ending.url}/livez").headers["connection"] == "close"
        assert ending.popen.wait(60) == 0
        time.sleep(0.3)
    assert set(sent.answers.values()) == {200}
    assert 3 < len(sent.by_port[ending.port]) < len(sent.by_port[stage.web.port])
    assert refuses(ending.port)
    with stage.sql() as connection:
        query = "select count(*) from tenant.inbound_events where handled_at is null"
        assert connection.execute(query).fetchone() == (len(sent.answers),)
        connection.execute("delete from tenant.inbound_events")


def test_requests_in_work_end_before_their_process_does(stage):
    """One that waits for the model, and one whose body is still under way."""
    web = stage.site.start("serve").ready()
    stage.model.seconds = 1.0
    answers: list[httpx.Response] = []
    path = f"/v1/agents/{stage.shop.agent}/reply"
    asking = threading.Thread(
        target=lambda: answers.append(stage.shop.call(web, "POST", path, json={"message": QUESTION}))
    )
    asking.start()
    where, headers, body = stage.shop.webhook(*_take(1))
    lines = [f"POST {where} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())]) + "\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(head.encode() + body[:40])
        until(lambda: stage.model.asked)
        web.send()
        until(lambda: refuses(web.port))
        client.sendall(body[40:])
        client.settimeout(60)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    asking.join()
    assert answers[0].status_code == 200
    assert "30 days" in answers[0].json()["reply"]
    assert web.popen.wait(60) == 0


def test_a_worker_that_ends_cuts_no_turn_and_begins_none(stage):
    one, other = stage.pair()
    stage.model.seconds = 1.0
    before = _answers(other)
    with _held(other):
        numbers = stage.write(2 * _SLOTS + 2)
        until(lambda: stage.model.asked == _SLOTS)
        one.send()
        time.sleep(0.2)
    assert one.popen.wait(60) == 0
    assert not one.lines(outcome="aborted")
    assert _answers(one) == _SLOTS
    stage.shop.answered(numbers)
    assert _answers(other) - before == len(numbers) - _SLOTS
    assert stage.model.asked == len(numbers)


def test_a_turn_that_takes_too_long_is_handed_to_the_other_worker(stage):
    one, other = stage.pair()
    stage.model.seconds = 25.0
    with _held(other):
        numbers = stage.write(1)
        until(lambda: stage.model.asked)
        stage.model.seconds = 0.0
        one.send()
        time.sleep(0.2)
    assert one.popen.wait(60) == 0
    (cut,) = one.lines(job="conversations:answer", outcome="aborted")
    assert cut["level"] == "INFO"
    assert cut["ms"] < 15_000
    stage.shop.answered(numbers)
    assert stage.model.asked == 2
    (done,) = other.lines(job="conversations:answer", outcome="succeeded", job_id=cut["job_id"])
    # Being cut is not the job's fault, and costs it none of its attempts.
    assert done["attempt"] == 1


def test_the_turns_of_a_killed_worker_are_taken_over_and_answered_once(stage):
    one, other = stage.pair()
    until(lambda: stage.is_seen(2))
    stage.model.seconds = 25.0
    with _held(other):
        numbers = stage.write(_SLOTS)
        until(lambda: stage.model.asked == _SLOTS)
        one.kill()
        killed = datetime.now(UTC)
        stage.model.seconds = 0.0
    stage.shop.answered(numbers)
    (line,) = [line for line in other.lines() if f"{_SLOTS} jobs of dead workers were put back" in line["message"]]
    # By its free lock: its silence alone would tell after half a minute.
    assert datetime.fromisoformat(line["time"]) - killed < timedelta(seconds=25)


def test_what_a_killed_worker_may_have_sent_is_not_sent_again(stage):
    one, other = stage.pair()
    stage.telegram.fail("sendMessage", slow(25))
    with _held(other):
        numbers = stage.write(1)
        until(lambda: stage.shop.replies(numbers)[numbers[0]])
        one.kill()
        stage.half_a_minute_later()
    stage.shop.answered(numbers)
    assert stage.statuses() == ["received", "unknown"]


async def test_workers_that_look_for_the_dead_at_once_release_each_job_once(stage):
    """Nobody runs the jobs meanwhile: they are of a queue that no worker takes."""
    with stage.sql() as connection:
        (dead,) = connection.execute(
            "insert into procrastinate_workers (last_heartbeat) values (now() - interval '31 seconds') returning id"
        ).fetchone()
        connection.execute(
            "insert into procrastinate_jobs (queue_name, task_name, status, worker_id)"
            " select 'nobody', 'none', 'doing', %s from generate_series(1, 300)",
            (dead,),
        )
    queues = [Queue(stage.site.database) for _ in range(3)]
    for queue in queues:
        await queue.app.open_async()
    released = await asyncio.gather(*(queue.release_stalled(30) for queue in queues))
    again = await queues[0].release_stalled(30)
    for queue in queues:
        await queue.app.close_async()
    assert (sum(released), again) == (300, 0)
    with stage.sql() as connection:
        query = "select status::text, attempts, count(*)::int from procrastinate_jobs group by 1, 2"
        assert connection.execute(query).fetchall() == [("todo", 1, 300)]


@pytest.mark.parametrize(("command", "state"), [("serve", "silent"), ("worker", "away")])
def test_a_process_that_waits_for_its_database_ends_at_once(stage, command, state):
    """Without a drain, as nobody sends it anything, and without the end of its attempt to connect."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if state == "silent" else 1
        url = f"postgresql://u:p@127.0.0.1:{port}/d?connect_timeout=60"
        process = stage.site.start(command, JOBX_DATABASE_URL=url, JOBX_DRAIN_SECONDS="60")
        process.listening()
        assert process.end() < 5


def test_a_second_signal_ends_the_wait_for_the_load_balancer(stage):
    web = stage.site.start("serve", JOBX_DRAIN_SECONDS="60").ready()
    web.send()
    until(lambda: web.readyz()[0] == 503)
    time.sleep(0.3)
    assert web.popen.poll() is None
    assert stage.shop.write(web, *_take(1)).status_code == 200
    assert web.end(signal.SIGINT) < 10


def test_streams_end_at_once_and_go_on_elsewhere(stage):
    """They would hold their process up for as long as it may take to end."""
    web = stage.site.start("serve", JOBX_DRAIN_SECONDS="3", JOBX_SHUTDOWN_SECONDS="60").ready()
    headers = stage.shop.headers
    with httpx.stream("GET", f"{web.url}/v1/events", headers=headers, timeout=30) as answer:
        lines = answer.iter_lines()
        begun = next(line for line in lines if line.startswith("id:")).partition(": ")[2]
        web.send()
        # To its end, which comes while other requests are still taken.
        assert [line for line in lines if line.startswith("event:")] == []
        assert web.readyz()[0] == 503
    assert web.popen.wait(30) == 0
    assert stage.write(1)
    stage.pair()
    headers = {**headers, "Last-Event-ID": begun}
    with httpx.stream("GET", f"{stage.web.url}/v1/events", headers=headers, timeout=30) as answer:
        assert next(line for line in answer.iter_lines() if line.startswith("event:")) == "event: conversation.created"
