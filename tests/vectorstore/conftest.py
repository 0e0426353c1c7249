"""The stores that have to pass the contract suite."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.qdrant import FakeQdrant, serving
from vectorstore.edge import EdgeIndex
from vectorstore.index import VectorIndex
from vectorstore.server import ServerIndex

DIMENSION = 4

# One line per implementation of VectorIndex; each gets an empty folder of its own and the URL of an empty server.
STORES: dict[str, Callable[[Path, str], VectorIndex]] = {
    "edge": lambda folder, url: EdgeIndex(folder / "vectors", DIMENSION),
    "server": lambda folder, url: ServerIndex(url, DIMENSION, transport=httpx.AsyncHTTPTransport()),
}


@pytest.fixture(scope="session")
def shared_qdrant() -> Iterator[tuple[FakeQdrant, str]]:
    """One server for the test process, and its URL."""
    fake = FakeQdrant()
    with serving(fake) as url:
        yield fake, url


@pytest.fixture
def qdrant(shared_qdrant: tuple[FakeQdrant, str]) -> FakeQdrant:
    """The server, empty."""
    fake, _ = shared_qdrant
    fake.reset()
    return fake


@pytest.fixture
def qdrant_url(shared_qdrant: tuple[FakeQdrant, str], qdrant: FakeQdrant) -> str:
    """The empty server's URL."""
    return shared_qdrant[1]


@pytest.fixture(params=STORES)
async def index(request: pytest.FixtureRequest, tmp_path: Path, qdrant_url: str) -> AsyncIterator[VectorIndex]:
    store = STORES[request.param](tmp_path, qdrant_url)
    yield store
    await store.close()
