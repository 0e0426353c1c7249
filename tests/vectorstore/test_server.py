"""What the store on a server promises beyond the contract: faults of the server and on the way, other writers."""

import asyncio
import json
import math
import random
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.fakes.qdrant import Answer, Cut, FakeQdrant, Fault, Half, Slow, failed, serving
from vectorstore.calls import Patience
from vectorstore.index import ChunkVectors, SparseVector, VectorStoreError, VectorStoreUnavailable
from vectorstore.refusals import NotQdrantError, TooLargeError, retry_after
from vectorstore.scope import FIELDS
from vectorstore.server import ServerIndex

PROJECT = Path(__file__).resolve().parents[2]
TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)
NAME = f"jobx-1-{TENANT.hex}"
DOCUMENT, OLD, NEW = UUID(int=50), UUID(int=60), UUID(int=61)
EAST = (1.0, 0.0, 0.0, 0.0)
WORDS = SparseVector((7,), (1.0,))
KEY, PASSWORD = "key-of-the-server", "password-in-the-url"
ALWAYS = 1_000_000

# A machine that stands still for seconds fails no test whose subject is not time.
PATIENT = Patience(read=60.0, read_try=20.0, write=60.0, write_try=20.0, failures=1000, pause=0.2)
# Soon done with an answer that is slow, and time for many tries.
BRIEF = Patience(read=60.0, read_try=1.0, write=60.0, write_try=1.0, failures=1000, pause=0.2)
# Soon over for a fault that stays.
HASTY = Patience(read=0.4, read_try=0.2, write=0.4, write_try=0.2, failures=1000, pause=0.2)

ANSWER_LOST: dict[str, Fault] = {
    "500": failed(500, "Service internal error: something"),
    "503": failed(503, "not ready", retry_after="0"),
    "429": failed(429, "Rate limit exceeded", retry_after="0"),
    "429 until a date": failed(429, "Rate limit exceeded", retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    "slow": Slow(1.5),
    "cut before": Cut(executed=False),
    "cut after": Cut(executed=True),
    "half a body": Half(),
    "other JSON": Answer(200, b'{"hello": "world"}'),
    "no JSON": Answer(200, b"<html>Welcome</html>"),
}


def chunks(count: int, first: int = 1000) -> list[ChunkVectors]:
    return [
        ChunkVectors(UUID(int=first + i), (math.cos(i / count), math.sin(i / count), 0.0, 0.0), WORDS)
        for i in range(count)
    ]


def client(url: str, patience: Patience = PATIENT, **options: Any) -> ServerIndex:
    return ServerIndex(url, 4, transport=httpx.AsyncHTTPTransport(), patience=patience, **options)


@pytest.fixture
async def connect(qdrant_url: str) -> AsyncIterator[Callable[..., ServerIndex]]:
    """Make clients of the server."""
    made: list[ServerIndex] = []

    def make(patience: Patience = PATIENT, **options: Any) -> ServerIndex:
        made.append(client(qdrant_url, patience, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def index(connect: Callable[..., ServerIndex]) -> ServerIndex:
    return connect()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


CALLS: dict[str, Callable[[ServerIndex], Awaitable[Any]]] = {
    "search": lambda index: index.search(TENANT, EAST, WORDS, 5),
    "count": lambda index: index.count(TENANT, DOCUMENT),
    "replace": lambda index: index.replace(TENANT, DOCUMENT, NEW, chunks(3)),
    "drop_other_versions": lambda index: index.drop_other_versions(TENANT, DOCUMENT, NEW),
    "delete": lambda index: index.delete(TENANT, DOCUMENT),
    "drop": lambda index: index.drop(TENANT),
}
# How many chunks the document has after each of the calls above, done in turn after `stored`.
LEFT = {"search": 5, "count": 5, "replace": 5, "drop_other_versions": 3, "delete": 0, "drop": 0}


async def stored(index: ServerIndex) -> None:
    await index.replace(TENANT, DOCUMENT, OLD, chunks(2, 2000))
    await index.replace(TENANT, DOCUMENT, NEW, chunks(3))


@pytest.mark.parametrize("fault", ANSWER_LOST)
async def test_fault_that_passes_is_not_noticed(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant, fault: str
) -> None:
    index = connect(BRIEF)
    await stored(index)
    for name, call in CALLS.items():
        requests = len(qdrant.requests)
        qdrant.fault(ANSWER_LOST[fault])

        result = await call(index)

        assert len(qdrant.requests) > requests + 1
        assert await index.count(TENANT, DOCUMENT) == LEFT[name]
        if name in ("search", "count"):
            assert (len(result) if name == "search" else result) == 5


@pytest.mark.parametrize("fault", ["500", "429", "slow", "cut before", "cut after", "no JSON"])
async def test_fault_that_stays_is_an_error_in_time(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant, fault: str
) -> None:
    sound, index = connect(), connect(HASTY)
    await stored(sound)
    calls = [CALLS[name] for name in ("search", "count", "replace")]
    qdrant.fault(ANSWER_LOST[fault], times=ALWAYS)

    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*(call(index) for call in calls), return_exceptions=True)
        for name in ("drop_other_versions", "delete", "drop"):
            with pytest.raises(VectorStoreUnavailable):
                await CALLS[name](index)

    assert [type(outcome) for outcome in outcomes] == [VectorStoreUnavailable] * 3
    assert all("127.0.0.1" in str(outcome) for outcome in outcomes)
    qdrant.heal()
    await stored(sound)
    for name, call in CALLS.items():
        await _once_it_is_well(call, index)
        assert await sound.count(TENANT, DOCUMENT) == LEFT[name]


async def _once_it_is_well(call, index):
    """A client in such haste may run out of time on a machine that has much to do, and then its circuit is open."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await call(index)
            except VectorStoreUnavailable:
                await asyncio.sleep(0.05)


STEPS = {
    "describe": f"GET /collections/{NAME}$",
    "create": f"PUT /collections/{NAME}$",
    "index": f"PUT /collections/{NAME}/index",
    "upsert": f"PUT /collections/{NAME}/points$",
    "count": "points/count",
}


@pytest.mark.parametrize(("step", "fault"), [*((step, "cut after") for step in STEPS), ("upsert", "500")])
async def test_replace_that_fails_midway_says_so_and_can_be_done_again(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant, step: str, fault: str
) -> None:
    index = connect(HASTY)
    qdrant.fault(ANSWER_LOST[fault], STEPS[step], times=ALWAYS)
    with pytest.raises(VectorStoreUnavailable):
        await index.replace(TENANT, DOCUMENT, NEW, chunks(70))
    qdrant.heal()

    again = connect()
    await again.replace(TENANT, DOCUMENT, NEW, chunks(70))

    assert await again.count(TENANT, DOCUMENT) == 70


COMPLETED = Answer(200, b'{"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.1}')


async def test_write_that_the_server_only_says_it_did_is_found_out(index: ServerIndex, qdrant: FakeQdrant) -> None:
    qdrant.fault(COMPLETED, STEPS["upsert"])
    with pytest.raises(VectorStoreError, match="0 of 3 chunks"):
        await index.replace(TENANT, DOCUMENT, NEW, chunks(3))

    await stored(index)
    qdrant.fault(COMPLETED, "points/delete", times=2)
    with pytest.raises(VectorStoreError, match="5 chunks of document"):
        await index.delete(TENANT, DOCUMENT)
    with pytest.raises(VectorStoreError, match="2 chunks of document"):
        await index.drop_other_versions(TENANT, DOCUMENT, NEW)

    qdrant.fault(Answer(200, b'{"result": true, "status": "ok", "time": 0.1}'), "DELETE")
    with pytest.raises(VectorStoreError, match="still there"):
        await index.drop(TENANT)


async def test_write_that_is_not_applied_yet_is_done_again(index: ServerIndex, qdrant: FakeQdrant) -> None:
    accepted = COMPLETED.body.replace(b"completed", b"acknowledged")
    qdrant.fault(Answer(200, accepted), STEPS["upsert"], times=2)

    await index.replace(TENANT, DOCUMENT, NEW, chunks(3))

    assert await index.count(TENANT) == 3


@pytest.mark.parametrize("after", ["100", "Fri, 31 Dec 2049 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
async def test_longer_pause_than_there_is_time_for_is_not_cut_short(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant, status: int, after: str
) -> None:
    index = connect(Patience(read=3.0, read_try=3.0))
    qdrant.fault(failed(status, "Rate limit exceeded", retry_after=after), times=ALWAYS)

    with pytest.raises(VectorStoreUnavailable):
        await index.count(TENANT)

    # The client cannot read a date after 429, so that is tried again as if no time were told.
    if not (status == 429 and after != "100"):
        assert len(qdrant.requests) == 1


def test_retry_after_is_a_number_or_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)

    assert retry_after({"retry-after": "7"}) == 7.0
    assert 45 < retry_after({"retry-after": date}) < 51
    assert [retry_after({"retry-after": text}) for text in ("", "soon", "-3", "nan")] == [0.0] * 4
    assert retry_after({}) == 0.0


async def test_circuit_opens_and_closes(connect: Callable[..., ServerIndex], qdrant: FakeQdrant) -> None:
    index = connect(Patience(read=5.0, read_try=1.0, failures=3, pause=0.5))
    await stored(index)
    qdrant.fault(ANSWER_LOST["500"], "count", times=ALWAYS)
    with pytest.raises(VectorStoreUnavailable, match="not answering; tried again in"):
        await index.count(TENANT)
    tried = len(qdrant.requests)

    with pytest.raises(VectorStoreUnavailable, match=r"not answering; tried again in \d+ s"):
        await index.count(TENANT)
    with pytest.raises(VectorStoreUnavailable, match="not answering"):
        await index.search(TENANT, EAST, WORDS, 3)
    assert len(qdrant.requests) == tried

    qdrant.heal()
    await asyncio.sleep(0.6)
    assert await index.count(TENANT) == 5
    assert len(await index.search(TENANT, EAST, WORDS, 3)) == 3


async def test_server_that_cannot_write_is_still_searched(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant
) -> None:
    index = connect(Patience(write=5.0, failures=3, pause=60.0))
    await stored(index)
    qdrant.fault(failed(500, "Service internal error: No space left on device"), STEPS["upsert"], times=ALWAYS)

    with pytest.raises(VectorStoreUnavailable, match="tried again"):
        await index.replace(TENANT, uuid4(), uuid4(), chunks(3))

    assert len(await index.search(TENANT, EAST, WORDS, 5)) == 5


async def test_server_that_comes_late_is_found(caplog: pytest.LogCaptureFixture) -> None:
    port = unused_port()
    index = client(f"http://127.0.0.1:{port}", Patience(read=1.0, read_try=0.9, failures=1000))

    with pytest.raises(VectorStoreUnavailable, match="no connection"):
        await index.count(TENANT)
    with pytest.raises(VectorStoreUnavailable):
        await index.ping()
    caplog.clear()
    assert await index.check() is None
    assert "is not answering (no connection)" in caplog.text
    with serving(FakeQdrant(), port):
        await index.ping()
        assert await index.check() is None
        await index.replace(TENANT, DOCUMENT, NEW, chunks(3))
        await index.close()


async def test_only_so_many_batches_are_under_way(connect: Callable[..., ServerIndex], qdrant: FakeQdrant) -> None:
    # Patient: a try that is given up is still under way at the server.
    index = connect(Patience(), batches=3)
    await index.replace(TENANT, DOCUMENT, OLD, chunks(1, 5000))
    qdrant.fault(Slow(0.05), STEPS["upsert"], times=ALWAYS)

    await asyncio.gather(*(index.replace(TENANT, UUID(int=70 + i), NEW, chunks(200, 10_000 * i)) for i in range(1, 4)))

    assert qdrant.most_upserts == 3
    assert await index.count(TENANT) == 601


async def test_batch_that_is_too_large_goes_in_smaller_ones(index: ServerIndex, qdrant: FakeQdrant) -> None:
    qdrant.largest_body = 8_000
    await index.replace(TENANT, DOCUMENT, NEW, chunks(100))
    assert await index.count(TENANT) == 100

    qdrant.largest_body = 100
    with pytest.raises(TooLargeError):
        await index.replace(TENANT, uuid4(), NEW, chunks(10))


async def test_tenant_dropped_by_another_process_is_made_anew(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant
) -> None:
    index, other = connect(), connect()
    await stored(index)
    await other.drop(TENANT)

    await index.replace(TENANT, DOCUMENT, NEW, chunks(200))

    assert await index.count(TENANT) == 200
    assert set(qdrant.schemas) == {NAME}


async def test_collection_without_its_indexes_is_completed(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant
) -> None:
    killed, index = connect(HASTY), connect()
    qdrant.fault(ANSWER_LOST["500"], "index$", times=ALWAYS)
    with pytest.raises(VectorStoreUnavailable):
        await killed.replace(TENANT, DOCUMENT, OLD, chunks(1))
    qdrant.heal()

    await index.replace(TENANT, DOCUMENT, NEW, chunks(2))
    assert set(qdrant.schemas) == {NAME}
    assert qdrant.indexed(NAME) == FIELDS
    before = len(qdrant.requests)
    await index.replace(TENANT, DOCUMENT, NEW, chunks(2))

    assert not any(call.endswith("/index") for call in qdrant.requests[before:])


REPLACE = """
import asyncio, sys
from uuid import UUID
import httpx
from tests.vectorstore.test_server import DOCUMENT, NEW, TENANT, chunks, client

async def main():
    index = client(sys.argv[1])
    for _ in range(3):
        await index.replace(TENANT, DOCUMENT, NEW, chunks(70))
    print(await index.count(TENANT, DOCUMENT), flush=True)
    await index.close()

asyncio.run(main())
"""


async def test_two_processes_storing_one_version(index: ServerIndex, qdrant_url: str) -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", REPLACE, qdrant_url, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    ended = asyncio.create_task(other.communicate())

    while not ended.done():
        await index.replace(TENANT, DOCUMENT, NEW, chunks(70))

    assert await ended == (b"70\n", b"")
    assert await index.count(TENANT) == 70


async def test_rivals_with_other_chunks_end_with_one_whole_set(connect: Callable[..., ServerIndex]) -> None:
    rivals = [chunks(70, 10_000), chunks(90, 20_000)]

    async def store(index: ServerIndex, rival: list[ChunkVectors]) -> None:
        # As a job does: an error means that it is done again.
        for _ in range(30):
            try:
                return await index.replace(TENANT, DOCUMENT, NEW, rival)
            except VectorStoreError:
                await asyncio.sleep(random.uniform(0, 0.2))
        raise AssertionError("never stored")

    await asyncio.gather(*(store(connect(), rival) for rival in rivals))

    matches = await connect().search(TENANT, EAST, WORDS, 500)
    assert {match.chunk_id for match in matches} in [{one.chunk_id for one in rival} for rival in rivals]


async def test_search_is_one_request_and_a_second_for_a_chunk_found_by_word_only(
    index: ServerIndex, qdrant: FakeQdrant
) -> None:
    far = ChunkVectors(UUID(int=9), (0.0, 1.0, 0.0, 0.0), SparseVector((42,), (1.0,)))
    await index.replace(TENANT, DOCUMENT, NEW, [*chunks(20), far])
    await index.replace(TENANT, DOCUMENT, OLD, [replace(one, sparse=SparseVector((), ())) for one in chunks(260, 2000)])
    for words, requests in ((WORDS, 1), (SparseVector((42,), (1.0,)), 2)):
        before = len(qdrant.requests)
        await index.search(TENANT, EAST, words, 3)
        assert len(qdrant.requests) - before == requests


async def test_collection_is_made_for_many_small_tenants(index: ServerIndex, qdrant: FakeQdrant) -> None:
    await index.replace(TENANT, DOCUMENT, NEW, chunks(2))

    schema = qdrant.schemas[NAME]
    dense = schema["vectors"]["dense"]
    assert (dense["size"], dense["distance"], dense["on_disk"]) == (4, "Cosine", True)
    assert dense["quantization_config"]["scalar"]["type"] == "int8"
    assert schema["sparse_vectors"]["sparse"]["modifier"] == "idf"
    assert schema["optimizers_config"]["default_segment_number"] == 1
    ids = {"document_id": str(DOCUMENT), "version_id": str(NEW)}
    assert qdrant.points(NAME) == {str(one.chunk_id): ids for one in chunks(2)}


async def test_looking_makes_no_collection(index: ServerIndex, qdrant: FakeQdrant) -> None:
    await index.count(TENANT)
    await index.search(TENANT, EAST, WORDS, 3)
    await index.delete(TENANT, uuid4())
    await index.drop_other_versions(TENANT, uuid4(), uuid4())
    await index.replace(TENANT, uuid4(), uuid4(), [])
    await index.ping()

    assert qdrant.schemas == {}


async def test_page_that_is_not_qdrant_s_is_no_empty_collection(index: ServerIndex, qdrant: FakeQdrant) -> None:
    for page in (Answer(404, b"<html>Not found</html>"), failed(404, ""), Answer(301, b"", {"location": "/login"})):
        qdrant.fault(page, times=2)
        with pytest.raises(NotQdrantError):
            await index.search(TENANT, EAST, WORDS, 3)
        with pytest.raises(NotQdrantError):
            await index.delete(TENANT, DOCUMENT)


async def test_model_of_another_dimension_is_told_apart(qdrant_url: str, index: ServerIndex) -> None:
    await stored(index)
    other = ServerIndex(qdrant_url, 3, transport=httpx.AsyncHTTPTransport(), patience=PATIENT)

    assert await index.usable(TENANT)
    assert await other.usable(OTHER_TENANT)
    assert not await other.usable(TENANT)
    with pytest.raises(VectorStoreError, match="another dimension"):
        await other.search(TENANT, (1.0, 0.0, 0.0), WORDS, 3)
    with pytest.raises(VectorStoreError, match="another dimension"):
        await other.replace(TENANT, DOCUMENT, NEW, [ChunkVectors(uuid4(), (1.0, 0.0, 0.0), WORDS)])

    await other.drop(TENANT)
    assert await other.usable(TENANT)
    await other.replace(TENANT, DOCUMENT, NEW, [ChunkVectors(uuid4(), (1.0, 0.0, 0.0), WORDS)])
    await other.close()


async def test_check_names_what_is_wrong(
    connect: Callable[..., ServerIndex], qdrant: FakeQdrant, caplog: pytest.LogCaptureFixture
) -> None:
    index = connect(BRIEF)
    assert await index.check() is None

    qdrant.version = "1.9.7"
    assert "is version 1.9; Jobx needs 1.11 or newer" in (await index.check() or "")
    qdrant.version = "1.110.0"
    assert await index.check() is None

    qdrant.api_key = KEY
    assert "set JOBX_QDRANT_API_KEY" in (await index.check() or "")
    assert "refuses the API key" in (await connect(api_key="another").check() or "")
    assert await connect(api_key=KEY).check() is None

    for page in (Answer(200, b"<html>Hello</html>"), Answer(200, b'["hello"]'), Answer(404, b"<html>"), Answer(302)):
        qdrant.fault(page)
        assert "Something other than a Qdrant server" in (await index.check() or "")
    for fault, said in (
        (failed(500, "x"), "(error 500)"),
        (Slow(1.5), "(no answer in time)"),
        (Cut(executed=False), "(no connection)"),
    ):
        qdrant.fault(fault)
        assert await index.check() is None
        assert caplog.messages[-1].endswith(f"is not answering {said}.")


async def test_url_without_a_port_is_explained() -> None:
    index = client("http://127.0.0.1")
    try:
        with pytest.raises(VectorStoreUnavailable, match="names no port; Qdrant listens on 6333"):
            await index.ping()
    finally:
        await index.close()


@pytest.mark.parametrize("url", ["", "qdrant:6333", "ftp://host", "http://", "http://host:6333?key=x", "http://[::1"])
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(VectorStoreError, match="URL"):
        client(url)


async def test_ping_tells_down_from_up(connect: Callable[..., ServerIndex], qdrant: FakeQdrant) -> None:
    index = connect()
    await index.ping()

    qdrant.fault(Cut(executed=False))
    with pytest.raises(VectorStoreUnavailable):
        await index.ping()
    qdrant.api_key = KEY
    with pytest.raises(VectorStoreError, match="JOBX_QDRANT_API_KEY"):
        await index.ping()
    await connect(api_key=KEY).ping()
    await index.close()
    with pytest.raises(VectorStoreError, match="closed"):
        await index.ping()


async def test_errors_hold_no_secret_and_no_text_of_the_server(qdrant: FakeQdrant, qdrant_url: str) -> None:
    url = qdrant_url.replace("http://", f"http://user:{PASSWORD}@")
    index = client(url, Patience(0.1, 0.05, 0.1, 0.05, failures=1000), api_key=KEY)
    echo = f"the request said {KEY} {PASSWORD} and 0.25 secret-payload"
    faults: list[Fault] = [
        failed(400, echo),
        failed(401, echo),
        failed(403, echo),
        failed(422, echo),
        failed(500, echo),
    ]
    faults += [failed(429, echo), failed(404, echo), *ANSWER_LOST.values()]

    said = [repr(index), repr(vars(index))]
    for fault in faults:
        for call in (CALLS["count"], CALLS["replace"], ServerIndex.ping, ServerIndex.check):
            qdrant.fault(fault, times=ALWAYS)
            try:
                said.append(str(await call(index)))
            except VectorStoreError as error:
                said += traceback.format_exception(error)
            qdrant.heal()
    await index.close()

    for secret in (KEY, PASSWORD, "secret-payload"):
        assert not [text for text in said if secret in text]
    assert qdrant.headers[0]["api-key"] == KEY
    assert qdrant.headers[0]["authorization"].startswith("Basic ")


async def test_environment_adds_no_proxy(connect: Callable[..., ServerIndex], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    index = connect()

    await index.ping()
    await index.replace(TENANT, DOCUMENT, NEW, chunks(2))

    assert await index.count(TENANT) == 2


async def test_call_that_waits_ends_with_the_store(connect: Callable[..., ServerIndex], qdrant: FakeQdrant) -> None:
    index = connect(Patience(read=30.0, read_try=20.0))
    await index.count(TENANT)
    qdrant.fault(Slow(20))
    waiting = asyncio.create_task(index.count(TENANT))
    await asyncio.sleep(0.1)

    await index.close()

    async with asyncio.timeout(5):
        with pytest.raises(VectorStoreError, match="closed"):
            await waiting


def test_watching_a_server_loads_no_client(qdrant_url: str) -> None:
    script = (
        "import asyncio, httpx, json, sys\n"
        "from vectorstore.server import ServerIndex\n"
        "async def main():\n"
        "    index = ServerIndex(sys.argv[1], 4, transport=httpx.AsyncHTTPTransport())\n"
        "    await index.ping()\n"
        "    assert await index.check() is None\n"
        "    await index.close()\n"
        "asyncio.run(main())\n"
        "print(json.dumps([name for name in ('qdrant_client', 'numpy', 'grpc') if name in sys.modules]))"
    )
    command = [sys.executable, "-c", script, qdrant_url]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == []
