"""Both stores answer alike and as a simple model says, whatever was done to them before."""

import asyncio
import math
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid5

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fakes.qdrant import FakeQdrant
from vectorstore.edge import EdgeIndex
from vectorstore.index import ChunkVectors, SparseVector, VectorIndex
from vectorstore.server import ServerIndex

TENANTS = [UUID(int=1), UUID(int=2)]
DOCUMENTS = [UUID(int=10 + i) for i in range(3)]
# What is done, whose, to which document and version, and the seed or number of what is stored or kept.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "replace", "drop others", "delete", "drop"]),
        st.sampled_from(TENANTS),
        st.sampled_from(DOCUMENTS),
        st.sampled_from([UUID(int=20), UUID(int=21)]),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=8,
)
Step = tuple[str, UUID, UUID, UUID, int]
Owner = tuple[UUID, UUID, UUID]


def sparse(source: random.Random) -> SparseVector:
    tokens = sorted(source.sample(range(6), source.randint(0, 3)))
    return SparseVector(tuple(tokens), tuple(source.uniform(0.5, 2.0) for _ in tokens))


def dense(source: random.Random) -> list[float]:
    vector = [source.gauss(0, 1) for _ in range(4)]
    return [number / math.hypot(*vector) for number in vector]


def chunks(document: UUID, version: UUID, count: int) -> list[ChunkVectors]:
    source = random.Random(f"{document} {version} {count}")
    ids = [uuid5(version, f"{document} {i}") for i in range(count)]
    return [ChunkVectors(one, dense(source), sparse(source)) for one in ids]


async def take(index: VectorIndex, step: Step) -> None:
    name, tenant, document, version, count = step
    match name:
        case "replace":
            await index.replace(tenant, document, version, chunks(document, version, count))
        case "drop others":
            await index.drop_other_versions(tenant, document, version)
        case "delete":
            await index.delete(tenant, document)
        case "drop":
            await index.drop(tenant)


def expected(counts: dict[Owner, int], step: Step) -> dict[Owner, int]:
    name, tenant, document, version, count = step
    match name:
        case "replace":
            return counts | {(tenant, document, version): count}
        case "drop others":
            return {o: n for o, n in counts.items() if o[:2] != (tenant, document) or o[2] == version}
        case "delete":
            return {o: n for o, n in counts.items() if o[:2] != (tenant, document)}
        case _:
            return {o: n for o, n in counts.items() if o[0] != tenant}


async def found(
    index: VectorIndex, tenant: UUID, seed: int, documents: list[UUID] | None
) -> dict[UUID, tuple[float, ...]]:
    source = random.Random(seed)
    matches = await index.search(tenant, dense(source), sparse(source), 100, documents)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    return {match.chunk_id: (match.score, match.cosine) for match in matches}


def aged(steps: list[Step]) -> set[UUID]:
    """The tenants that had chunks removed or overwritten since their collections were made.

    Qdrant goes on counting such chunks in the words' statistics until it rebuilds a segment, which the embedded store
    never does; the fake's local mode counts living ones only. So their word scores differ, and nothing else may.
    """
    tenants: set[UUID] = set()
    stored: set[tuple[UUID, UUID, UUID]] = set()
    for name, tenant, document, version, _ in steps:
        if name == "drop":
            tenants.discard(tenant)
            stored = {owner for owner in stored if owner[0] != tenant}
        elif name != "replace" or (tenant, document, version) in stored:
            tenants.add(tenant)
        if name == "replace":
            stored.add((tenant, document, version))
    return tenants


async def compare(stores: list[VectorIndex], steps: list[Step]) -> None:
    counts: dict[Owner, int] = {}
    for step in steps:
        counts = expected(counts, step)
        await asyncio.gather(*(take(store, step) for store in stores))
    for tenant in TENANTS:
        for document in (None, *DOCUMENTS):
            total = sum(n for o, n in counts.items() if o[0] == tenant and document in (None, o[1]))
            assert [await store.count(tenant, document) for store in stores] == [total] * len(stores)
        for seed, documents in enumerate([None, None, DOCUMENTS[:2]]):
            one, other = [await found(store, tenant, seed, documents) for store in stores]
            assert one.keys() == other.keys()
            for chunk_id, (score, cosine) in one.items():
                assert cosine == pytest.approx(other[chunk_id][1], abs=1e-5)
                assert tenant in aged(steps) or score == pytest.approx(other[chunk_id][0], abs=1e-5)


@given(steps=STEPS)
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_stores_agree(qdrant: FakeQdrant, qdrant_url: str, steps: list[Step]) -> None:
    qdrant.reset()
    with TemporaryDirectory() as folder:
        edge = EdgeIndex(Path(folder) / "vectors", 4)
        server = ServerIndex(qdrant_url, 4, transport=httpx.AsyncHTTPTransport())
        try:
            await compare([edge, server], steps)
        finally:
            await edge.close()
            await server.close()
