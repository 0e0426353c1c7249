"""What a benchmark runs on: a PostgreSQL of its own with one tenant, and Jobx processes as an operator starts them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
from psycopg import sql

from app.agents.schemas import AgentCreate
from app.agents.service import create_agent
from app.channels.base import Account
from app.channels.connections import store
from app.crypto import MasterKey
from app.db import Database, DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres
from app.keys.service import Vault
from app.migrations.runner import migrate
from app.models import new_id
from app.simulators.telegram import text_update
from app.tenants.service import create_tenant
from bench.bare import TABLE
from bench.load import Request
from bench.partners import MODEL

ROOT = Path(__file__).resolve().parents[1]
MASTER = MasterKey(sha256(b"the master key of the benchmarks").digest())
BOT = 7_000_000_001
METRICS_TOKEN = "token-of-the-bench"
FIRST_CHAT = 6_000_000_000
# Exporting the embedding model takes half a minute; this is where the tests keep theirs.
_MODELS = ROOT / ".cache" / "embeddings"
_APP_PASSWORD = "password-of-jobx-app"
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Started:
    """A process of the stage: what it is for ("web", "worker", …), and where it listens."""

    kind: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path


@dataclass
class Stage:
    """One tenant with one Telegram connection on a database of its own, and the processes started on it."""

    admin: DatabaseAddress
    address: DatabaseAddress
    folder: Path
    tenant_id: UUID
    api_key: str
    connection_id: UUID
    handoff_message: str
    processes: list[Started] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    _next: int = 0

    def numbers(self, count: int) -> int:
        """The first of `count` numbers that no message has: one that came before would not be stored again."""
        first, self._next = self._next, self._next + count
        return first

    def message(self, number: int, text: str, chat: int | None = None) -> Request:
        """A signed webhook: a message by its number, from a chat of its own unless one is given."""
        update = text_update(
            FIRST_CHAT + (number if chat is None else chat), text, update_id=number + 1, message_id=number + 1
        )
        headers = {
            "Content-Type": "application/json",
            "X-Telegram-Bot-Api-Secret-Token": MASTER.webhook_secret(self.connection_id),
        }
        return Request(f"/webhooks/telegram/{self.connection_id}", headers, json.dumps(update).encode())

    async def start(self, kind: str, *arguments: str, env: Mapping[str, str] | None = None) -> Started:
        """Start a Python module with this stage's settings; returns once it is ready. {port} becomes its port."""
        port = free_port()
        log = self.folder / f"{kind}-{port}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", *(argument.replace("{port}", str(port)) for argument in arguments)],
                cwd=ROOT,
                env={**_own_environment(), **self._settings(port), **(env or {})},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        started = Started(kind, port, process, log)
        self.processes.append(started)
        await _ready(started)
        return started

    async def jobx(self, *kinds: str, env: Mapping[str, str] | None = None) -> list[Started]:
        """A process of Jobx for each kind, "web" or "worker", started at the same time."""
        commands = {"web": "serve", "worker": "worker"}
        return await asyncio.gather(*[self.start(kind, "app.cli", commands[kind], env=env) for kind in kinds])

    async def surroundings(self) -> None:
        """Start what Jobx talks to: the vector server, the provider and the model."""
        modules = {"vectors": "tests.fakes.qdrant", "provider": "bench.partners", "model": "bench.partners"}
        started = await asyncio.gather(*[self.start(kind, module, "{port}") for kind, module in modules.items()])
        self.ports = {process.kind: process.port for process in started}

    def of(self, kind: str) -> list[Started]:
        """The processes of one kind."""
        return [started for started in self.processes if started.kind == kind]

    def stop(self, *kinds: str) -> None:
        """End the processes of these kinds, all of them without any, and wait for them."""
        ending = [started for started in self.processes if not kinds or started.kind in kinds]
        for started in ending:
            started.process.send_signal(signal.SIGTERM)
        for started in ending:
            try:
                started.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                started.process.kill()
                started.process.wait()
            self.processes.remove(started)

    def _settings(self, port: int) -> dict[str, str]:
        where = {kind: f"http://127.0.0.1:{number}" for kind, number in self.ports.items()}
        settings = {
            "JOBX_DATABASE_URL": self.address.url,
            "JOBX_MASTER_KEY": b64encode(MASTER.key).decode(),
            "JOBX_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "JOBX_DATA_DIR": str(self.folder / "data"),
            "JOBX_MODEL_DIR": str(_MODELS),
            "JOBX_PORT": str(port),
            "JOBX_DRAIN_SECONDS": "0",
            "JOBX_METRICS_TOKEN": METRICS_TOKEN,
        }
        if "vectors" in where:
            settings["JOBX_QDRANT_URL"] = where["vectors"]
        if "provider" in where:
            settings["JOBX_TELEGRAM__API_BASE"] = where["provider"]
        if "model" in where:
            model = {"JOBX_MODELS": f"openai/{MODEL}", "JOBX_MODEL_API_BASE": f"{where['model']}/v1"}
            settings |= model | {"OPENAI_API_KEY": "none"}
        return settings


@asynccontextmanager
async def stage(**server: str) -> AsyncIterator[Stage]:
    """A stage, taken down at the end; `server` are settings of PostgreSQL that Jobx does not need."""
    with tempfile.TemporaryDirectory(prefix="jobx-bench-") as name, _postgres(Path(name), server) as (admin, address):
        found = await _furnish(admin, address, Path(name))
        try:
            yield found
        finally:
            found.stop()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _postgres(folder: Path, settings: Mapping[str, str]) -> Iterator[tuple[DatabaseAddress, DatabaseAddress]]:
    postgres = EmbeddedPostgres(folder)
    with postgres as server, psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        for name, value in settings.items():
            connection.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(name), value))
    # Some settings are read at the start only.
    with postgres as server:
        admin = DatabaseAddress(server.sqlalchemy_url("postgres"))
        migrate(admin, _APP_PASSWORD)
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            connection.execute(TABLE)
        yield admin, admin.as_app(_APP_PASSWORD)


async def _furnish(admin: DatabaseAddress, address: DatabaseAddress, folder: Path) -> Stage:
    db = Database(address)
    vault = Vault(db, MASTER)
    tenant_id, api_key = await create_tenant(vault, "Bench")
    connection_id = new_id()
    async with vault.session(tenant_id) as session:
        values = AgentCreate(name="Fin").model_dump(exclude={"knowledge"})
        agent = await create_agent(session, {**values, "document_ids": []})
        token = {"token": f"{BOT}:{'simulated-token-' * 3}"}
        account = Account(str(BOT), "Bench", {})
        await store(session, connection_id, "telegram", agent.id, account, token, simulated=False)
    await db.close()
    return Stage(admin, address, folder, tenant_id, api_key, connection_id, values["handoff_message"])


def _own_environment() -> dict[str, str]:
    """This process's environment without settings of Jobx that a developer may have."""
    ours = ("JOBX_", "OTEL_", "OPENAI_", "ANTHROPIC_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


async def _ready(started: Started) -> None:
    """Return when /readyz answers 200, or anything on a port that has none; the log is the error if it does not."""
    deadline = time.monotonic() + _START_SECONDS
    async with httpx.AsyncClient(trust_env=False) as client:
        while time.monotonic() < deadline and started.process.poll() is None:
            try:
                status = (await client.get(f"http://127.0.0.1:{started.port}/readyz")).status_code
            except httpx.TransportError:
                status = None
            if status in (httpx.codes.OK, httpx.codes.NOT_FOUND):
                return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{started.kind} did not start:\n{started.log.read_text()}")
