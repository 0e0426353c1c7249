"""Jobx in this process on its embedded stores, as `jobx up` has them, for benchmarks of its knowledge."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import func, select

from app import assembly
from app.health import Readiness
from app.main import create_app
from app.migrations.runner import migrate
from app.models import DocumentVersion
from app.runtime import Runtime
from app.settings import Settings
from app.worker import BLUEPRINTS, run_worker

ROOT = Path(__file__).resolve().parents[1]
_SAY_SECONDS = 15.0
_POLL_SECONDS = 0.5
Say = Callable[[str], None]


def settings_in(folder: Path) -> Settings:
    """The environment's settings with the embedded stores, which are below `folder`, and without any server."""
    environment = Settings()
    return environment.model_copy(
        update={
            "data_dir": folder,
            "model_dir": environment.model_dir or ROOT / ".cache" / "embeddings",
            "database_url": None,
            "qdrant_url": None,
            "s3": type(environment.s3)(bucket=None),
            "models": (),
            "anthropic_api_key": None,
            "openai_api_key": None,
            **dict.fromkeys(("master_key", "master_key_file", "master_key_command"), None),
            **dict.fromkeys(("master_key_previous", "master_key_previous_file"), None),
        }
    )


@contextlib.asynccontextmanager
async def jobx(settings: Settings, say: Say) -> AsyncIterator[Runtime]:
    """Web and worker in one process, with a database that is made for it."""
    with assembly.database(settings) as (admin, password):
        await asyncio.to_thread(migrate, admin, password)
        address = assembly.service_address(admin, password)
        readiness, stop = Readiness(ready=True), asyncio.Event()
        async with assembly.running(settings, address, readiness, say, blueprints=BLUEPRINTS) as runtime:
            worker = asyncio.create_task(run_worker(runtime, stop, share="documents", sole=True))
            try:
                yield runtime
            finally:
                stop.set()
                await worker


@contextlib.asynccontextmanager
async def client(runtime: Runtime, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API, without a socket."""
    transport, headers = httpx.ASGITransport(create_app(runtime)), {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://jobx.bench", headers=headers) as found:
        yield found


async def until_read(runtime: Runtime, tenant_id: UUID, documents: int, say: Say) -> None:
    """Wait until every document is ready or has failed."""
    waiting = select(func.count()).where(DocumentVersion.status.in_(("pending", "running")))
    said = -_SAY_SECONDS
    while True:
        async with runtime.vault.session(tenant_id) as session:
            left = await session.scalar(waiting) or 0
        if not left:
            return
        if time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            say(f"reading and embedding, {documents - left} of {documents} documents")
        await asyncio.sleep(_POLL_SECONDS)


async def unread(runtime: Runtime, tenant_id: UUID) -> dict[str, int]:
    """How many documents could not be read, by the reason in words."""
    query = select(DocumentVersion).where(DocumentVersion.status == "failed")
    async with runtime.vault.session(tenant_id) as session:
        return dict(Counter(str(version.error) for version in await session.scalars(query)))
