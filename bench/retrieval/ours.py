"""Jobx itself: a test set goes through the API, the queue and the pipeline into real stores, and is searched there."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import func, select

from app import assembly
from app.crypto import current_keyring
from app.documents.search import search
from app.health import Readiness
from app.main import create_app
from app.migrations.runner import migrate
from app.models import DocumentVersion
from app.runtime import Runtime
from app.settings import Settings
from app.tenants.service import create_tenant
from app.worker import BLUEPRINTS, run_worker
from bench.retrieval.data import BeirSet
from bench.retrieval.measures import JOBX, Answers
from vectorstore.index import SparseVector
from vectorstore.sparse import SparseEncoder

ROOT = Path(__file__).resolve().parents[2]
PASSAGES = 50
# A search looks deeper than it answers, by this factor.
_DEPTH = 3 * PASSAGES
WEIGHTS = tuple(tenth / 10 for tenth in range(11))
_ENDS = {"bm25": WEIGHTS[0], "dense": WEIGHTS[-1]}
_AT_ONCE = 4
_SAY_SECONDS = 15.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """Answers by system and by weight of meaning, and what became of the documents."""

    systems: Mapping[str, Answers]
    weights: Mapping[float, Answers]
    chunks: int
    # How many documents could not be read, by the reason in words.
    unread: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Knowledge:
    """A tenant's documents: which id of the test set each has."""

    runtime: Runtime
    tenant_id: UUID
    ids: Mapping[str, str]

    def documents(self, found: list[str]) -> list[str]:
        """The ids in the test set of the documents that passages are of, each where its best passage is."""
        return [self.ids[document] for document in dict.fromkeys(found)]


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
            # Reading and storing one document while another is embedded.
            "ingestion_concurrency": 4,
        }
    )


async def answers(test: BeirSet, settings: Settings, say: Say) -> Found:
    """Ingest the documents and ask every question, by each system and each weight."""
    async with _jobx(settings, say) as runtime:
        knowledge = await _ingested(runtime, test, say)
        say(f"asking {len(test.queries)} questions")
        turn = asyncio.Semaphore(_AT_ONCE)
        systems = {JOBX: await _ask(knowledge, test, turn)}
        say("the same with weights of 0 to 1")
        weights = await _sweep(knowledge, test, turn)
        # The same search by words alone, and by meaning alone.
        systems |= {name: weights[weight] for name, weight in _ENDS.items()}
        unread = await _unread(runtime, knowledge.tenant_id)
        chunks = await runtime.index.count(knowledge.tenant_id)
    return Found(systems, weights, chunks, unread)


@contextlib.asynccontextmanager
async def _jobx(settings: Settings, say: Say) -> AsyncIterator[Runtime]:
    """Web and worker in one process on the embedded stores, as `jobx up` has them."""
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


async def _ingested(runtime: Runtime, test: BeirSet, say: Say) -> _Knowledge:
    say(f"uploading {len(test.documents)} documents")
    tenant_id, key = await create_tenant(runtime.vault, "Bench")
    ids: dict[str, str] = {}
    # The same bytes again would be the same document: each further one of a text ends with one more empty line.
    copies: Counter[str] = Counter()
    transport, headers = httpx.ASGITransport(create_app(runtime)), {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://jobx.bench", headers=headers) as client:
        for number, entry in enumerate(test.documents):
            text = entry.text.rstrip("\n")
            data = (text + "\n" * copies[text]).encode()
            copies[text] += 1
            # A name of its own makes it a document of its own, whatever its title is.
            file = (f"{number}.txt", data, "text/plain")
            answer = await client.post("/v1/documents", files={"file": file}, data={"title": entry.title})
            answer.raise_for_status()
            ids[answer.json()["id"]] = entry.id
    if len(ids) != len(test.documents):
        raise RuntimeError(f"{len(test.documents)} uploads became {len(ids)} documents")
    await _read(runtime, tenant_id, len(ids), say)
    return _Knowledge(runtime, tenant_id, ids)


async def _read(runtime: Runtime, tenant_id: UUID, documents: int, say: Say) -> None:
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
        await asyncio.sleep(0.2)


async def _unread(runtime: Runtime, tenant_id: UUID) -> dict[str, int]:
    query = select(DocumentVersion).where(DocumentVersion.status == "failed")
    async with runtime.vault.session(tenant_id) as session:
        return dict(Counter(str(version.error) for version in await session.scalars(query)))


async def _ask(knowledge: _Knowledge, test: BeirSet, turn: asyncio.Semaphore) -> Answers:
    async def one(query: str) -> list[str]:
        async with turn:
            passages = await search(knowledge.runtime, knowledge.tenant_id, query, PASSAGES)
        return knowledge.documents([passage.document_id for passage in passages])

    found = await asyncio.gather(*[one(query) for query in test.queries.values()])
    return dict(zip(test.queries, found, strict=True))


async def _sweep(knowledge: _Knowledge, test: BeirSet, turn: asyncio.Semaphore) -> dict[float, Answers]:
    async with knowledge.runtime.vault.session(knowledge.tenant_id):
        encoder = SparseEncoder(current_keyring().index_key())

    async def one(query: str) -> list[list[str]]:
        async with turn:
            dense, sparse = await knowledge.runtime.embedder.embed_query(query), encoder.encode_query(query)
            return [await _matched(knowledge, dense, sparse, weight) for weight in WEIGHTS]

    found = await asyncio.gather(*[one(query) for query in test.queries.values()])
    return {
        weight: dict(zip(test.queries, column, strict=True))
        for weight, column in zip(WEIGHTS, zip(*found, strict=True), strict=True)
    }


async def _matched(knowledge: _Knowledge, dense: list[float], sparse: SparseVector, weight: float) -> list[str]:
    matches = await knowledge.runtime.index.search(knowledge.tenant_id, dense, sparse, _DEPTH, dense_weight=weight)
    return knowledge.documents([str(match.document_id) for match in matches[:PASSAGES]])
