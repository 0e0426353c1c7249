"""The stores that have to pass the contract suite."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from vectorstore.edge import EdgeIndex
from vectorstore.index import VectorIndex

DIMENSION = 4

# One line per implementation of VectorIndex; each gets an empty folder of its own.
STORES: dict[str, Callable[[Path], VectorIndex]] = {
    "edge": lambda folder: EdgeIndex(folder / "vectors", DIMENSION),
}


@pytest.fixture(params=STORES)
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorIndex]:
    store = STORES[request.param](tmp_path)
    yield store
    await store.close()
