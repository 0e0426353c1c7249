"""Archives over HTTP: one upload, many documents."""

import pytest
from sqlalchemy import func, select

from app.models import Document, DocumentVersion
from tests.ingestion import files, office


async def titles(tenant):
    answer = (await tenant.http.get("/v1/documents", params={"limit": 100})).json()
    return {document["title"]: document for document in answer["documents"]}


async def versions(tenant):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return set(await session.scalars(select(DocumentVersion.id).where(DocumentVersion.status == "ready")))


@pytest.fixture
def shop():
    return {
        "help/hours.txt": "The shop opens at nine.",
        "help/returns.md": "# Returns\n\nWithin 30 days.\n",
        "logo.png": files.PNG,
        "secret.docx": files.OLE,
    }


async def test_each_file_becomes_a_document(tenant, run_jobs, shop):
    added = await tenant.add_file("shop.zip", office.archive(shop))
    assert added["status"] == "pending"
    await run_jobs()
    archive = await tenant.document(added["id"])
    assert (archive["status"], archive["pages"], archive["chunks"], archive["error"]) == ("ready", 2, 0, None)
    assert [words.split(" ", 3)[2] for words in archive["warnings"]] == ["logo.png:", "secret.docx:"]
    found = await titles(tenant)
    assert set(found) == {"shop.zip", "hours", "Returns"}
    assert all(document["status"] == "ready" for document in found.values())
    assert "nine" in (await tenant.search("When does the shop open?"))[0]["text"]


async def test_the_same_archive_changes_nothing_and_a_new_one_only_what_changed(tenant, run_jobs, shop):
    first = await tenant.add_file("shop.zip", office.archive(shop))
    await run_jobs()
    before = await versions(tenant)
    assert (await tenant.add_file("shop.zip", office.archive(shop)))["status"] == "ready"
    await run_jobs()
    assert await versions(tenant) == before
    changed = shop | {"help/hours.txt": "The shop opens at eleven.", "new.txt": "Gifts are wrapped."}
    again = await tenant.add_file("shop.zip", office.archive(changed))
    assert again["id"] == first["id"]
    await run_jobs()
    # The archive's own, that of the hours, and the new document's.
    assert len(await versions(tenant) - before) == 3
    assert len(await versions(tenant) & before) == 1
    assert "eleven" in (await tenant.search("When does the shop open?"))[0]["text"]
    async with tenant.runtime.vault.session(tenant.id) as session:
        assert await session.scalar(select(func.count()).select_from(Document)) == 4


async def test_a_bad_file_in_it_fails_alone(tenant, run_jobs):
    await tenant.add_file("shop.zip", office.archive({"good.txt": "Fine words here.", "bad.pdf": b"%PDF-1.7 rubbish"}))
    await run_jobs()
    found = await titles(tenant)
    assert (found["shop.zip"]["status"], found["shop.zip"]["pages"]) == ("ready", 2)
    assert found["good"]["status"] == "ready"
    assert (found["shop.zip/bad.pdf"]["status"], found["shop.zip/bad.pdf"]["error_code"]) == ("failed", "damaged")


async def test_an_archive_of_nothing_that_is_read_fails_with_the_reasons(tenant, run_jobs):
    added = await tenant.add_file("shop.zip", office.archive({"logo.png": files.PNG}))
    await run_jobs()
    archive = await tenant.document(added["id"])
    assert (archive["status"], archive["error_code"]) == ("failed", "empty")
    assert "logo.png: The file is a PNG image." in archive["error"]


async def test_a_bomb_fails_and_others_are_read(tenant, run_jobs):
    added = await tenant.add_file("shop.zip", office.archive({f"{n}.txt": bytes(20_000_000) for n in range(3)}))
    good = await tenant.add_text("Hours", "The shop opens at nine.")
    await run_jobs()
    assert (await tenant.document(added["id"]))["error_code"] == "too_complex"
    assert (await tenant.document(good["id"]))["status"] == "ready"


async def test_a_run_that_was_cut_off_is_done_again_without_doubling(tenant, run_jobs, shop, monkeypatch):
    added = await tenant.add_file("shop.zip", office.archive(shop))

    async def dies(*_args):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("app.documents.reading._publish", dies)
        await run_jobs()
    async with tenant.runtime.vault.session(tenant.id) as session:
        for version in await session.scalars(select(DocumentVersion)):
            ids = {"tenant_id": tenant.id, "version_id": version.id}
            await tenant.runtime.queue.defer(session, "documents:ingest", "ingestion", ids=ids)
    await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"
    assert {title: document["status"] for title, document in (await titles(tenant)).items()} == {
        "shop.zip": "ready",
        "hours": "ready",
        "Returns": "ready",
    }


async def test_the_language_of_a_document_is_shown(tenant, run_jobs):
    german = "Sie können Ihre Bestellung innerhalb von dreißig Tagen zurückgeben, wenn sie unbenutzt ist."
    added = await tenant.add_text("Rückgabe", german)
    short = await tenant.add_text("Short", "4711")
    await run_jobs()
    assert (await tenant.document(added["id"]))["language"] == "de"
    assert (await tenant.document(short["id"]))["language"] is None
