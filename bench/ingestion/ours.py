"""Jobx's side: `python -m bench.ingestion.ours FOLDER OUT`, uploads through the API, the queue and the pipeline.

The clock runs from the first upload until every document is ready. After that the embedder alone embeds the very same
texts, in the same process.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from sqlalchemy import select

from app.documents.reading import chunk_of
from app.models import DocumentChunk, DocumentVersion
from app.runtime import Runtime
from app.tenants.service import create_tenant
from bench import embedded
from bench.embedded import Say
from bench.tree import Stopwatch
from ingestion.chunk import embedding_text


async def measure(files: Sequence[Path], data: Path, say: Say) -> dict[str, Any]:
    """What `bench.ingestion` reports of one side, and the embedder's own `raw` rate."""
    async with embedded.jobx(embedded.settings_in(data), say) as runtime:
        tenant_id, key = await create_tenant(runtime.vault, "Bench")
        watch = Stopwatch()
        async with embedded.client(runtime, key) as client:
            for file in files:
                answer = await client.post("/v1/documents", files={"file": (file.name, file.read_bytes())})
                answer.raise_for_status()
        await embedded.until_read(runtime, tenant_id, len(files), say)
        whole = watch.read()
        texts = await _embedded(runtime, tenant_id)
        say(f"the embedder alone, {len(texts)} chunks")
        watch = Stopwatch()
        await runtime.embedder.embed(texts)
        raw = watch.read()
        return {
            "documents": len(files),
            "unread": await embedded.unread(runtime, tenant_id),
            "chunks": await runtime.index.count(tenant_id),
            "characters": sum(map(len, texts)),
            "tokens": sum(map(runtime.embedder.count_tokens, texts)),
            **whole,
            "raw": {"chunks": len(texts), **raw},
        }


async def _embedded(runtime: Runtime, tenant_id: UUID) -> list[str]:
    """What was embedded, document after document."""
    query = select(DocumentChunk, DocumentVersion).join(DocumentVersion, DocumentChunk.version_id == DocumentVersion.id)
    async with runtime.vault.session(tenant_id) as session:
        rows = await session.execute(query.order_by(DocumentVersion.id, DocumentChunk.position))
        return [embedding_text(version.read_title, chunk_of(chunk)) for chunk, version in rows]


def _say(text: str) -> None:
    print(f"jobx: {text} …", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and write the JSON."""
    folder, out = map(Path, sys.argv[1:])
    with (
        tempfile.TemporaryDirectory(prefix="jobx-bench-") as data,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found = runner.run(measure(sorted(folder.iterdir()), Path(data) / "data", _say))
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
