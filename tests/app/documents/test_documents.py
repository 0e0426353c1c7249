import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from app.models import Document, DocumentChunk, DocumentVersion


async def test_a_text_becomes_searchable(tenant, run_jobs):
    added = await tenant.add_text("Returns", "You can return any item within 30 days.")
    assert added["status"] == "pending"
    assert await tenant.search("return an item") == []
    await run_jobs()
    document = await tenant.document(added["id"])
    assert (document["status"], document["chunks"], document["error"]) == ("ready", 1, None)
    (passage,) = await tenant.search("How long can I return things?")
    assert passage["document_id"] == added["id"]
    assert passage["title"] == "Returns"
    assert "30 days" in passage["text"]


async def test_a_markdown_file_keeps_its_headings(tenant, run_jobs):
    page = b"# Delivery\n\n## Costs\n\nStandard delivery costs 4.95 pounds.\n\n## Times\n\nIt takes three days.\n"
    added = await tenant.add_file("delivery.md", page, "text/markdown")
    await run_jobs()
    document = await tenant.document(added["id"])
    assert (document["status"], document["title"]) == ("ready", "Delivery")
    passages = await tenant.search("standard delivery costs")
    assert "Delivery" in passages[0]["heading"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \n\t ", "no text"),
        ("broken.pdf", b"%PDF-1.7\n garbage", "damaged"),
        ("broken.docx", b"PK\x03\x04garbage", "damaged"),
        ("picture.pdf", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "PNG"),
        ("program.txt", b"\x7fELF" + bytes(range(256)) * 4, ""),
    ],
)
async def test_a_bad_file_fails_with_the_reason_in_words(tenant, run_jobs, name, data, words):
    added = await tenant.add_file(name, data)
    await run_jobs()
    document = await tenant.document(added["id"])
    assert document["status"] == "failed"
    assert words.lower() in document["error"].lower()
    assert document["error"].endswith(".")
    good = await tenant.add_text("After", "The worker lives on.")
    await run_jobs()
    assert (await tenant.document(good["id"]))["status"] == "ready"


async def test_the_same_bytes_again_do_nothing(tenant, run_jobs):
    first = await tenant.add_file("a.txt", b"Opening hours are nine to five.")
    await run_jobs()
    again = await tenant.add_file("a.txt", b"Opening hours are nine to five.")
    other_name = await tenant.add_file("b.txt", b"Opening hours are nine to five.")
    assert again == other_name == {"id": first["id"], "status": "ready"}
    await run_jobs()
    assert len(await tenant.search("opening hours")) == 1


async def test_failed_bytes_may_be_tried_again(tenant, run_jobs):
    first = await tenant.add_file("a.pdf", b"%PDF-1.7 nothing")
    await run_jobs()
    again = await tenant.add_file("a.pdf", b"%PDF-1.7 nothing")
    assert again == {"id": first["id"], "status": "pending"}


async def test_a_new_version_replaces_the_old_one(tenant, run_jobs):
    first = await tenant.add_text("Hours", "The shop opens at nine.")
    await run_jobs()
    second = await tenant.add_text("Hours", "The shop opens at eleven.")
    assert second["id"] == first["id"]
    assert "nine" in (await tenant.search("When does the shop open?"))[0]["text"]
    await run_jobs()
    (passage,) = await tenant.search("When does the shop open?")
    assert "eleven" in passage["text"]
    async with tenant.runtime.vault.session(tenant.id) as session:
        assert await session.scalar(select(func.count()).select_from(DocumentVersion)) == 1
        assert await session.scalar(select(func.count()).select_from(DocumentChunk)) == 1
    assert await tenant.runtime.index.count(tenant.id) == 1


async def test_a_version_that_fails_leaves_the_old_one_answering(tenant, run_jobs):
    first = await tenant.add_file("hours.txt", b"The shop opens at nine.")
    await run_jobs()
    await tenant.add_file("hours.txt", b"\x00\x01\x02\x03" * 100)
    await run_jobs()
    document = await tenant.document(first["id"])
    assert document["status"] == "failed"
    assert "nine" in (await tenant.search("When does the shop open?"))[0]["text"]


async def test_a_document_can_be_replaced_by_its_id(tenant, run_jobs):
    first = await tenant.add_file("hours.txt", b"The shop opens at nine.")
    await run_jobs()
    response = await tenant.http.put(
        f"/v1/documents/{first['id']}", files={"file": ("new-hours.txt", b"The shop opens at ten.")}
    )
    assert (response.status_code, response.json()["id"]) == (202, first["id"])
    await run_jobs()
    assert "ten" in (await tenant.search("When does the shop open?"))[0]["text"]


async def test_there_is_no_moment_in_which_neither_version_is_found(tenant, run_jobs):
    await tenant.add_text("Hours", "The shop opens at number 0.")
    await run_jobs()
    missing, done = [], asyncio.Event()

    async def keep_searching():
        while not done.is_set():
            found = await tenant.search("When does the shop open?")
            if len(found) != 1:
                missing.append(found)
            await asyncio.sleep(0)

    searching_task = asyncio.create_task(keep_searching())
    for number in range(1, 8):
        await tenant.add_text("Hours", f"The shop opens at number {number}.")
        await run_jobs()
    done.set()
    await searching_task
    assert missing == []


async def test_a_deleted_document_answers_no_more_and_leaves_nothing(tenant, run_jobs):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    await run_jobs()
    assert (await tenant.http.delete(f"/v1/documents/{added['id']}")).status_code == 202
    assert await tenant.search("When does the shop open?") == []
    assert (await tenant.http.get(f"/v1/documents/{added['id']}")).status_code == 404
    await run_jobs()
    assert await tenant.runtime.index.count(tenant.id) == 0
    async with tenant.runtime.vault.session(tenant.id) as session:
        for model in (Document, DocumentVersion, DocumentChunk):
            assert await session.scalar(select(func.count()).select_from(model)) == 0
    assert list(tenant.runtime.storage.folder(tenant.id).iterdir()) == []
    again = await tenant.add_text("Hours", "The shop opens at nine.")
    assert again["id"] != added["id"]


async def test_a_document_deleted_while_it_is_read_stays_deleted(tenant, run_jobs, monkeypatch):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    embed = tenant.runtime.embedder.embed

    async def deleting(texts):
        await tenant.http.delete(f"/v1/documents/{added['id']}")
        return await embed(texts)

    monkeypatch.setattr(tenant.runtime.embedder, "embed", deleting)
    await run_jobs()
    assert await tenant.runtime.index.count(tenant.id) == 0
    assert await tenant.search("When does the shop open?") == []


async def test_an_interrupted_ingestion_is_done_again_without_doubling(tenant, run_jobs, monkeypatch):
    added = await tenant.add_text("Hours", "The shop opens at nine.")
    publish = "app.documents.reading._publish"

    async def dies(*_args):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(publish, dies)
        await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "running"
    async with tenant.runtime.vault.session(tenant.id) as session:
        version = (await session.scalars(select(DocumentVersion))).one()
        await tenant.runtime.queue.defer(
            session, "documents:ingest", "ingestion", ids={"tenant_id": tenant.id, "version_id": version.id}
        )
    await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"
    assert await tenant.runtime.index.count(tenant.id) == 1


async def test_files_texts_and_titles_are_stored_encrypted(tenant, run_jobs, tmp_path):
    await tenant.add_file("canary-name.txt", b"A canary sentence that must not be readable.")
    await run_jobs()
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.is_relative_to(tmp_path / "files") for path in stored)
    assert any(path.is_relative_to(tmp_path / "qdrant") for path in stored)
    assert [path for path in stored if b"canary" in path.read_bytes()] == []


async def test_one_tenant_never_finds_anothers_documents(make_tenant, run_jobs):
    one, two = await make_tenant("One"), await make_tenant("Two")
    added = await one.add_text("Secret", "The vault code is 4711.")
    await run_jobs()
    assert await two.search("vault code") == []
    for request in (
        two.http.get(f"/v1/documents/{added['id']}"),
        two.http.delete(f"/v1/documents/{added['id']}"),
        two.http.get(f"/v1/documents/{uuid4()}"),
    ):
        response = await request
        assert (response.status_code, response.json()["detail"]) == (404, "There is no such document.")
    assert len(await one.search("vault code")) == 1


async def test_a_search_among_some_documents_finds_no_others(tenant, run_jobs):
    mine = await tenant.add_text("Mine", "Socks cost 5 pounds.")
    await tenant.add_text("Other", "Socks cost 9 pounds.")
    await run_jobs()
    found = await tenant.search("socks cost", document_ids=[mine["id"]])
    assert [passage["document_id"] for passage in found] == [mine["id"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 422),
        (b"{}", 422),
        (b'{"title": "x"}', 422),
        (b'{"title": "", "text": "x"}', 422),
        (b'{"title": "a\\u0000b", "text": "x"}', 422),
        (b'{"title": "x", "text": "y", "extra": 1}', 422),
    ],
)
async def test_a_malformed_request_is_told_what_is_wrong(tenant, body, status):
    response = await tenant.http.post("/v1/documents", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]


async def test_a_form_without_a_file_is_refused(tenant):
    response = await tenant.http.post("/v1/documents", files={"other": ("a.txt", b"x")})
    assert (response.status_code, response.json()["code"]) == (422, "file_missing")


async def test_a_file_over_the_limit_is_refused(tenant):
    tenant.runtime.settings.max_document_bytes = 1000
    response = await tenant.http.post("/v1/documents", files={"file": ("a.txt", b"x" * 200_000)})
    assert response.status_code == 413


async def test_lists_have_pages(tenant):
    ids = [(await tenant.add_text(f"Title {number}", f"Text number {number}."))["id"] for number in range(5)]
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await tenant.http.get("/v1/documents", params=params)).json()
        seen += [document["id"] for document in answer["documents"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert (await tenant.http.get("/v1/documents", params={"cursor": "!!"})).status_code == 400
