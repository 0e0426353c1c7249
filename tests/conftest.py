"""Real parts for every test: one embedded PostgreSQL per test process, a migrated template cloned per test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg import sql

from app.assembly import new_metrics, new_pressure, page_fetcher, webhook_poster
from app.crypto import MasterKey
from app.db import Database, DatabaseAddress
from app.embedded.postgres import EmbeddedPostgres, PostgresAddress
from app.health import Monitor, Readiness
from app.keys.service import Vault
from app.main import create_app
from app.migrations.runner import migrate
from app.queue import Queue
from app.runtime import Runtime
from app.settings import Settings
from app.simulators.telegram import TelegramSimulator
from app.storage import LocalStorage
from app.tenants.service import create_tenant
from app.worker import BLUEPRINTS
from graphs.llm import LanguageModel
from graphs.models import EXTRACTIVE, ModelConfig
from ingestion.parse import Parser
from tests.embedding_cache import cached_embedder
from tests.tenant import Tenant
from vectorstore.edge import EdgeIndex
from vectorstore.embeddings import Embedder

APP_PASSWORD = "password-of-jobx-app"
MASTER_KEY = MasterKey(sha256(b"the master key of the tests").digest())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresAddress]:
    """One server for the test process; it waits for no disk, as no test takes the machine's power away."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    address = server.start()
    with psycopg.connect(address.dsn("postgres"), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        connection.execute("select pg_reload_conf()")
    yield address
    server.stop()


@pytest.fixture(scope="session")
def template(postgres: PostgresAddress) -> str:
    """The name of a migrated database without rows."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create database template_jobx")
    migrate(DatabaseAddress(postgres.sqlalchemy_url("template_jobx")), APP_PASSWORD)
    return "template_jobx"


@pytest.fixture
def admin(postgres: PostgresAddress, template: str, request: pytest.FixtureRequest) -> Iterator[DatabaseAddress]:
    """A database of the test's own, by its administrator's address."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        clone = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        connection.execute(clone)
        connection.execute(sql.SQL("grant connect on database {} to jobx_app").format(sql.Identifier(name)))
        yield DatabaseAddress(postgres.sqlalchemy_url(name))
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def address(admin: DatabaseAddress) -> DatabaseAddress:
    """The same database as the service sees it: logged in as jobx_app."""
    return admin.as_app(APP_PASSWORD)


@pytest.fixture
async def db(address: DatabaseAddress) -> AsyncIterator[Database]:
    """A pool of connections as jobx_app."""
    database = Database(address)
    yield database
    await database.close()


@pytest.fixture
def vault(db: Database) -> Vault:
    """Tenants' transactions."""
    return Vault(db, MASTER_KEY)


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real embedding model, exported once and kept in the project's cache."""
    return cached_embedder()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a test: no waiting for a burst, and no key of the developer's own environment."""
    return Settings(
        data_dir=tmp_path / "data",
        burst_wait_seconds=0,
        anthropic_api_key=None,
        openai_api_key=None,
    )


@pytest.fixture
def telegram() -> TelegramSimulator:
    """A Bot API in the process, behind every provider call of the runtime."""
    return TelegramSimulator(accept_any_token=True)


@pytest.fixture
async def runtime(
    settings: Settings,
    address: DatabaseAddress,
    db: Database,
    vault: Vault,
    embedder: Embedder,
    telegram: TelegramSimulator,
    tmp_path: Path,
) -> AsyncIterator[Runtime]:
    """All parts, as `jobx up` puts them together, with the providers replaced at the wire."""
    queue = Queue(address, BLUEPRINTS)
    index = EdgeIndex(tmp_path / "qdrant", embedder.dimension)
    parser = Parser()
    metrics = new_metrics([EXTRACTIVE], BLUEPRINTS)
    pressure = new_pressure(settings, queue, metrics)
    llm = LanguageModel([ModelConfig(EXTRACTIVE)], embed=embedder.embed_sentences, observe=metrics.model_call)
    async with queue.app.open_async(), httpx.AsyncClient(transport=httpx.ASGITransport(telegram.app)) as wire:
        yield Runtime(
            settings=settings,
            db=db,
            vault=vault,
            queue=queue,
            storage=LocalStorage(tmp_path / "files"),
            index=index,
            embedder=embedder,
            parser=parser,
            fetcher=page_fetcher(settings),
            poster=webhook_poster(settings),
            llm=llm,
            provider_http={"telegram": wire},
            simulated_http={"telegram": wire},
            metrics=metrics,
            pressure=pressure,
            monitor=Monitor({"database": db.ping, "queue": pressure.check}, metrics),
            readiness=Readiness(ready=True),
        )
    await parser.close()
    await index.close()
    await llm.aclose()


@pytest.fixture
def app(runtime: Runtime) -> FastAPI:
    """The web application."""
    return create_app(runtime)


@pytest.fixture
async def make_tenant(app: FastAPI, runtime: Runtime) -> AsyncIterator[Callable[..., Awaitable[Tenant]]]:
    """Make tenants, each with a client that carries its first key."""
    clients: list[httpx.AsyncClient] = []

    async def make(name: str = "Shop") -> Tenant:
        tenant_id, key = await create_tenant(runtime.vault, name)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://jobx.test",
            headers={"Authorization": f"Bearer {key}"},
        )
        clients.append(client)
        return Tenant(tenant_id, key, client, runtime)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def tenant(make_tenant: Callable[..., Awaitable[Tenant]]) -> Tenant:
    """One tenant."""
    return await make_tenant()


@pytest.fixture
def run_jobs(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Run every job that is due, and those that they add, until there is none; `once` leaves those they add."""

    async def due() -> bool:
        jobs = await runtime.queue.app.job_manager.list_jobs_async(status="todo")
        return any(job.scheduled_at is None or job.scheduled_at <= datetime.now(UTC) for job in jobs)

    async def run(once: bool) -> None:
        # A worker that does not wait ends with the jobs it found; those may have added more.
        while await due():
            await runtime.queue.app.run_worker_async(
                wait=False,
                concurrency=4,
                listen_notify=False,
                install_signal_handlers=False,
                delete_jobs="successful",
                additional_context={"runtime": runtime},
            )
            if once:
                return

    return lambda once=False: asyncio.wait_for(run(once), 60)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Slow e2e files go first, so that parallel processes end together."""
    items.sort(key=lambda item: "/e2e/" not in str(item.path))
