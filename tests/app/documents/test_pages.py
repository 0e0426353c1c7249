"""Documents by URL, from the request to the passage, against sites on loopback."""

import asyncio
import re

import pytest
from sqlalchemy import select, text

from app.documents.pages import begin_version
from app.egress import FetchedPage
from app.models import Document, DocumentChunk, DocumentVersion
from tests.app.documents.shop import LOOPBACK, Shop, add, count, html, make_due
from tests.app.egress.sites import answer, site


async def test_a_page_becomes_searchable_under_its_title(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        url = shop.url("/hours", LOOPBACK)
        added = await add(tenant, url + "#today")
        assert added["status"] == "pending"
        waiting = await tenant.document(added["id"])
        assert (waiting["url"], waiting["title"], shop.requests) == (url, url, [])
        await run_jobs()
    document = await tenant.document(added["id"])
    assert (document["status"], document["title"], document["url"]) == ("ready", "Opening hours", url)
    (passage,) = await tenant.search("When does the shop open?")
    assert (passage["title"], passage["heading"]) == ("Opening hours", "Hours")
    assert "nine" in passage["text"]


async def test_an_agent_cites_the_page_by_its_title(tenant, run_jobs, pages):
    async with site(answer(html("You can return any item within 30 days of delivery.", "Returns"))) as shop:
        await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
    reply = await tenant.reply(await tenant.add_agent(), "Within how many days can I return an item?")
    assert [citation["title"] for citation in reply["citations"]] == ["Returns"]


async def test_a_given_title_stands_above_the_pages_own(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK), title="When we are open")
        await run_jobs()
        assert (await tenant.document(added["id"]))["title"] == "When we are open"
        await add(tenant, shop.url("/", LOOPBACK), title="Hours")
        await run_jobs()
    assert (await tenant.document(added["id"]))["title"] == "Hours"
    assert (await tenant.search("When does the shop open?"))[0]["title"] == "Hours"


async def test_the_same_url_again_reads_the_page_again(tenant, run_jobs, pages):
    page = Shop()
    async with site(page.serve) as shop:
        first = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        page.response = answer(html("The shop opens at eleven."))
        second = await add(tenant, f"HTTP://{LOOPBACK}:{shop.port}")
        assert second == {"id": first["id"], "status": "pending"}
        assert "nine" in (await tenant.search("When does the shop open?"))[0]["text"]
        await run_jobs()
    (passage,) = await tenant.search("When does the shop open?")
    assert "eleven" in passage["text"]
    assert await count(tenant, DocumentVersion) == await count(tenant, DocumentChunk) == 1
    assert await tenant.runtime.index.count(tenant.id) == 1
    assert len(list(tenant.runtime.storage.folder(tenant.id).iterdir())) == 1


async def test_a_page_that_did_not_change_changes_nothing(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        before = await _versions(tenant)
        await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        assert len(shop.requests) == 2
    assert await _versions(tenant) == before
    document = await tenant.document(added["id"])
    assert (document["status"], document["chunks"]) == ("ready", 1)
    assert len(await tenant.search("When does the shop open?")) == 1
    assert len(list(tenant.runtime.storage.folder(tenant.id).iterdir())) == 1


async def _versions(tenant):
    async with tenant.runtime.vault.session(tenant.id) as session:
        return list(await session.scalars(select(DocumentVersion.id)))


async def test_a_page_that_is_waiting_is_not_queued_twice(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        first = await add(tenant, shop.url("/", LOOPBACK))
        second = await add(tenant, shop.url("/", LOOPBACK))
        assert first == second
        await run_jobs()
    assert len(shop.requests) == 1
    assert await count(tenant, Document) == 1


async def test_a_page_that_fails_leaves_the_old_version_answering_and_recovers(tenant, run_jobs, pages):
    page = Shop()
    good = page.response
    async with site(page.serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        page.response = answer(status="404 Not Found")
        await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        failed = await tenant.document(added["id"])
        assert (failed["status"], failed["error_code"]) == ("failed", "http_status")
        assert "nine" in (await tenant.search("When does the shop open?"))[0]["text"]
        page.response = good
        await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"
    assert await count(tenant, DocumentVersion) == 1


async def test_there_is_no_moment_without_an_answer_while_a_page_changes(tenant, run_jobs, pages):
    page, missing, done = Shop(), [], asyncio.Event()

    async def keep_searching():
        while not done.is_set():
            found = await tenant.search("When does the shop open?")
            if len(found) != 1:
                missing.append(found)
            await asyncio.sleep(0)

    async with site(page.serve) as shop:
        await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        searching = asyncio.create_task(keep_searching())
        for number in range(4):
            page.response = answer(html(f"The shop opens at number {number // 2}."))
            await add(tenant, shop.url("/", LOOPBACK))
            await run_jobs()
        done.set()
        await searching
    assert missing == []


async def test_a_file_may_follow_a_page_and_a_page_a_file(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        document = f"/v1/documents/{added['id']}"
        await tenant.http.put(document, files={"file": ("hours.txt", b"The shop opens at ten.")})
        await run_jobs()
        assert (await tenant.document(added["id"]))["url"] is None
        assert "ten" in (await tenant.search("When does the shop open?"))[0]["text"]
        response = await tenant.http.put(document, json={"url": shop.url("/", LOOPBACK)})
        assert response.status_code == 202
        await run_jobs()
    assert (await tenant.document(added["id"]))["url"] == shop.url("/", LOOPBACK)
    assert "nine" in (await tenant.search("When does the shop open?"))[0]["text"]


async def test_a_file_uploaded_while_the_page_is_fetched_wins(tenant, run_jobs, pages):
    async def serve(_path, writer):
        await tenant.http.put(f"/v1/documents/{added['id']}", files={"file": ("hours.txt", b"The shop opens at ten.")})
        writer.write(answer(html("The shop opens at nine.")))

    async with site(serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
    (passage,) = await tenant.search("When does the shop open?")
    assert "ten" in passage["text"]


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
async def test_a_page_deleted_before_it_was_read_leaves_nothing(tenant, run_jobs, pages, moment):
    async def serve(_path, writer):
        await tenant.http.delete(f"/v1/documents/{added['id']}")
        writer.write(answer(html("The shop opens at nine.")))

    async with site(serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        if moment == "before":
            await tenant.http.delete(f"/v1/documents/{added['id']}")
        await run_jobs()
        assert len(shop.requests) == (0 if moment == "before" else 1)
        assert await count(tenant, Document) == await count(tenant, DocumentVersion) == 0
        assert await tenant.runtime.index.count(tenant.id) == 0
        folder = tenant.runtime.storage.folder(tenant.id)
        assert not folder.exists() or list(folder.iterdir()) == []
        again = await add(tenant, shop.url("/", LOOPBACK))
    assert again["id"] != added["id"]


async def test_an_interrupted_reading_does_not_fetch_again(tenant, run_jobs, pages, monkeypatch):
    async def dies(*_args):
        raise ConnectionError

    async with site(Shop().serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        with monkeypatch.context() as patch:
            patch.setattr("app.documents.reading._publish", dies)
            await run_jobs()
        await make_due(tenant)
        await run_jobs()
        assert len(shop.requests) == 1
    assert (await tenant.document(added["id"]))["status"] == "ready"


async def test_a_page_that_the_run_of_a_source_left_behind_is_read_when_asked_for(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        url = shop.url("/", LOOPBACK)
        fetched = FetchedPage(url, 200, "text/html", None, html("The shop opens at nine."), None, None)
        # What was begun is committed; then the process died, before the file and the job.
        async with tenant.runtime.vault.session(tenant.id) as session:
            await begin_version(session, url, fetched)
        added = await add(tenant, url)
        assert added["status"] == "pending"
        await run_jobs()
    assert (await tenant.document(added["id"]))["status"] == "ready"


async def test_an_idempotency_key_covers_pages(tenant, run_jobs, pages):
    async with site(Shop().serve) as shop:
        body, headers = {"url": shop.url("/", LOOPBACK)}, {"Idempotency-Key": "k1"}
        first = await tenant.http.post("/v1/documents", json=body, headers=headers)
        await run_jobs()
        again = await tenant.http.post("/v1/documents", json=body, headers=headers)
        await run_jobs()
        assert len(shop.requests) == 1
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


async def test_urls_and_pages_are_stored_encrypted(tenant, run_jobs, pages, tmp_path, admin):
    async with site(answer(html("A canary sentence that must not be readable."))) as shop:
        await add(tenant, shop.url("/canary-path", LOOPBACK))
        await run_jobs()
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.is_relative_to(tmp_path / "files") for path in stored)
    assert [path for path in stored if b"canary" in path.read_bytes()] == []
    async with tenant.runtime.vault.session(tenant.id) as session:
        rows = await session.execute(
            text("select to_jsonb(v)::text || to_jsonb(d)::text from tenant.document_versions v, tenant.documents d")
        )
        dump = "".join(row[0] for row in rows)
        jobs = (await session.execute(text("select args::text from queue.procrastinate_jobs"))).scalars().all()
    seen = re.sub(r"\\\\x([0-9a-f]*)", lambda found: repr(bytes.fromhex(found[1])), dump)
    assert "canary" not in seen + "".join(jobs)
    assert LOOPBACK not in seen + "".join(jobs)


async def test_another_tenants_page_is_another_document(make_tenant, run_jobs, pages):
    one, two = await make_tenant("One"), await make_tenant("Two")
    async with site(Shop().serve) as shop:
        first, second = [await add(tenant, shop.url("/", LOOPBACK)) for tenant in (one, two)]
        await run_jobs()
    assert first["id"] != second["id"]
    assert (await two.http.get(f"/v1/documents/{first['id']}")).status_code == 404


RUSSIAN = html("Возврат в течение тридцати дней.").decode().encode("cp1251")
TYPES = {
    "/cyrillic": (RUSSIAN, "text/html; charset=windows-1251", "Возврат в течение"),
    "/notes.md": (b"# Hours\n\nThe shop *opens* at nine.", "text/plain", "The shop opens at nine."),
    "/plain": ("Öffnungszeiten: neun Uhr.".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Öffnungszeiten"),
    "/page.pdf": (html("Not a PDF after all."), "text/html", "Not a PDF after all."),
}


async def test_headers_say_what_a_page_is(tenant, run_jobs, pages):
    async def serve(path, writer):
        data, content_type, _ = TYPES[path]
        writer.write(answer(data, Content_Type=content_type))

    async with site(serve) as shop:
        added = {path: await add(tenant, shop.url(path, LOOPBACK)) for path in TYPES}
        await run_jobs()
    for path, (_, _, words) in TYPES.items():
        assert (await tenant.document(added[path]["id"]))["status"] == "ready"
        found = [passage for passage in await tenant.search(words) if passage["document_id"] == added[path]["id"]]
        assert words in found[0]["text"]
