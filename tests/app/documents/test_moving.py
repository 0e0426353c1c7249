"""A tenant's vectors move from one embedding model to another: nothing stops answering, whatever comes between."""

import asyncio
import shutil
from base64 import b64encode
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from pydantic import HttpUrl, SecretStr
from sqlalchemy import select, text

from app import worker
from app.documents import moving
from app.documents import search as searching
from app.documents.collections import REINDEX, in_force, locked, queue_one, written
from app.documents.filters import NO_FILTERS
from app.egress import vector_transport
from app.models import Collection
from app.queue import MAX_ATTEMPTS
from app.reindex import ReindexIncomplete, reindex
from app.settings import Settings
from tests.conftest import MASTER_KEY
from tests.embedding_cache import CACHE
from tests.fakes.qdrant import FakeQdrant, Slow, failed, serving
from tests.vectorstore.tiny_model import DIMENSION, write_tiny_model
from vectorstore.embedding import space_of
from vectorstore.embeddings import Embedder
from vectorstore.index import SparseVector, VectorStoreUnavailable
from vectorstore.server import ServerIndex

TEXTS = {
    "Returns": "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel.",
    "Hours": "The shop opens at nine and closes at six. On Sundays it stays closed.",
    "Warranty": "Lamps have a warranty of three years. Bulbs have none.",
}
QUESTIONS = {
    "Returns": "How many days do I have to return an item?",
    "Hours": "When is the shop closed?",
    "Warranty": "warranty of a lamp",
}
LATER = "Gift cards are valid for two years."
NO_WORDS = SparseVector((), ())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Another model, whose vectors have 32 numbers, exported."""
    folder = tmp_path_factory.mktemp("tiny")
    model = Embedder(write_tiny_model(folder / "model"), folder / "cache")
    asyncio.run(model.prepare())
    model.folder, model.cache = folder / "model", folder / "cache"
    yield model
    model.close()


@pytest.fixture
async def shop(tenant, run_jobs):
    """Three documents in vectors of the default model."""
    tenant.documents = {title: (await tenant.add_text(title, words))["id"] for title, words in TEXTS.items()}
    await run_jobs()
    return tenant


@pytest.fixture
def restarted(runtime, tiny):
    """The process is started again, with another model; it still has the default one unless it is not `kept`."""
    before = runtime.embedder

    def restart(model=tiny, kept=True):
        runtime.embedder = model
        runtime.earlier_models = [before] if kept and model is not before else []

    yield restart
    runtime.embedder, runtime.earlier_models = before, []


@pytest.fixture
def server():
    fake = FakeQdrant()
    with serving(fake) as url:
        fake.url = url
        yield fake


@pytest.fixture
async def on_server(runtime, server):
    """The runtime keeps its vectors on a Qdrant server, so that a command can reach them, too."""
    embedded = runtime.index
    transport = vector_transport(Settings(qdrant_url=server.url))
    runtime.index = ServerIndex(server.url, runtime.embedder.dimension, transport=transport)
    yield runtime.index
    await runtime.index.close()
    runtime.index = embedded


@pytest.fixture
def given(settings, address, tmp_path, server, tiny):
    """Settings of a command that has the tiny model, on the test's database and Qdrant server."""
    models = tmp_path / "models"
    shutil.copytree(CACHE, models)
    shutil.copytree(tiny.cache, models, dirs_exist_ok=True)
    changed = {
        "database_url": SecretStr(address.url),
        "master_key": SecretStr(b64encode(MASTER_KEY.key).decode()),
        "qdrant_url": HttpUrl(server.url),
        "embedding_model": str(tiny.folder),
        "model_dir": models,
    }
    return settings.model_copy(update=changed)


async def _run(settings, tenant_id):
    said = []
    await asyncio.wait_for(asyncio.to_thread(reindex, settings, tenant_id, said.append), 60)
    return said


async def _found(runtime, shop, question):
    return [passage.text for passage in await searching.search(runtime, shop.id, question, 1)]


async def _answers(runtime, shop):
    """Whether each question finds its document first."""
    found = {title: await _found(runtime, shop, question) for title, question in QUESTIONS.items()}
    assert found == {title: [TEXTS[title]] for title in QUESTIONS}


async def _collections(shop):
    async with shop.runtime.vault.session(shop.id) as session:
        rows = await session.scalars(select(Collection).order_by(Collection.id))
        return [(row.name, row.space, row.state) for row in rows]


async def _closeness(shop, model, title):
    """The cosine of a document's vector in force to what the model makes of its text."""
    async with shop.runtime.vault.session(shop.id) as session:
        vectors = await in_force(session, shop.runtime)
    (wanted,) = await model.embed([f"{title}\n{TEXTS.get(title, LATER)}"])
    (match,) = await vectors.index.search(shop.id, wanted, NO_WORDS, 1, [UUID(shop.documents[title])])
    return match.cosine


async def _drop_retired(shop):
    async with shop.runtime.vault.session(shop.id) as session:
        ids = list(await session.scalars(select(Collection.id).where(Collection.state == "retired")))
    for one in ids:
        await moving.drop(shop.runtime, shop.id, one)
        await moving.drop(shop.runtime, shop.id, one)


async def _queue_missing(shop, collection, but=None):
    """What the command adds: a job for each document that is missing."""
    async with shop.runtime.vault.session(shop.id) as session:
        for document in await moving.missing(session, collection):
            if but is None or str(document) != shop.documents[but]:
                await queue_one(session, shop.runtime.queue, document)


async def _make_due(shop):
    """As if the jobs that wait for a time had it."""
    async with shop.runtime.db.session() as session:
        await session.execute(text("update queue.procrastinate_jobs set scheduled_at = null where status = 'todo'"))


async def test_a_tenant_is_answered_before_while_and_after_it_moves(shop, restarted, run_jobs, tiny, monkeypatch):
    old, default = space_of(shop.runtime.embedder), shop.runtime.embedder
    restarted()
    assert await _collections(shop) == [("", old, "in_force")]
    collection, moves = await moving.begin(shop.runtime, shop.id)
    assert moves
    place = f"{DIMENSION}-{tiny.fingerprint}"
    assert await _collections(shop) == [("", old, "in_force"), (place, place, "filling")]
    # With the old model at hand, and in a process that has only the new one, or none of the two.
    others = [
        shop.runtime,
        replace(shop.runtime, earlier_models=[]),
        replace(shop.runtime, embedder=default, earlier_models=[]),
    ]
    for other in others:
        await _answers(other, shop)
    beside = shop.runtime.index.of(place, DIMENSION)
    replaced, seen = beside.replace, []

    async def watched(*values):
        for other in others:
            await _answers(other, shop)
        seen.append(values)
        await replaced(*values)

    monkeypatch.setattr(beside, "replace", watched)
    await _queue_missing(shop, collection)
    await run_jobs()
    assert len(seen) == len(TEXTS)
    assert await _collections(shop) == [("", old, "retired"), (place, place, "in_force")]
    assert await _closeness(shop, tiny, "Hours") == pytest.approx(1.0, abs=1e-5)
    assert await beside.count(shop.id) == len(TEXTS)
    # Who began to search before goes on in the old one, which is dropped later.
    assert await shop.runtime.index.count(shop.id) == len(TEXTS)
    await _make_due(shop)
    await run_jobs()
    assert await shop.runtime.index.names(shop.id) == [place]
    assert await _collections(shop) == [(place, place, "in_force")]
    async with shop.runtime.vault.session(shop.id) as session:
        assert (await in_force(session, shop.runtime)).model is tiny
        assert (await in_force(session, others[2])).model is None
    # By words, and each as close as its own model finds it.
    (passage,) = await searching.search(others[2], shop.id, "warranty of a lamp", 1)
    assert passage.text == TEXTS["Warranty"]
    assert 0.3 < passage.cosine < 1


@pytest.mark.usefixtures("on_server")
async def test_the_command_moves_a_tenant_and_a_second_run_has_nothing_to_do(shop, given, tiny, restarted):
    said = await _run(given, shop.id)
    assert said == [
        "The vectors are of another embedding model: model gets its own, beside them.",
        "3 documents to index.",
        "Done.",
    ]
    # The service was not started again yet, and has not the model.
    await _answers(shop.runtime, shop)
    restarted()
    assert await _closeness(shop, tiny, "Returns") == pytest.approx(1.0, abs=1e-5)
    await _drop_retired(shop)
    assert (await _run(given, shop.id))[0] == "3 documents to index."
    assert [state for *_, state in await _collections(shop)] == ["in_force"]


@pytest.mark.usefixtures("on_server")
async def test_a_move_that_fails_goes_on_where_it_was(shop, given, server, restarted, run_jobs, monkeypatch):
    monkeypatch.setattr("app.queue._RETRY.max_attempts", 1)
    default = shop.runtime.embedder
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection, but="Hours")
    await run_jobs()
    restarted(default)
    server.fault(failed(400, "no"), rf"PUT /collections/[^/]+-{DIMENSION}-[0-9a-f]+/points", times=1000)
    with pytest.raises(ReindexIncomplete):
        await _run(given, shop.id)
    server.heal()
    await _answers(shop.runtime, shop)
    assert (await _run(given, shop.id))[1] == "1 documents to index."
    assert [state for *_, state in await _collections(shop)] == ["retired", "in_force"]
    await _answers(shop.runtime, shop)


@pytest.mark.usefixtures("on_server")
async def test_what_the_store_lost_meanwhile_is_written_again(shop, given, restarted, tiny):
    restarted()
    await moving.begin(shop.runtime, shop.id)
    async with shop.runtime.vault.session(shop.id) as session:
        document = UUID(shop.documents["Hours"])
        vectors, _ = await moving.target(session, shop.runtime)
        await session.execute(
            text("update tenant.document_versions set collection_id = :one where document_id = :document"),
            {"one": vectors.id, "document": document},
        )
    assert (await _run(given, shop.id))[1] == "3 documents to index."
    assert await _closeness(shop, tiny, "Hours") == pytest.approx(1.0, abs=1e-5)


@pytest.mark.usefixtures("on_server")
async def test_all_tenants_of_another_model_are_moved(shop, make_tenant, given, run_jobs):
    other, empty = await make_tenant("Other"), await make_tenant("Empty")
    other.documents = {"Parking": (await other.add_text("Parking", "There are eleven parking spaces."))["id"]}
    await run_jobs()
    said = await _run(given, None)
    assert said[0] == "2 tenants are on another embedding model, or on their way."
    assert said.count("1 documents to index.") == 1
    assert [state for *_, state in await _collections(other)] == ["retired", "in_force"]
    assert await _collections(empty) == []
    assert await _run(given, None) == ["0 tenants are on another embedding model, or on their way.", "Done."]


async def test_a_running_owner_of_the_store_moves_all_to_its_own_model(shop, given, restarted, tiny, tmp_path):
    restarted()
    owned = given.model_copy(update={"qdrant_url": None, "data_dir": tmp_path})
    stop = asyncio.Event()
    work = asyncio.create_task(worker.run_worker(shop.runtime, stop))
    try:
        moved = "The running `jobx up` moves all tenants that are on another embedding model than its own."
        assert await _run(owned, None) == [moved, "Done."]
    finally:
        stop.set()
        await work
    assert await _closeness(shop, tiny, "Warranty") == pytest.approx(1.0, abs=1e-5)


async def test_an_owner_of_the_store_with_another_model_than_the_command_is_told_of(shop, given, tmp_path):
    """`jobx up` was not started again since the setting was changed."""
    owned = given.model_copy(update={"qdrant_url": None, "data_dir": tmp_path})
    stop = asyncio.Event()
    work = asyncio.create_task(worker.run_worker(shop.runtime, stop))
    try:
        for tenant_id in (shop.id, None):
            with pytest.raises(ReindexIncomplete, match="start it again"):
                await _run(owned, tenant_id)
    finally:
        stop.set()
        await work
    assert [state for *_, state in await _collections(shop)] == ["in_force"]


async def test_a_command_that_takes_its_time_tells_how_much_is_left(shop, on_server, given, server, monkeypatch):
    monkeypatch.setattr("app.reindex._TELL_SECONDS", 0.2)
    server.fault(Slow(0.8), r"PUT /collections/[^/]+/points", times=3)
    said = await _run(given, shop.id)
    assert "3 documents left." in said
    assert said[-1] == "Done."


async def test_what_is_uploaded_while_a_tenant_moves_answers_at_once_and_afterwards(shop, restarted, run_jobs, tiny):
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    added = await shop.add_text("Gift cards", LATER)
    shop.documents["Gift cards"] = added["id"]
    replaced = {"title": "Hours", "text": TEXTS["Hours"] + " On Mondays, too."}
    path = f"/v1/documents/{shop.documents['Hours']}"
    assert (await shop.http.put(path, json=replaced)).status_code == 202
    await run_jobs(once=True)
    assert (await shop.document(added["id"]))["status"] == "ready"
    assert await _found(shop.runtime, shop, "gift cards") == [LATER]
    await _queue_missing(shop, collection)
    await run_jobs()
    assert [state for *_, state in await _collections(shop)] == ["retired", "in_force"]
    assert await _found(shop.runtime, shop, "gift cards") == [LATER]
    assert await _found(shop.runtime, shop, "When is the shop closed?") == [replaced["text"]]
    assert await _closeness(shop, tiny, "Gift cards") == pytest.approx(1.0, abs=1e-5)


async def test_what_a_process_without_the_model_reads_is_found_by_words_until_one_has_it(shop, restarted, run_jobs):
    default = shop.runtime.embedder
    restarted(kept=False)
    added = await shop.add_text("Gift cards", LATER)
    shop.documents["Gift cards"] = added["id"]
    await run_jobs()
    assert (await shop.document(added["id"]))["status"] == "ready"
    assert await _found(shop.runtime, shop, "gift cards") == [LATER]
    await _make_due(shop)
    await run_jobs()
    restarted(default)
    assert await _found(shop.runtime, shop, "gift cards") == [LATER]
    assert await _closeness(shop, default, "Gift cards") < 0.5
    await _make_due(shop)
    await run_jobs()
    assert await _closeness(shop, default, "Gift cards") == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("moment", ["add", "settle"])
async def test_a_document_is_not_published_into_a_collection_that_is_over(
    shop, restarted, run_jobs, tiny, monkeypatch, moment
):
    """The other collection comes into force while the document is read: before its vectors are checked, or after."""
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection)
    async with shop.runtime.vault.session(shop.id) as session:
        vectors, _ = await moving.target(session, shop.runtime)
        texts = dict((await session.execute(text("select id, current_version_id from tenant.documents"))).all())
    call, done = getattr(shop.runtime.index, moment), []

    async def moved_meanwhile(*values):
        await call(*values)
        if not done:
            done.append(True)
            for document, version in texts.items():
                await vectors.index.replace(shop.id, document, version, [])
            async with shop.runtime.vault.session(shop.id) as session:
                await session.execute(
                    text("update tenant.document_versions set collection_id = :one where status = 'ready'"),
                    {"one": collection},
                )
            assert await moving.finish(shop.runtime, shop.id)

    monkeypatch.setattr(shop.runtime.index, moment, moved_meanwhile)
    async with shop.runtime.db.session() as session:
        await session.execute(text("delete from queue.procrastinate_jobs"))
    added = await shop.add_text("Gift cards", LATER)
    shop.documents["Gift cards"] = added["id"]
    await run_jobs()
    await _make_due(shop)
    await run_jobs()
    assert done
    assert (await shop.document(added["id"]))["status"] == "ready"
    assert await _found(shop.runtime, shop, "gift cards") == [LATER]
    assert await _closeness(shop, tiny, "Gift cards") == pytest.approx(1.0, abs=1e-5)


async def test_a_deletion_reaches_every_collection(shop, restarted, run_jobs):
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection, but="Warranty")
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        beside = (await moving.target(session, shop.runtime))[0].index
    assert (await shop.runtime.index.count(shop.id), await beside.count(shop.id)) == (3, 2)
    assert (await shop.http.delete(f"/v1/documents/{shop.documents['Hours']}")).status_code == 202
    await run_jobs()
    assert (await shop.runtime.index.count(shop.id), await beside.count(shop.id)) == (2, 1)


async def test_the_erasure_of_a_tenant_leaves_no_collection(shop, restarted, run_jobs):
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection, but="Hours")
    await run_jobs()
    assert len(await shop.runtime.index.names(shop.id)) == 2
    assert (await shop.http.delete("/v1/account", params={"days": 0})).status_code == 202
    await run_jobs()
    assert await shop.runtime.index.names(shop.id) == []


async def test_a_move_is_given_up_for_another_model_or_for_the_old_one(shop, restarted, run_jobs, tmp_path, tiny):
    default = shop.runtime.embedder
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection, but="Hours")
    await run_jobs()
    # Other weights, and as many numbers.
    other = Embedder(write_tiny_model(tmp_path / "other", seed=8), tmp_path / "cache")
    await other.prepare()
    assert other.fingerprint != tiny.fingerprint
    restarted(other)
    collection, moves = await moving.begin(shop.runtime, shop.id)
    assert moves
    assert [state for *_, state in await _collections(shop)] == ["in_force", "retired", "filling"]
    await _queue_missing(shop, collection)
    await run_jobs()
    assert await _closeness(shop, other, "Hours") == pytest.approx(1.0, abs=1e-5)
    # Back to the first of the two, of which something was left.
    restarted(tiny)
    collection, _ = await moving.begin(shop.runtime, shop.id)
    async with shop.runtime.vault.session(shop.id) as session:
        assert len(await moving.missing(session, collection)) == len(TEXTS)
    restarted(other)
    assert (await moving.begin(shop.runtime, shop.id))[1] is False
    assert [state for *_, state in await _collections(shop)].count("in_force") == 1
    await _make_due(shop)
    await run_jobs()
    assert [state for *_, state in await _collections(shop)] == ["in_force"]
    assert len(await shop.runtime.index.names(shop.id)) == 1
    other.close()
    restarted(default)
    assert await _found(shop.runtime, shop, QUESTIONS["Hours"]) == [TEXTS["Hours"]]


async def test_a_move_is_given_up_by_the_command_for_all_tenants(shop, given, on_server, restarted):
    restarted()
    await moving.begin(shop.runtime, shop.id)
    back = given.model_copy(update={"embedding_model": None})
    assert (await _run(back, None))[0] == "1 tenants are on another embedding model, or on their way."
    assert [state for *_, state in await _collections(shop)] == ["in_force", "retired"]
    assert (await _run(back, None))[0] == "0 tenants are on another embedding model, or on their way."


async def test_two_who_begin_at_once_fill_one_collection(shop, restarted):
    restarted()
    begun = await asyncio.gather(*(moving.begin(shop.runtime, shop.id) for _ in range(4)))
    assert len(set(begun)) == 1
    assert [state for *_, state in await _collections(shop)] == ["in_force", "filling"]


async def _jobs(shop):
    """Jobs by their tasks and states."""
    async with shop.runtime.db.session() as session:
        return [
            tuple(row) for row in await session.execute(text("select task_name, status from queue.procrastinate_jobs"))
        ]


async def _outlasts(shop, run_jobs):
    """More runs than a job has attempts, all while something is away."""
    for _ in range(MAX_ATTEMPTS + 1):
        await run_jobs()
        await _make_due(shop)


async def test_a_move_waits_for_a_store_that_is_away_for_long(shop, restarted, run_jobs, tiny, monkeypatch):
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection)
    async with shop.runtime.vault.session(shop.id) as session:
        beside = (await moving.target(session, shop.runtime))[0].index

    async def away(*_values):
        raise VectorStoreUnavailable("away")

    with monkeypatch.context() as cut:
        cut.setattr(beside, "replace", away)
        await _outlasts(shop, run_jobs)
    assert await _jobs(shop) == [(REINDEX, "todo")] * len(TEXTS)
    await run_jobs()
    assert await _closeness(shop, tiny, "Hours") == pytest.approx(1.0, abs=1e-5)
    with monkeypatch.context() as cut:
        cut.setattr(shop.runtime.index, "drop", away)
        await _make_due(shop)
        await _outlasts(shop, run_jobs)
    assert await _jobs(shop) == [(moving.DROP, "todo")]
    await run_jobs()
    assert [state for *_, state in await _collections(shop)] == ["in_force"]


async def test_a_worker_that_stops_hands_the_writing_of_vectors_on(shop, restarted, run_jobs):
    restarted()
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection)
    shop.runtime.pressure.stop()
    await run_jobs(once=True)
    assert await _jobs(shop) == [(REINDEX, "todo")] * len(TEXTS)
    shop.runtime.pressure._stopping.clear()
    await run_jobs()
    assert [state for *_, state in await _collections(shop)] == ["retired", "in_force"]


async def test_who_waits_for_the_begin_of_a_move_sees_it(shop, restarted):
    """Else what it publishes is missing in the new collection, and no job is added that writes it there."""
    restarted()
    seen = []

    async def publish():
        async with shop.runtime.vault.session(shop.id) as session:
            seen.append((await written(session, shop.runtime))[1])

    async with shop.runtime.vault.session(shop.id) as session:
        await locked(session)
        waiting = asyncio.create_task(publish())
        await asyncio.sleep(0.3)
        assert not seen
        session.add(Collection(name="beside", space=space_of(shop.runtime.embedder), state="filling"))
    await waiting
    assert seen[0] is not None


async def test_a_drop_under_way_does_not_meet_the_next_collection_of_the_same_model(
    shop, restarted, run_jobs, tiny, monkeypatch
):
    """To another model, back, and there again, while the drop of the first one waits for the store."""
    default = shop.runtime.embedder
    restarted()
    await moving.begin(shop.runtime, shop.id)
    restarted(default)
    await moving.begin(shop.runtime, shop.id)
    async with shop.runtime.vault.session(shop.id) as session:
        over = await session.scalar(select(Collection).where(Collection.state == "retired"))
    beside = shop.runtime.index.of(over.name, DIMENSION)
    drop, waited = beside.drop, []

    async def waits(tenant_id):
        if not waited:
            waited.append(True)
            restarted()
            collection, _ = await moving.begin(shop.runtime, shop.id)
            await _queue_missing(shop, collection)
            await run_jobs()
        await drop(tenant_id)

    monkeypatch.setattr(beside, "drop", waits)
    await moving.drop(shop.runtime, shop.id, over.id)
    in_force = [(name, space) for name, space, state in await _collections(shop) if state == "in_force"]
    assert in_force == [(f"{space_of(tiny)}-2", space_of(tiny))]
    await _answers(shop.runtime, shop)


async def test_a_turn_that_began_in_the_old_collection_finds_what_was_replaced_since(shop, restarted, run_jobs):
    """A turn searches again and again, for a minute; the new version is in the new collection only."""
    restarted()
    async with shop.runtime.vault.session(shop.id) as session:
        retrieve = searching.retriever(shop.runtime, shop.id, NO_FILTERS, await in_force(session, shop.runtime))
    collection, _ = await moving.begin(shop.runtime, shop.id)
    await _queue_missing(shop, collection)
    await run_jobs()
    assert [state for *_, state in await _collections(shop)] == ["retired", "in_force"]
    replaced = {"title": "Hours", "text": TEXTS["Hours"] + " On Mondays, too."}
    path = f"/v1/documents/{shop.documents['Hours']}"
    assert (await shop.http.put(path, json=replaced)).status_code == 202
    await run_jobs()
    assert replaced["text"] in [passage.text for passage in await retrieve(QUESTIONS["Hours"])]


@pytest.mark.usefixtures("on_server")
async def test_one_tenant_that_fails_or_is_gone_does_not_keep_the_others_from_moving(
    shop, make_tenant, given, server, run_jobs, monkeypatch
):
    monkeypatch.setattr("app.queue._RETRY.max_attempts", 1)
    other = await make_tenant("Other")
    await other.add_text("Parking", "There are eleven parking spaces.")
    await run_jobs()
    tenants = sorted([shop, other], key=lambda one: one.id)
    server.fault(failed(400, "no"), rf"PUT /collections/jobx-1-{tenants[0].id.hex}-[^/]+/points", times=1000)

    async def found(*_values):
        return [uuid4(), *(one.id for one in tenants)]

    monkeypatch.setattr(moving, "tenants_of_other_models", found)
    with pytest.raises(ReindexIncomplete, match="1 of 3 tenants were not moved"):
        await _run(given, None)
    states = [[state for *_, state in await _collections(one)] for one in tenants]
    assert states == [["in_force", "filling"], ["retired", "in_force"]]


@pytest.mark.usefixtures("on_server")
async def test_a_move_of_which_others_do_the_jobs_and_note_nothing_ends(shop, given, monkeypatch):
    async def nothing(*_values):
        pass

    with monkeypatch.context() as old:
        old.setattr("app.documents.reindex._note", nothing)
        with pytest.raises(ReindexIncomplete, match="stop old workers"):
            await _run(given, shop.id)
    await _answers(shop.runtime, shop)
    await _run(given, shop.id)
    assert [state for *_, state in await _collections(shop)] == ["retired", "in_force"]
