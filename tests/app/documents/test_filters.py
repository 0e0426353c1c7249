"""Labels, sources and languages: which documents are listed, and which a search looks in."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.app.egress.sites import site
from tests.app.sources.web import Web, add, page
from tests.ingestion import office

LAMPS = "The desk lamp costs 20 pounds, and the floor lamp costs 80 pounds. Each lamp comes with a bulb."
LAMPEN = "Die Tischlampe kostet 20 Euro, und die Stehlampe kostet 80 Euro. Zu jeder Lampe gehört eine Birne."
LAMPES = "La lampe de bureau coûte 20 euros, et le lampadaire coûte 80 euros. Chaque lampe a son ampoule."
NOWHERE = "/v1/documents/00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def lamps(tenant, run_jobs):
    """Three documents by their titles, in three languages; two have labels."""
    added = {
        "en": await tenant.add_text("English", LAMPS, labels=["Prices", "shop"]),
        "de": await tenant.add_text("Deutsch", LAMPEN, labels=["prices"]),
        "fr": await tenant.add_text("Français", LAMPES),
    }
    await run_jobs()
    return {language: document["id"] for language, document in added.items()}


async def found(tenant, **filters):
    return {passage["document_id"] for passage in await tenant.search("lamp lampe 20", limit=20, **filters)}


async def listed(tenant, **query):
    response = await tenant.http.get("/v1/documents", params=query)
    assert response.status_code == 200, response.text
    return {document["id"] for document in response.json()["documents"]}


async def label(tenant, document_id, *labels):
    response = await tenant.http.patch(f"/v1/documents/{document_id}", json={"labels": labels})
    assert response.status_code == 200, response.text
    return response.json()["labels"]


async def test_each_filter_and_all_of_them_together(tenant, lamps):
    en, de, fr = lamps["en"], lamps["de"], lamps["fr"]
    assert [(await tenant.document(one))["language"] for one in (en, de, fr)] == ["en", "de", "fr"]
    for filters, expected in (
        ({}, {en, de, fr}),
        ({"labels": [], "languages": [], "source_ids": [], "document_ids": []}, {en, de, fr}),
        ({"labels": ["PRICES"]}, {en, de}),
        ({"labels": ["shop", "nothing"]}, {en}),
        ({"languages": ["de"]}, {de}),
        ({"languages": ["fr", "de"]}, {fr, de}),
        ({"document_ids": [en, fr]}, {en, fr}),
        ({"labels": ["prices"], "languages": ["de", "fr"]}, {de}),
        ({"labels": ["prices"], "document_ids": [en, fr]}, {en}),
        ({"labels": ["prices"], "document_ids": [en, fr], "languages": ["de"]}, set()),
        ({"labels": ["nothing"]}, set()),
        ({"languages": ["xx"]}, set()),
        ({"source_ids": [str(uuid4())]}, set()),
        ({"document_ids": [str(uuid4())]}, set()),
    ):
        assert await found(tenant, **filters) == expected, filters


async def test_the_list_has_the_same_filters(tenant, lamps, run_jobs):
    failed = (await tenant.add_file("empty.txt", b" "))["id"]
    await run_jobs()
    for query, expected in (
        ({"label": "Prices"}, {lamps["en"], lamps["de"]}),
        ({"label": "price"}, set()),
        ({"language": "fr"}, {lamps["fr"]}),
        ({"label": "prices", "language": "en"}, {lamps["en"]}),
        ({"status": "failed"}, {failed}),
        ({"status": "ready"}, set(lamps.values())),
        ({"source_id": str(uuid4())}, set()),
    ):
        assert await listed(tenant, **query) == expected, query
    first = (await tenant.http.get("/v1/documents", params={"label": "prices", "limit": 1})).json()
    rest = {"label": "prices", "limit": 1, "cursor": first["next_cursor"]}
    assert {first["documents"][0]["id"], *await listed(tenant, **rest)} == {lamps["en"], lamps["de"]}


async def test_labels_that_change_are_effective_at_once(tenant, lamps):
    assert await label(tenant, lamps["fr"], "new", "New", "x") == ["New", "x"]
    assert await found(tenant, labels=["new"]) == {lamps["fr"]}
    assert await label(tenant, lamps["fr"], "old") == ["old"]
    assert (await found(tenant, labels=["new"]), await found(tenant, labels=["old"])) == (set(), {lamps["fr"]})
    unchanged = await tenant.http.patch(f"/v1/documents/{lamps['fr']}", json={})
    assert unchanged.json()["labels"] == ["old"]
    assert await label(tenant, lamps["fr"]) == []
    assert await found(tenant, labels=["old"]) == set()


async def test_labels_outlive_a_version_and_a_version_can_bring_others(tenant, lamps, run_jobs):
    await tenant.add_text("English", f"{LAMPS} Now with a plug.")
    await tenant.http.put(f"/v1/documents/{lamps['de']}", json={"title": "Deutsch", "text": f"{LAMPEN} Mit Stecker."})
    await run_jobs()
    assert await found(tenant, labels=["prices"]) == {lamps["en"], lamps["de"]}
    # The same bytes are not read again, but are labelled.
    await tenant.add_text("English", f"{LAMPS} Now with a plug.", labels=["other"])
    assert await found(tenant, labels=["prices"]) == {lamps["de"]}
    assert await found(tenant, labels=["other"]) == {lamps["en"]}
    replaced = {"title": "Deutsch", "text": LAMPEN, "labels": []}
    await tenant.http.put(f"/v1/documents/{lamps['de']}", json=replaced)
    assert await found(tenant, labels=["prices"]) == set()


async def test_the_language_is_that_of_the_version_that_answers(tenant, lamps, run_jobs):
    await tenant.add_text("English", LAMPEN.replace("Euro", "Pfund"))
    assert await found(tenant, languages=["en"]) == await listed(tenant, language="en") == {lamps["en"]}
    await run_jobs()
    assert await found(tenant, languages=["en"]) == await listed(tenant, language="en") == set()
    assert await found(tenant, languages=["de"]) == {lamps["en"], lamps["de"]}


async def test_every_kind_of_body_takes_labels(tenant, pages, run_jobs):
    pairs = {"title": "Asked", "pairs": [{"questions": ["Is it a lamp?"], "answer": "It is."}], "labels": ["one"]}
    bodies = [pairs, {"url": "https://shop.example/", "labels": ["one"]}]
    added = [(await tenant.http.post("/v1/documents", json=body)).json()["id"] for body in bodies]
    for fields in ({"labels": ["one", "two"]}, {"labels": "one"}, {"labels": ["", "one"]}):
        files = {"file": (f"{len(added)}.txt", f"A lamp, {len(added)}.".encode(), "text/plain")}
        response = await tenant.http.post("/v1/documents", files=files, data=fields)
        added.append(response.json()["id"])
    assert await listed(tenant, label="one") == set(added)
    assert await listed(tenant, label="two") == {added[2]}


async def test_the_files_of_an_archive_have_its_labels(tenant, run_jobs):
    files = {"lamps.txt": LAMPS.encode(), "lampen.txt": LAMPEN.encode()}
    known = (await tenant.add_text("Known", LAMPEN, labels=["mine"]))["id"]
    body = {"file": ("shop.zip", office.archive(files), "application/zip")}
    archive = (await tenant.http.post("/v1/documents", files=body, data={"labels": ["packed"]})).json()["id"]
    await run_jobs()
    mine = await listed(tenant, label="packed")
    assert {archive, known} < mine
    assert len(mine) == 3
    assert await found(tenant, labels=["packed"]) == mine - {archive}


@pytest.mark.parametrize(
    "filters",
    [
        {"labels": [""]},
        {"labels": ["x" * 51]},
        {"labels": ["x"] * 21},
        {"labels": "prices"},
        {"labels": ["a\x00b"]},
        {"languages": ["EN"]},
        {"languages": ["english"]},
        {"languages": ["e"] * 2},
        {"source_ids": ["no id"]},
        {"document_ids": [1]},
        # Misspelt, it would be no filter at all.
        {"label": ["prices"]},
    ],
)
async def test_bad_filters_are_told(tenant, filters):
    response = await tenant.http.post("/v1/search", json={"query": "lamp", **filters})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_bad_labels_are_told(tenant, lamps):
    path = f"/v1/documents/{lamps['en']}"
    for wrong in ([""], ["x" * 51], ["x"] * 21, "x", [1]):
        assert (await tenant.http.patch(path, json={"labels": wrong})).status_code == 422
        response = await tenant.http.post("/v1/documents", json={"title": "x", "text": "y", "labels": wrong})
        assert response.status_code == 422
    assert (await tenant.http.patch(path, json={"title": "x"})).status_code == 422
    form = {"files": {"file": ("a.txt", b"A lamp.", "text/plain")}, "data": {"labels": ["x" * 51]}}
    response = await tenant.http.post("/v1/documents", **form)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "body.labels.0")
    for query in ({"language": "EN"}, {"status": "done"}, {"source_id": "x"}, {"label": "x" * 51}):
        assert (await tenant.http.get("/v1/documents", params=query)).status_code == 422
    assert (await tenant.http.patch(NOWHERE, json={"labels": ["x"]})).status_code == 404


async def test_another_tenants_labels_and_ids_find_nothing(make_tenant, run_jobs):
    one, two = await make_tenant("One"), await make_tenant("Two")
    theirs = (await one.add_text("English", LAMPS, labels=["prices"]))["id"]
    mine = (await two.add_text("English", LAMPS, labels=["mine"]))["id"]
    await run_jobs()
    assert await found(two, labels=["prices"]) == await listed(two, label="prices") == set()
    assert await found(two, document_ids=[theirs]) == set()
    assert await found(two, document_ids=[theirs, mine]) == {mine}
    assert (await two.http.patch(f"/v1/documents/{theirs}", json={"labels": ["x"]})).status_code == 404
    # The same label is another hash for another tenant.
    await label(two, mine, "prices")
    async with one.runtime.db.session(one.id) as session:
        (hashes,) = await session.scalars(text("select label_hashes from tenant.documents"))
    async with two.runtime.db.session(two.id) as session:
        (others,) = await session.scalars(text("select label_hashes from tenant.documents"))
    assert len(hashes) == len(others) == 1
    assert hashes != others


@pytest.fixture
async def web(pages):
    """A site of two pages about lamps."""
    web = Web()
    web.pages = {"/en/": page(LAMPS), "/de/": page(LAMPEN)}
    async with site(web.serve) as web.site:
        yield web


async def test_a_source_gives_its_labels_to_its_documents(tenant, run_jobs, web, lamps):
    source = await add(tenant, web.url("/en/"), kind="page", labels=["Web", "prices"])
    other = await add(tenant, web.url("/de/"), kind="page")
    await run_jobs()
    (mine,) = await listed(tenant, source_id=source)
    (theirs,) = await listed(tenant, source_id=other)
    shown = await tenant.document(mine)
    assert (shown["labels"], shown["source_labels"]) == ([], ["Web", "prices"])
    assert await found(tenant, source_ids=[source]) == await found(tenant, labels=["web"]) == {mine}
    assert await found(tenant, source_ids=[source, other]) == {mine, theirs}
    assert await found(tenant, source_ids=[source, other], languages=["de"]) == {theirs}
    assert await found(tenant, labels=["prices"]) == {mine, lamps["en"], lamps["de"]}
    assert await found(tenant, labels=["web"], source_ids=[other]) == set()
    # A new version, and the same address again, leave them as they are.
    web.pages["/en/"] = page(f"{LAMPS} Now with a plug.")
    assert await add(tenant, web.url("/en/"), kind="page") == source
    await run_jobs()
    assert await found(tenant, labels=["web"]) == {mine}
    await label(tenant, mine, "own")
    changed = await tenant.http.patch(f"/v1/sources/{source}", json={"labels": ["late"]})
    assert (changed.status_code, changed.json()["labels"]) == (200, ["late"])
    assert await found(tenant, labels=["web"]) == set()
    assert await found(tenant, labels=["own"]) == await found(tenant, labels=["late"]) == {mine}
    assert await listed(tenant, label="late") == {mine}
    await tenant.http.patch(f"/v1/sources/{source}", json={"labels": []})
    assert (await tenant.document(mine))["source_labels"] == []
    for wrong in ([""], ["x"] * 21):
        assert (await tenant.http.patch(f"/v1/sources/{source}", json={"labels": wrong})).status_code == 422


async def test_a_source_that_goes_is_no_filter_any_more(tenant, run_jobs, web):
    kept = (await tenant.http.post("/v1/documents", json={"url": web.url("/en/")})).json()["id"]
    await run_jobs()
    source = await add(tenant, web.url("/en/"), kind="page", labels=["web"])
    await run_jobs()
    assert await found(tenant, labels=["web"]) == await found(tenant, source_ids=[source]) == {kept}
    await tenant.http.delete(f"/v1/sources/{source}")
    assert await found(tenant, labels=["web"]) == await found(tenant, source_ids=[source]) == set()
    assert (await tenant.document(kept))["source_labels"] == []
    await run_jobs()
    assert await found(tenant) == {kept}
