"""A Jobx of its own in this process, on embedded stores in a folder of its own: for evals and benchmarks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select

from app import assembly
from app.health import Readiness
from app.migrations.runner import migrate
from app.models import DocumentVersion
from app.runtime import Runtime
from app.settings import Settings
from app.worker import BLUEPRINTS, run_worker

_POLL_SECONDS = 0.3
_SAY_SECONDS = 15.0
_KEYS = ("master_key", "master_key_file", "master_key_command", "master_key_previous", "master_key_previous_file")
Say = Callable[[str], None]
Show = Callable[[int, int], None]


def settings_in(folder: Path, environment: Settings) -> Settings:
    """The environment's settings with stores of its own below `folder`, no server, and the same embedding models."""
    own = {
        "data_dir": folder,
        "model_dir": environment.model_dir or environment.data_dir / "models",
        "database_url": None,
        "qdrant_url": None,
        "s3": type(environment.s3)(bucket=None),
        "ingestion_concurrency": max(environment.ingestion_concurrency, 4),
    }
    return environment.model_copy(update={**own, **dict.fromkeys(_KEYS)})


@contextlib.asynccontextmanager
async def jobx(settings: Settings, say: Say) -> AsyncIterator[Runtime]:
    """The parts and a worker that reads documents, with a database that is made for it."""
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


async def until_read(runtime: Runtime, tenant_id: UUID, documents: int, show: Show) -> None:
    """Wait until every document is ready or has failed; `show` is told how many of how many are."""
    waiting = select(func.count()).where(DocumentVersion.status.in_(("pending", "running")))
    while True:
        async with runtime.vault.session(tenant_id) as session:
            left = await session.scalar(waiting) or 0
        show(documents - left, documents)
        if not left:
            return
        await asyncio.sleep(_POLL_SECONDS)


def now_and_then(say: Say, what: str) -> Show:
    """A `Show` that says it in words every 15 seconds."""
    said = -_SAY_SECONDS

    def show(done: int, documents: int) -> None:
        nonlocal said
        if done < documents and time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            say(f"{what}, {done} of {documents} documents")

    return show
