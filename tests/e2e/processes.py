"""Jobx's own processes as an operator starts them, and one shop that is served by them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psycopg

from app.agents.schemas import AgentCreate
from app.agents.service import create_agent
from app.assembly import running
from app.channels.base import Account
from app.channels.connections import store
from app.db import DatabaseAddress
from app.documents.service import Upload, add_document
from app.health import Readiness
from app.models import new_id
from app.settings import Settings
from app.simulators.telegram import TelegramSimulator, text_update
from app.tenants.service import create_tenant
from app.worker import BLUEPRINTS
from tests.conftest import MASTER_KEY
from tests.embedding_cache import CACHE

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "7000000001:" + "simulated-token-" * 3
RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
QUESTION = "How many days do I have to return an item?"
_OURS = ("JOBX_", "OTEL_", "ANTHROPIC_", "OPENAI_", "AWS_")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 90.0, told: Callable[[], object] = lambda: "") -> Any:
    """What `condition` returns once that is true; fails after `seconds` with what is then told."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {seconds:g} s: {told()}")


@dataclass
class Process:
    """A running `jobx` command; its standard output and error are in `log`."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def readyz(self) -> tuple[int, dict[str, Any]]:
        """Its status and body; (0, {}) while nothing listens."""
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=10)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def ready(self, seconds: float = 120.0) -> "Process":
        until(lambda: self._alive() and self.readyz()[0] == 200, seconds, self.log.read_text)
        return self

    def listening(self) -> "Process":
        until(lambda: self._alive() and self.readyz()[0], told=self.log.read_text)
        return self

    def lines(self, **fields: Any) -> list[dict[str, Any]]:
        """The lines of its log that have these values."""
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if all(line.get(name) == value for name, value in fields.items())]

    def said(self, part: str) -> list[str]:
        """The log's messages that contain a text."""
        return [line["message"] for line in self.lines() if part in line["message"]]

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.popen.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60.0) -> float:
        """Ask it to end, which it must do well; the seconds that it took."""
        began = time.monotonic()
        self.send(number)
        assert self.popen.wait(seconds) == 0, self.log.read_text()
        return time.monotonic() - began

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def _alive(self) -> bool:
        assert self.popen.poll() is None, self.log.read_text()
        return True


@dataclass
class Site:
    """One Jobx: its database as the administrator has it (None: the embedded one), the settings that its processes
    share, and the processes."""

    database: DatabaseAddress | None
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = {
            **self._admin,
            "JOBX_MASTER_KEY": b64encode(MASTER_KEY.key).decode(),
            "JOBX_PUBLIC_URL": "http://127.0.0.1:9",
            "JOBX_DATA_DIR": str(self.folder / "data"),
            "JOBX_MODEL_DIR": str(CACHE),
            "JOBX_BURST_WAIT_SECONDS": "0",
            "JOBX_DRAIN_SECONDS": "0",
            "JOBX_LOG_FORMAT": "json",
            **self.settings,
        }

    @property
    def _admin(self) -> dict[str, str]:
        return {} if self.database is None else {"JOBX_DATABASE_URL": self.database.url}

    def env(self, **settings: str | None) -> dict[str, str]:
        """The environment of a command; a setting of None is left out."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {name: value for name, value in {**plain, **self.settings, **settings}.items() if value is not None}

    def start(self, *command: str, **settings: str | None) -> Process:
        """Start a command that listens on a port of its own."""
        port = free_port()
        log = self.folder / f"{'-'.join(command).replace('--', '')}-{port}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *command],
                cwd=ROOT,
                env=self.env(JOBX_PORT=str(port), **settings),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(Process(popen, port, log))
        return self.processes[-1]

    def run(self, *command: str, seconds: float = 60, **settings: str | None) -> subprocess.CompletedProcess[str]:
        """Run an administrator's command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *command],
            cwd=ROOT,
            env=self.env(**{**self._admin, **settings}),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def jobs(self) -> Counter[str]:
        """How many jobs have which state."""
        with psycopg.connect(self.database.conninfo(), autocommit=True) as connection:
            rows = connection.execute("select status::text, count(*) from queue.procrastinate_jobs group by 1")
            return Counter(dict(rows.fetchall()))

    def idle(self, seconds: float = 90.0) -> None:
        """Return when no job waits or runs; fails if one failed."""
        until(lambda: not {"todo", "doing"} & set(self.jobs()), seconds, self.jobs)
        assert not self.jobs()["failed"], [process.log.read_text()[-4000:] for process in self.processes]

    def close(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.kill()


@dataclass
class Shop:
    """A tenant with one document and one Telegram bot, made over HTTP as its owner would make it."""

    site: Site
    telegram: TelegramSimulator
    id: str
    key: str
    agent: str = ""
    connection: str = ""
    secret: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def call(self, process: Process, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{process.url}{path}", headers=self.headers, timeout=30, **more)

    def upload(self, process: Process, title: str, text: str) -> str:
        answer = self.call(process, "POST", "/v1/documents", json={"title": title, "text": text})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def status(self, process: Process, document: str) -> str:
        return str(self.call(process, "GET", f"/v1/documents/{document}").json()["status"])

    def read(self, process: Process, title: str, text: str) -> str:
        """Upload a document and wait until it answers."""
        document = self.upload(process, title, text)
        until(lambda: self.status(process, document) == "ready", told=lambda: self.status(process, document))
        return document

    def search(self, process: Process, query: str) -> list[str]:
        answer = self.call(process, "POST", "/v1/search", json={"query": query, "limit": 3})
        assert answer.status_code == 200, answer.text
        return [passage["text"] for passage in answer.json()["passages"]]

    def connect(self, process: Process) -> None:
        self.agent = str(self.call(process, "POST", "/v1/agents", json={"name": "Fin"}).json()["id"])
        body = {"channel": "telegram", "agent_id": self.agent, "token": TOKEN}
        answer = self.call(process, "POST", "/v1/connections", json=body)
        assert answer.status_code == 201, answer.text
        self.connection = str(answer.json()["id"])
        # As Telegram knows it: the secret that it was given with the webhook.
        self.secret = str(self.telegram.webhooks[7000000001]["secret_token"])

    def webhook(self, number: int, text: str = QUESTION) -> tuple[str, dict[str, str], bytes]:
        """The path, headers and body of a customer's message; each number is a customer of its own."""
        update = text_update(number, text, update_id=number, message_id=number)
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.secret, "Content-Type": "application/json"}
        return f"/webhooks/telegram/{self.connection}", headers, json.dumps(update).encode()

    def write(self, process: Process, number: int, text: str = QUESTION) -> httpx.Response:
        """Send a customer's message to one of the web processes."""
        path, headers, body = self.webhook(number, text)
        return httpx.post(f"{process.url}{path}", headers=headers, content=body, timeout=30)

    def replies(self, numbers: Iterable[int] | None = None) -> Counter[int]:
        """How many replies each customer got."""
        found = Counter(int(sent.chat_id) for sent in list(self.telegram.sent))
        return found if numbers is None else Counter({number: found[number] for number in numbers})

    def texts(self, number: int) -> list[str]:
        return [sent.text for sent in list(self.telegram.sent) if int(sent.chat_id) == number]

    def answered(self, numbers: Iterable[int], seconds: float = 90.0) -> None:
        """Return when each customer has exactly one reply, and nothing is under way that could make it two."""
        wanted = set(numbers)
        until(lambda: set(self.replies()) >= wanted, seconds, lambda: (wanted - set(self.replies()), self.site.jobs()))
        self.site.idle(seconds)
        assert self.replies(wanted) == Counter(wanted), self.replies(wanted)


def make_shop(site: Site, telegram: TelegramSimulator) -> Shop:
    """A new tenant, by the command for it."""
    made = site.run("operator", "tenant", "create", "Shop")
    assert made.returncode == 0, made.stderr
    words = made.stdout.split()
    return Shop(site, telegram, words[1], words[-1])


def furnished_shop(site: Site, telegram: TelegramSimulator) -> Shop:
    """A shop with knowledge and a bot, made in this process, which is quicker; every server has to be up."""
    with mock.patch.dict(os.environ, site.env(), clear=True):
        settings = Settings()
    return asyncio.run(_furnish(settings, site, telegram))


async def _furnish(settings: Settings, site: Site, telegram: TelegramSimulator) -> Shop:
    async with running(settings, site.database, Readiness(), lambda _said: None, blueprints=BLUEPRINTS) as runtime:
        tenant, key = await create_tenant(runtime.vault, "Shop")
        connection = new_id()
        async with runtime.vault.session(tenant) as session:
            upload = Upload("Returns", RETURNS.encode(), "text/plain", "Returns")
            await add_document(session, runtime.queue, runtime.storage, upload)
            values = AgentCreate(name="Fin").model_dump(exclude={"knowledge"})
            agent = await create_agent(session, {**values, "document_ids": []})
            account = Account("7000000001", "Shop", {})
            await store(session, connection, "telegram", agent.id, account, {"token": TOKEN}, simulated=False)
        await runtime.queue.app.run_worker_async(
            wait=False,
            listen_notify=False,
            install_signal_handlers=False,
            delete_jobs="successful",
            additional_context={"runtime": runtime},
        )
        assert await runtime.index.count(tenant)
        secret = runtime.vault.master.webhook_secret(connection)
    return Shop(site, telegram, str(tenant), key, str(agent.id), str(connection), secret)
