"""A tenant's vectors written anew: from one store to another and back, by the command's own code."""

import asyncio
import contextlib
import socket
from base64 import b64encode
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import HttpUrl, SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from app import reindex as command
from app import worker
from app.cli import cli
from app.documents import search as searching
from app.documents.reindex import queue_one
from app.egress import vector_transport
from app.errors import NotFound
from app.privacy.tasks import start_due
from app.reindex import ReindexIncomplete, reindex
from app.settings import Settings
from tests.app.until import until
from tests.conftest import MASTER_KEY
from tests.embedding_cache import CACHE
from tests.fakes.qdrant import FakeQdrant, Slow, failed, serving
from vectorstore.calls import Patience
from vectorstore.edge import EdgeIndex
from vectorstore.index import VectorStoreBusy, VectorStoreUnavailable
from vectorstore.server import ServerIndex

TEXTS = {
    "Returns": "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel.",
    "Hours": "The shop opens at nine and closes at six. On Sundays it stays closed.",
    "Warranty": "Lamps have a warranty of three years. Bulbs have none.",
}
QUESTIONS = ("How many days do I have to return an item?", "When does the shop open?", "warranty of a lamp")


@pytest.fixture
async def shop(tenant, run_jobs):
    """Three documents in the embedded store of the runtime."""
    tenant.documents = {title: (await tenant.add_text(title, words))["id"] for title, words in TEXTS.items()}
    await run_jobs()
    return tenant


@pytest.fixture
def qdrant():
    fake = FakeQdrant()
    with serving(fake) as url:
        fake.url = url
        yield fake


@pytest.fixture
def given(settings, address, tmp_path):
    """Settings of a command on the test's database: with a Qdrant server's URL, or a folder for an embedded store."""

    def make(url=None, folder="moved"):
        changed = {
            "database_url": SecretStr(address.url),
            "master_key": SecretStr(b64encode(MASTER_KEY.key).decode()),
            "qdrant_url": None if url is None else HttpUrl(url),
            "data_dir": tmp_path / folder,
            "model_dir": CACHE,
        }
        return settings.model_copy(update=changed)

    return make


async def _run(settings, tenant_id):
    """What the command says."""
    said = []
    await asyncio.wait_for(asyncio.to_thread(reindex, settings, tenant_id, said.append), 60)
    return said


async def _answers(shop, index):
    """The texts and scores that a runtime on this store finds for every question."""
    runtime = replace(shop.runtime, index=index)
    found = [await searching.search(runtime, shop.id, question, 3) for question in QUESTIONS]
    return [[(passage.text, round(passage.score, 2)) for passage in passages] for passages in found]


@contextlib.asynccontextmanager
async def _server(shop, url, **more):
    index = ServerIndex(
        url, shop.runtime.embedder.dimension, transport=vector_transport(Settings(qdrant_url=url)), **more
    )
    try:
        yield index
    finally:
        await index.close()


@contextlib.asynccontextmanager
async def _folder(shop, root):
    index = EdgeIndex(root, shop.runtime.embedder.dimension)
    try:
        yield index
    finally:
        await index.close()


async def _jobs(shop):
    async with shop.runtime.db.session() as session:
        rows = await session.execute(text("select task_name, status::text, attempts from queue.procrastinate_jobs"))
        return [tuple(row) for row in rows]


async def test_a_tenant_moves_to_a_server_and_back_and_answers_the_same(shop, qdrant, given, tmp_path):
    before = await _answers(shop, shop.runtime.index)
    assert all(found for found in before)

    assert await _run(given(qdrant.url), shop.id) == ["3 documents to index.", "Done."]
    async with _server(shop, qdrant.url) as index:
        assert await _answers(shop, index) == before
        assert await index.count(shop.id) == await shop.runtime.index.count(shop.id)

    assert await _run(given(), shop.id) == ["3 documents to index.", "Done."]
    async with _folder(shop, tmp_path / "moved" / "qdrant") as index:
        assert await _answers(shop, index) == before
    assert await _jobs(shop) == []


async def test_a_second_time_changes_nothing(shop, qdrant, given):
    for _ in range(2):
        assert (await _run(given(qdrant.url), shop.id))[-1] == "Done."
        (name,) = qdrant.schemas
        points = qdrant.points(name)
        assert len(points) == await shop.runtime.index.count(shop.id)
    assert await _jobs(shop) == []


async def test_only_that_tenant_moves(shop, make_tenant, qdrant, given, run_jobs):
    other = await make_tenant("Other")
    await other.add_text("Parking", "There are eleven parking spaces.")
    await run_jobs()
    await _run(given(qdrant.url), shop.id)
    assert [name.endswith(shop.id.hex) for name in qdrant.schemas] == [True]


async def test_a_tenant_without_documents_has_nothing_to_do(tenant, qdrant, given):
    assert await _run(given(qdrant.url), tenant.id) == ["0 documents to index.", "Done."]


async def test_an_unknown_tenant_is_named(shop, qdrant, given):
    with pytest.raises(NotFound, match="no such tenant"):
        await _run(given(qdrant.url), uuid4())
    assert qdrant.schemas == {}


def test_an_id_that_is_none_is_refused():
    done = CliRunner().invoke(cli, ["reindex", "shop"])
    assert done.exit_code == 2
    assert "TENANT" in done.output
    assert "UUID" in done.output


async def test_a_deleted_document_is_not_written(shop, qdrant, given):
    """Deleted, and not removed yet: nothing of it may come into the new store."""
    assert (await shop.http.delete(f"/v1/documents/{shop.documents['Hours']}")).status_code == 202
    said = await _run(given(qdrant.url), shop.id)
    assert said == ["2 documents to index.", "Done."]
    (name,) = qdrant.schemas
    assert {point["document_id"] for point in qdrant.points(name).values()} == {
        shop.documents["Returns"],
        shop.documents["Warranty"],
    }


async def test_documents_that_are_deleted_meanwhile_leave_nothing(shop, qdrant, given, run_jobs):
    """Two are being written, which is slow; the third is deleted before its turn comes, and is not written at all."""
    qdrant.fault(Slow(1.0), r"PUT /collections/[^/]+/points", times=3)
    running = asyncio.create_task(_run(given(qdrant.url), shop.id))

    async def writing():
        return qdrant.upserts

    await until(writing)
    for document in shop.documents.values():
        assert (await shop.http.delete(f"/v1/documents/{document}")).status_code == 202
    assert (await running)[-1] == "Done."
    (name,) = qdrant.schemas
    assert len({point["document_id"] for point in qdrant.points(name).values()}) < len(shop.documents)
    async with _server(shop, qdrant.url) as index:
        shop.runtime.index, embedded = index, shop.runtime.index
        await run_jobs()
        assert await index.count(shop.id) == 0
        shop.runtime.index = embedded


async def test_a_running_owner_of_the_store_does_the_work(shop, given, tmp_path):
    """As `jobx up` does: it owns the folder, and its worker runs."""
    owned = given(folder=".")
    with pytest.raises(VectorStoreBusy):
        EdgeIndex(owned.data_dir / "qdrant", shop.runtime.embedder.dimension)
    await shop.runtime.index.drop(shop.id)
    assert await _answers(shop, shop.runtime.index) == [[], [], []]
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run_worker(shop.runtime, stop))
    try:
        assert await _run(owned, shop.id) == ["3 documents to index.", "Done."]
    finally:
        stop.set()
        await running
    assert "30 days" in (await _answers(shop, shop.runtime.index))[0][0][0]


async def test_a_server_that_is_away_is_said_at_once(shop, given):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(VectorStoreUnavailable, match=r"127\.0\.0\.1:\d+ is not answering \(no connection\)"):
        await _run(given(url), shop.id)
    assert await _jobs(shop) == []


async def test_a_server_that_refuses_is_said_and_a_later_run_mends_it(shop, qdrant, given, monkeypatch):
    monkeypatch.setattr("app.queue._RETRY.max_attempts", 1)
    qdrant.fault(failed(400, "no"), r"PUT /collections/[^/]+/points", times=1_000)
    with pytest.raises(ReindexIncomplete, match=r"\d documents could not be indexed"):
        await _run(given(qdrant.url), shop.id)
    qdrant.heal()
    assert (await _run(given(qdrant.url), shop.id))[-1] == "Done."
    async with _server(shop, qdrant.url) as index:
        assert "30 days" in (await _answers(shop, index))[0][0][0]


async def test_what_a_killed_command_left_running_holds_up_no_later_one(shop, qdrant, given, admin):
    """Its job is still marked as running, and holds the lock of a document."""
    with psycopg.connect(admin.conninfo(), autocommit=True, options="-c search_path=queue") as connection:
        (dead,) = connection.execute(
            "insert into procrastinate_workers (last_heartbeat) values (now() - interval '31 seconds') returning id"
        ).fetchone()
        connection.execute(
            "insert into procrastinate_jobs (queue_name, task_name, status, worker_id, lock, args) values"
            " ('ingestion', 'documents:reindex', 'doing', %s, %s, jsonb_build_object('tenant_id', %s::text,"
            " 'document_id', %s::text))",
            (dead, f"document:{shop.documents['Hours']}", str(shop.id), shop.documents["Hours"]),
        )
    assert (await _run(given(qdrant.url), shop.id))[-1] == "Done."
    assert await _jobs(shop) == []


async def test_another_store_than_the_workers_is_noticed(shop, qdrant, given):
    """Workers of the old store take jobs: nothing of them comes into the new one, which must not be called done."""

    async def try_often():
        for _ in range(5):
            await _run(given(qdrant.url), shop.id)
            qdrant.reset()

    stop = asyncio.Event()
    running = asyncio.create_task(worker.run_worker(shop.runtime, stop))
    try:
        with pytest.raises(ReindexIncomplete, match="passages are in the vector store"):
            await try_often()
    finally:
        stop.set()
        await running


async def test_a_deletion_waits_for_a_store_that_is_away(shop, run_jobs):
    """For as long as it takes, and not for a number of attempts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    embedded = shop.runtime.index
    async with _server(shop, url, patience=Patience(write=0.2, write_try=0.1)) as index:
        shop.runtime.index = index
        assert (await shop.http.delete(f"/v1/documents/{shop.documents['Hours']}")).status_code == 202
        await run_jobs()
    assert await _jobs(shop) == [("privacy:erase", "todo", 1)]
    shop.runtime.index = embedded
    async with shop.runtime.db.session() as session:
        # As after its last attempt: the job is over, and what it is about is not.
        await session.execute(text("update queue.procrastinate_jobs set status = 'failed'"))
    assert await start_due(shop.runtime) == 1
    await run_jobs()
    assert await embedded.count(shop.id, UUID(shop.documents["Hours"])) == 0
    assert [job[1] for job in await _jobs(shop)] == ["failed"]


@pytest.fixture
async def late(shop, monkeypatch):
    """A run that stopped before it writes, was held to be dead, and lost its lock; awaiting it lets it go on."""
    replace_vectors, inside, go = shop.runtime.index.replace, asyncio.Event(), asyncio.Event()

    async def held(*values):
        if not inside.is_set():
            inside.set()
            await go.wait()
        return await replace_vectors(*values)

    monkeypatch.setattr(shop.runtime.index, "replace", held)
    async with shop.runtime.vault.session(shop.id) as session:
        await queue_one(session, shop.runtime.queue, UUID(shop.documents["Returns"]))
    running = asyncio.create_task(
        shop.runtime.queue.app.run_worker_async(
            wait=False,
            listen_notify=False,
            install_signal_handlers=False,
            additional_context={"runtime": shop.runtime},
        )
    )
    await asyncio.wait_for(inside.wait(), 30)
    assert await shop.runtime.queue.release_stalled(0.0) == 1

    async def end():
        go.set()
        await asyncio.wait_for(running, 30)

    return end


async def test_a_late_run_does_not_take_a_newer_version_away(shop, late, run_jobs):
    path = f"/v1/documents/{shop.documents['Returns']}"
    newer = {"title": "Returns", "text": "Any item can come back within 99 days."}
    assert (await shop.http.put(path, json=newer)).status_code == 202
    await run_jobs()
    await late()
    await run_jobs()
    assert [passage["text"] for passage in await shop.search(QUESTIONS[0], 1)] == [newer["text"]]


async def test_a_late_run_does_not_bring_a_deleted_document_back(shop, late, run_jobs):
    assert (await shop.http.delete(f"/v1/documents/{shop.documents['Returns']}")).status_code == 202
    await run_jobs()
    assert await shop.runtime.index.count(shop.id, UUID(shop.documents["Returns"])) == 0
    await late()
    await run_jobs()
    assert await shop.runtime.index.count(shop.id, UUID(shop.documents["Returns"])) == 0


async def test_vectors_that_another_run_took_away_are_written_again(shop, run_jobs, monkeypatch):
    drop = shop.runtime.index.drop_other_versions

    async def too_much(tenant_id, document_id, version_id):
        monkeypatch.setattr(shop.runtime.index, "drop_other_versions", drop)
        await shop.runtime.index.delete(tenant_id, document_id)

    monkeypatch.setattr(shop.runtime.index, "drop_other_versions", too_much)
    await shop.add_text("Parking", "There are eleven parking spaces behind the shop.")
    await run_jobs()
    assert "eleven" in (await shop.search("parking spaces behind the shop", 1))[0]["text"]


@pytest.mark.parametrize("change", ["delete", "replace", "add"])
async def test_what_a_service_on_the_old_store_changes_meanwhile_is_moved_too(
    shop, qdrant, given, run_jobs, monkeypatch, change
):
    loop, work, path = asyncio.get_running_loop(), command._work, f"/v1/documents/{shop.documents['Returns']}"
    words = {"title": "Returns", "text": "Any item can come back within 99 days."}

    async def served():
        if change == "delete":
            await shop.http.delete(path)
        else:
            await (shop.http.put(path, json=words) if change == "replace" else shop.add_text("More", words["text"]))
        await run_jobs()

    async def interrupted(*values):
        await work(*values)
        monkeypatch.setattr(command, "_work", work)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(served(), loop))

    monkeypatch.setattr(command, "_work", interrupted)
    assert (await _run(given(qdrant.url), shop.id))[-1] == "Done."
    async with _server(shop, qdrant.url) as index:
        found = str((await _answers(shop, index))[0])
        assert ("99 days" in found) is (change != "delete")
        assert ("30 days" in found) is (change == "add")
        documents = (await shop.http.get("/v1/documents")).json()["documents"]
        assert await index.count(shop.id) == sum(document["chunks"] for document in documents)
