"""How far the reading of a document is: told, cancelled, and gone on with after a crash."""

import asyncio
import json

import pytest
from sqlalchemy import func, select

from app import streams
from app.documents import reading
from app.models import DocumentChunk, DocumentVersion

LINES = "\n\n".join(f"Chapter {n}. The price of article {n} is {n} pounds and {n} pence. " * 12 for n in range(30))


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 4)


@pytest.fixture
def embedded(tenant, monkeypatch):
    """The texts that were embedded; calls `after` when that many pieces were."""
    texts, embed, hooks = [], tenant.runtime.embedder.embed, {}

    async def noted(batch):
        vectors = await embed(batch)
        texts.extend(batch)
        if (hook := hooks.get(len(texts) // 4)) is not None:
            await hook()
        return vectors

    monkeypatch.setattr(tenant.runtime.embedder, "embed", noted)
    texts_and_hooks = (texts, hooks)
    return texts_and_hooks


async def test_a_document_that_is_read_says_how_far_it_is(tenant, run_jobs, small_pieces, embedded):
    _, hooks = embedded
    seen = []

    async def look():
        seen.append(await tenant.document(added["id"]))

    hooks[3] = look
    added = await tenant.add_text("Prices", LINES)
    assert (await tenant.document(added["id"]))["progress"] == {
        "stage": "waiting",
        "chunks_done": 0,
        "chunks_per_second": None,
        "seconds_left": None,
    }
    await run_jobs()
    (midway,) = seen
    assert midway["status"] == "running"
    assert midway["progress"]["stage"] == "embedding"
    # The third piece is not noted yet.
    assert midway["progress"]["chunks_done"] == 8
    assert midway["chunks"] > 12
    done = await tenant.document(added["id"])
    assert (done["status"], done["progress"], done["chunks"]) == ("ready", None, midway["chunks"])


async def test_a_crash_costs_no_more_than_the_piece_at_hand(tenant, run_jobs, small_pieces, embedded, monkeypatch):
    texts, hooks = embedded
    parsed, parse = [], tenant.runtime.parser.parse

    async def noted(*args, **kwargs):
        parsed.append(1)
        return await parse(*args, **kwargs)

    async def dies():
        hooks.clear()
        raise ConnectionError

    monkeypatch.setattr(tenant.runtime.parser, "parse", noted)
    hooks[3] = dies
    added = await tenant.add_text("Prices", LINES)
    await run_jobs()
    assert (await tenant.document(added["id"]))["progress"]["chunks_done"] == 8
    assert await tenant.search("price of article 1") == []
    async with tenant.runtime.vault.session(tenant.id) as session:
        await tenant.runtime.queue.defer(
            session, "documents:ingest", "ingestion", ids={"tenant_id": tenant.id, "version_id": await _version(tenant)}
        )
    await run_jobs()
    document = await tenant.document(added["id"])
    assert document["status"] == "ready"
    assert len(parsed) == 1
    # Only the piece whose end was not noted is embedded a second time.
    assert len(texts) == document["chunks"] + 4
    assert await tenant.runtime.index.count(tenant.id) == document["chunks"]


async def test_vectors_that_were_lost_meanwhile_are_made_anew(tenant, run_jobs, small_pieces, embedded):
    _, hooks = embedded

    async def lost():
        hooks.clear()
        await tenant.runtime.index.drop(tenant.id)

    hooks[3] = lost
    added = await tenant.add_text("Prices", LINES)
    await run_jobs()
    assert (await tenant.document(added["id"]))["progress"]["chunks_done"] == 0
    async with tenant.runtime.vault.session(tenant.id) as session:
        await tenant.runtime.queue.defer(
            session, "documents:ingest", "ingestion", ids={"tenant_id": tenant.id, "version_id": await _version(tenant)}
        )
    await run_jobs()
    document = await tenant.document(added["id"])
    assert document["status"] == "ready"
    assert await tenant.runtime.index.count(tenant.id) == document["chunks"]


async def test_cancelling_stops_the_reading_and_leaves_nothing(tenant, run_jobs, small_pieces, embedded):
    texts, hooks = embedded

    async def cancelled():
        answer = await tenant.http.post(f"/v1/documents/{added['id']}/cancel")
        assert answer.status_code == 200

    hooks[2] = cancelled
    added = await tenant.add_text("Prices", LINES)
    await run_jobs()
    document = await tenant.document(added["id"])
    assert (document["status"], document["error_code"], document["progress"]) == ("failed", "cancelled", None)
    assert len(texts) == 8
    assert await tenant.runtime.index.count(tenant.id) == 0
    assert await _stored_chunks(tenant) == 0
    assert (await tenant.http.post(f"/v1/documents/{added['id']}/cancel")).status_code == 200
    again = await tenant.add_text("Prices", LINES)
    await run_jobs()
    assert (await tenant.document(again["id"]))["status"] == "ready"


async def test_cancelling_a_new_version_keeps_the_old_one(tenant, run_jobs, small_pieces, embedded):
    _, hooks = embedded
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    await run_jobs()

    async def cancelled():
        await tenant.http.post(f"/v1/documents/{added['id']}/cancel")

    hooks[1] = cancelled
    await tenant.add_text("Hours", LINES)
    await run_jobs()
    (passage,) = await tenant.search("When does the shop open?")
    assert "nine" in passage["text"]
    assert await tenant.runtime.index.count(tenant.id) == 1


async def test_a_document_that_waits_is_cancelled_before_it_is_read(tenant, run_jobs, embedded):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    await tenant.http.post(f"/v1/documents/{added['id']}/cancel")
    await run_jobs()
    assert embedded[0] == []
    assert (await tenant.document(added["id"]))["error_code"] == "cancelled"


async def test_what_is_ready_cannot_be_cancelled(tenant, run_jobs):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    await run_jobs()
    answer = await tenant.http.post(f"/v1/documents/{added['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_being_read")


async def test_the_stream_follows_a_document_until_it_is_ready(tenant, run_jobs, small_pieces):
    added = await tenant.add_text("Prices", LINES)
    following = asyncio.create_task(_events(tenant, added["id"]))
    await asyncio.sleep(0.2)
    await run_jobs()
    events = await asyncio.wait_for(following, 30)
    kinds = [kind for kind, _ in events]
    assert kinds[0] == "progress"
    assert kinds[-1] == "ready"
    assert events[0][1]["progress"]["stage"] == "waiting"
    assert events[-1][1]["chunks"] > 12


async def test_the_stream_of_a_document_that_is_over_tells_how_it_ended(tenant, run_jobs):
    added = await tenant.add_file("broken.pdf", b"%PDF-1.7\n garbage")
    await run_jobs()
    ((kind, document),) = await _events(tenant, added["id"])
    assert (kind, document["error_code"]) == ("failed", "damaged")


async def test_the_stream_ends_with_the_process(tenant):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    following = asyncio.create_task(_events(tenant, added["id"]))
    await asyncio.sleep(0.2)
    tenant.http._transport.app.state.streams.end()
    assert [kind for kind, _ in await asyncio.wait_for(following, 10)] == ["progress"]


async def test_a_revoked_key_ends_its_stream(tenant):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    scopes = ["documents:read"]
    made = (await tenant.http.post("/v1/api-keys", json={"name": "watcher", "scopes": scopes})).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    following = asyncio.create_task(_events(tenant, added["id"], headers=headers))
    await asyncio.sleep(0.3)
    assert not following.done()
    assert (await tenant.http.delete(f"/v1/api-keys/{made['id']}")).is_success
    assert [kind for kind, _ in await asyncio.wait_for(following, 10)] == ["progress"]


async def test_streams_of_progress_take_places_of_all_streams(tenant, monkeypatch):
    monkeypatch.setattr(streams, "_STREAMS_OF_TENANT", 1)
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    following = asyncio.create_task(_events(tenant, added["id"]))
    await asyncio.sleep(0.3)
    refused = await tenant.http.get(f"/v1/documents/{added['id']}/progress")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    await tenant.http.post(f"/v1/documents/{added['id']}/cancel")
    assert [kind for kind, _ in await asyncio.wait_for(following, 10)] == ["progress", "failed"]
    assert len(await _events(tenant, added["id"])) == 1


async def test_of_another_tenants_document_there_is_no_stream(make_tenant):
    one, two = await make_tenant("One"), await make_tenant("Two")
    added = await one.add_text("Secret", "The vault code is 4711.")
    assert (await two.http.get(f"/v1/documents/{added['id']}/progress")).status_code == 404
    assert (await two.http.post(f"/v1/documents/{added['id']}/cancel")).status_code == 404


async def _events(tenant, document_id, **more):
    text = (await tenant.http.get(f"/v1/documents/{document_id}/progress", **more)).text
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\r\n\r\n") if block]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


async def _version(tenant):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return (await session.scalars(select(DocumentVersion.id))).one()


async def _stored_chunks(tenant):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return await session.scalar(select(func.count()).select_from(DocumentChunk))
