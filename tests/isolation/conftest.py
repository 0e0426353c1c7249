"""The probes' own tenants, on embedded stores of their own: filled once for all tests of the room."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from app.documents.reindex import answering, queue_one
from app.main import create_app
from proof.probes import embedded
from proof.world import World, run_jobs
from tests.embedding_cache import CACHE


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def inhabited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Three tenants with rows in every table."""
    # The path of a socket is short, and pytest's folders are not.
    folder: Path = tmp_path_factory.mktemp("w")
    async with embedded(folder, CACHE) as world:
        yield world


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def kept(inhabited: World) -> dict[str, str]:
    """Copies of all rows, by table."""
    await inhabited.admin.execute("create schema kept")
    copies = {table.name: f"kept.{table.noun}" for table in inhabited.tables}
    for name, copy in copies.items():
        await inhabited.admin.execute(f"create table {copy} as select * from {name}")
    return copies


@pytest_asyncio.fixture(loop_scope="package")
async def world(inhabited: World, kept: dict[str, str]) -> World:
    """The same tenants with the same rows, behind an application of the test's own."""
    admin = inhabited.admin
    # References are in order once all rows are there.
    await admin.execute("set session_replication_role = replica")
    await admin.execute(f"truncate {', '.join(kept)}")
    for name, copy in kept.items():
        await admin.execute(f"insert into {name} overriding system value select * from {copy}")
    await admin.execute("set session_replication_role = origin")
    fresh = replace(inhabited, app=create_app(inhabited.runtime))
    await fresh.read_catalogue()
    await fresh.refresh(now=True)
    return fresh


@pytest_asyncio.fixture(loop_scope="package")
async def stored(world: World) -> AsyncIterator[World]:
    """The same, for a test that damages files or vectors: they are put back."""
    runtime, victim = world.runtime, world.parties[1]
    files = {key: await runtime.storage.get(victim.id, key) for key in await runtime.storage.keys(victim.id)}
    yield world
    for key, data in files.items():
        await runtime.storage.put(victim.id, key, data)
    async with runtime.vault.session(victim.id) as session:
        for document_id in await answering(session):
            await queue_one(session, runtime.queue, document_id)
    await run_jobs(runtime)
