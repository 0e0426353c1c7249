"""One row: `python -m bench.searching.measure STORE TENANTS CHUNKS QUERIES SEED WHOLE OUT`, in a process of its own.

STORE is "embedded", or "server" for the one at JOBX_QDRANT_URL; CHUNKS is how many each tenant has. With more than one
tenant each question is asked of one drawn at random. WHOLE is 1 to time the whole of a search as well, with its
database.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psutil
import uvloop

from app.assembly import vector_index
from app.documents.search import search
from app.models import Document, DocumentChunk, DocumentVersion
from app.runtime import Runtime
from app.settings import Settings
from app.tenants.service import create_tenant
from bench import embedded
from bench.searching.filling import KEY, Filler
from vectorstore.embeddings import Embedder
from vectorstore.index import VectorIndex
from vectorstore.sparse import SparseEncoder

_LIMIT = 24
_PASSAGES = 8
_WARM = 20
Ask = Callable[[str], Awaitable[object]]


async def measure(
    store: str, tenants: int, chunks: int, queries: int, seed: int, whole: bool, data: Path
) -> dict[str, Any]:
    """Milliseconds of a search in the store alone and with its question's vector; then what the process holds."""
    settings = embedded.settings_in(data)
    embedder = Embedder(settings.embedding_model, settings.model_dir or data)
    await embedder.prepare()
    async with AsyncExitStack() as stack:
        stack.callback(embedder.close)
        index = vector_index(Settings() if store == "server" else settings, embedder.dimension)
        stack.push_async_callback(index.close)
        filler = Filler(seed, embedder.dimension)
        before = _held()
        ids = [uuid4() for _ in range(tenants)]
        for tenant in ids:
            if store == "server":
                stack.push_async_callback(index.drop, tenant)
            await filler.fill(index, tenant, chunks)
        found = await _ask(index, embedder, ids, filler.questions(queries), seed)
        found |= {"before": before, "after": _held()}
    if whole:
        found["whole_ms"] = await _whole(data.with_name("whole"), chunks, queries, seed)
    return found


async def _ask(
    index: VectorIndex, embedder: Embedder, tenants: Sequence[UUID], questions: Sequence[str], seed: int
) -> dict[str, Any]:
    encoder, draw = SparseEncoder(KEY), random.Random(seed)
    alone: list[float] = []
    together: list[float] = []
    matches = 0
    for question in questions:
        tenant = draw.choice(tenants)
        began = perf_counter()
        dense, sparse = await embedder.embed_query(question), encoder.encode_query(question)
        embedded_at = perf_counter()
        matches += len(await index.search(tenant, dense, sparse, _LIMIT))
        ended = perf_counter()
        alone.append(ended - embedded_at)
        together.append(ended - began)
    return {"search_ms": percentiles(alone), "query_ms": percentiles(together), "matches": matches}


async def _whole(data: Path, chunks: int, queries: int, seed: int) -> dict[str, float]:
    """The same through `app.documents.search`, which reads the passages from the database."""
    async with embedded.jobx(embedded.settings_in(data), lambda _: None) as runtime:
        tenant, _ = await create_tenant(runtime.vault, "Bench")
        filler = Filler(seed, runtime.embedder.dimension)
        for document, version, ids in await filler.fill(runtime.index, tenant, chunks):
            await _store(runtime, tenant, document, version, ids)
        taken = []
        for question in filler.questions(queries):
            began = perf_counter()
            await search(runtime, tenant, question, _PASSAGES)
            taken.append(perf_counter() - began)
        return percentiles(taken)


async def _store(runtime: Runtime, tenant: UUID, document: UUID, version: UUID, ids: Sequence[UUID]) -> None:
    async with runtime.vault.session(tenant) as session:
        row = Document(id=document, title="A document", current_version_id=version)
        session.add(row)
        await session.flush()
        session.add(
            DocumentVersion(id=version, document_id=document, content_hash=version.bytes, size=1, status="ready")
        )
        await session.flush()
        for position, chunk in enumerate(ids):
            text = "What a passage says, as long as one is. " * 20
            session.add(
                DocumentChunk(
                    id=chunk, document_id=document, version_id=version, position=position, heading="Heading", text=text
                )
            )


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds, of all but the first 20, which load what is loaded on first use."""
    counted = seconds[_WARM:] or seconds
    return {f"p{rank}": round(1000 * float(np.percentile(counted, rank)), 2) for rank in (50, 99)}


def _held() -> dict[str, float]:
    """What this process holds: resident memory in 10^6 bytes, open files, threads and mapped regions."""
    me = psutil.Process()
    maps = len(Path("/proc/self/maps").read_text().splitlines())
    return {
        "rss_mb": round(me.memory_info().rss / 1e6, 1),
        "files": me.num_fds(),
        "threads": me.num_threads(),
        "maps": maps,
    }


def main() -> None:
    """Measure, and write the JSON."""
    store, *numbers, out = sys.argv[1:]
    tenants, chunks, queries, seed, whole = map(int, numbers)
    with (
        tempfile.TemporaryDirectory(prefix="jobx-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        data = Path(folder) / "data"
        found = runner.run(measure(store, tenants, chunks, queries, seed, bool(whole), data))
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
