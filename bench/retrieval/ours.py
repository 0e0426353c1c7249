"""Jobx itself: a test set goes through the API, the queue and the pipeline into real stores, and is searched there."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from app.crypto import current_keyring
from app.documents.search import search
from app.runtime import Runtime
from app.settings import Settings
from app.tenants.service import create_tenant
from bench import embedded
from bench.embedded import Say
from bench.retrieval.data import BeirSet
from bench.retrieval.measures import JOBX, Answers
from vectorstore.index import SparseVector
from vectorstore.sparse import SparseEncoder

PASSAGES = 50
# A search looks deeper than it answers, by this factor.
_DEPTH = 3 * PASSAGES
WEIGHTS = tuple(tenth / 10 for tenth in range(11))
_ENDS = {"bm25": WEIGHTS[0], "dense": WEIGHTS[-1]}
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """Answers by system and by weight of meaning, and what became of the documents."""

    systems: Mapping[str, Answers]
    weights: Mapping[float, Answers]
    chunks: int
    # How many documents could not be read, by the reason in words.
    unread: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A tenant's documents: which id of the test set each has."""

    runtime: Runtime
    tenant_id: UUID
    ids: Mapping[str, str]

    def documents(self, found: list[str]) -> list[str]:
        """The ids in the test set of the documents that passages are of, each where its best passage is."""
        return [self.ids[document] for document in dict.fromkeys(found)]


def settings_in(folder: Path) -> Settings:
    """Those of the embedded stores, with more documents than usual read at a time."""
    return embedded.settings_in(folder).model_copy(update={"ingestion_concurrency": 4})


async def answers(test: BeirSet, settings: Settings, say: Say) -> Found:
    """Ingest the documents and ask every question, by each system and each weight."""
    async with embedded.jobx(settings, say) as runtime:
        knowledge = await ingested(runtime, test, say)
        say(f"asking {len(test.queries)} questions")
        turn = asyncio.Semaphore(_AT_ONCE)
        systems = {JOBX: await _ask(knowledge, test, turn)}
        say("the same with weights of 0 to 1")
        weights = await _sweep(knowledge, test, turn)
        # The same search by words alone, and by meaning alone.
        systems |= {name: weights[weight] for name, weight in _ENDS.items()}
        unread = await embedded.unread(runtime, knowledge.tenant_id)
        chunks = await runtime.index.count(knowledge.tenant_id)
    return Found(systems, weights, chunks, unread)


async def ingested(runtime: Runtime, test: BeirSet, say: Say) -> Knowledge:
    """A tenant of its own with the documents of a test set, all of them read."""
    say(f"uploading {len(test.documents)} documents")
    tenant_id, key = await create_tenant(runtime.vault, "Bench")
    ids: dict[str, str] = {}
    # The same bytes again would be the same document: each further one of a text ends with one more empty line.
    copies: Counter[str] = Counter()
    async with embedded.client(runtime, key) as client:
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
    await embedded.until_read(runtime, tenant_id, len(ids), say)
    return Knowledge(runtime, tenant_id, ids)


async def _ask(knowledge: Knowledge, test: BeirSet, turn: asyncio.Semaphore) -> Answers:
    async def one(query: str) -> list[str]:
        async with turn:
            passages = await search(knowledge.runtime, knowledge.tenant_id, query, PASSAGES)
        return knowledge.documents([passage.document_id for passage in passages])

    found = await asyncio.gather(*[one(query) for query in test.queries.values()])
    return dict(zip(test.queries, found, strict=True))


async def _sweep(knowledge: Knowledge, test: BeirSet, turn: asyncio.Semaphore) -> dict[float, Answers]:
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


async def _matched(knowledge: Knowledge, dense: list[float], sparse: SparseVector, weight: float) -> list[str]:
    matches = await knowledge.runtime.index.search(knowledge.tenant_id, dense, sparse, _DEPTH, dense_weight=weight)
    return knowledge.documents([str(match.document_id) for match in matches[:PASSAGES]])
