"""Jobx in this process on its embedded stores, as `jobx up` has them, for benchmarks of its knowledge."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import select

from app import scratch
from app.main import create_app
from app.models import DocumentVersion
from app.runtime import Runtime
from app.scratch import jobx
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
Say = Callable[[str], None]
__all__ = ["ROOT", "Say", "client", "jobx", "settings_in", "unread", "until_read"]


def settings_in(folder: Path) -> Settings:
    """The environment's settings with the embedded stores, which are below `folder`, without any model or server."""
    environment = Settings()
    models = environment.model_dir or ROOT / ".cache" / "embeddings"
    plain = {"model_dir": models, "models": (), "anthropic_api_key": None, "openai_api_key": None}
    usual = {"ingestion_concurrency": environment.ingestion_concurrency}
    return scratch.settings_in(folder, environment.model_copy(update=plain)).model_copy(update=usual)


@contextlib.asynccontextmanager
async def client(runtime: Runtime, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API, without a socket."""
    transport, headers = httpx.ASGITransport(create_app(runtime)), {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://jobx.bench", headers=headers) as found:
        yield found


async def until_read(runtime: Runtime, tenant_id: UUID, documents: int, say: Say) -> None:
    """Wait until every document is ready or has failed."""
    await scratch.until_read(runtime, tenant_id, documents, scratch.now_and_then(say, "reading and embedding"))


async def unread(runtime: Runtime, tenant_id: UUID) -> dict[str, int]:
    """How many documents could not be read, by the reason in words."""
    query = select(DocumentVersion).where(DocumentVersion.status == "failed")
    async with runtime.vault.session(tenant_id) as session:
        return dict(Counter(str(version.error) for version in await session.scalars(query)))
