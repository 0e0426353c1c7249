"""Sites that are followed link by link: what is read, how far, and what a second run finds."""

import pytest

from app.models import Document, SourcePage
from tests.app.documents.shop import count
from tests.app.egress.sites import answer, site
from tests.app.sources.web import Web, add, listed, page, source, states, sync, texts


@pytest.fixture
async def web(pages):
    """A shop's help pages."""
    web = Web()
    web.pages = {
        "/help/": page(
            "Welcome to our help pages.", "returns", "/help/shipping?utm_source=x#top", "/about", "mailto:a@b.c"
        ),
        "/help/returns": page("You can return any item within 30 days.", "/help/", "shipping", "deep/one"),
        "/help/shipping": page("Shipping takes two working days.", "//other.example/x", "/help/map.png"),
        "/help/deep/one": page("Gift cards cannot be returned.", "two"),
        "/help/deep/two": page("Vouchers are valid for three years."),
        "/about": page("We are a family business."),
    }
    async with site(web.serve) as web.site:
        yield web


async def test_a_site_is_read_from_its_first_page_on(tenant, run_jobs, web):
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    assert web.asked() == [f"/help/{path}" for path in ("", "returns", "shipping", "deep/one", "deep/two")]
    found = await source(tenant, added)
    assert (found["status"], found["pages"]["added"], found["documents"], found["error"]) == ("ready", 5, 5, None)
    assert (found["pages"]["queued"], found["runs"], found["unreadable"]) == (0, 1, 0)
    (best, *_) = await tenant.search("How many days to return an item?")
    assert "30 days" in best["text"]
    document = await tenant.document(best["document_id"])
    assert (document["url"], document["status"]) == (web.url("/help/returns"), "ready")
    assert best["title"] == "You can return any item within 30 days"


async def test_one_page_by_itself_is_the_same_document(tenant, run_jobs, web):
    one = (await tenant.http.post("/v1/documents", json={"url": web.url("/help/returns")})).json()
    await run_jobs()
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    pages = await listed(tenant, added)
    assert pages["/help/returns"]["document_id"] == one["id"]
    assert await count(tenant, Document) == 5
    await tenant.http.delete(f"/v1/sources/{added}")
    await run_jobs()
    assert (await tenant.document(one["id"]))["status"] == "ready", "it was there before the source"
    assert await count(tenant, Document) == 1


@pytest.mark.parametrize(
    ("limits", "read"),
    [
        ({"depth": 0}, {""}),
        ({"depth": 1}, {"", "returns", "shipping"}),
        ({"depth": 2}, {"", "returns", "shipping", "deep/one"}),
        ({"max_pages": 2}, {"", "returns"}),
        ({"exclude": ["/help/deep/"]}, {"", "returns", "shipping"}),
        ({"include": ["/help/", "/about"], "exclude": ["/help/deep/", "/help/s"]}, {"", "returns", "../about"}),
        ({"include": ["/help/r"]}, {"", "returns"}),
        ({"kind": "page"}, {""}),
    ],
)
async def test_how_far_it_goes_is_limited(tenant, run_sources, web, limits, read):
    added = await add(tenant, web.url("/help/"), **limits)
    await run_sources()
    expected = {"/about" if path == "../about" else f"/help/{path}" for path in read}
    assert set(web.asked()) == expected
    assert {path for path, state in (await states(tenant, added)).items() if state == "added"} == expected


async def test_a_second_run_shows_what_was_added_changed_and_removed(tenant, run_jobs, web):
    added = await add(tenant, web.url("/help/"), depth=2)
    await run_jobs()
    web.pages["/help/"] = page("Welcome to our help pages.", "returns", "new")
    web.pages["/help/returns"] = page("You can return any item within 60 days.", "deep/one")
    web.pages["/help/new"] = page("We open a shop in Lisbon.")
    del web.pages["/help/deep/one"]
    web.asked()
    await sync(tenant, added)
    await run_jobs()
    assert sorted(web.asked()) == [f"/help/{path}" for path in ("", "deep/one", "new", "returns", "shipping")]
    assert await states(tenant, added) == {
        "/help/": "changed",
        "/help/returns": "changed",
        "/help/new": "added",
        "/help/deep/one": "removed",
        # No link leads to it any more, but it is there.
        "/help/shipping": "unchanged",
    }
    assert any("60 days" in text for text in await texts(tenant, "How many days to return an item?"))
    assert not any("30 days" in text for text in await texts(tenant, "How many days to return an item?"))
    assert not any("Gift cards" in text for text in await texts(tenant, "Can gift cards be returned?"))
    pages = await listed(tenant, added)
    assert "404" in pages["/help/deep/one"]["reason"]
    await sync(tenant, added)
    await run_jobs()
    assert (await states(tenant, added))["/help/deep/one"] == "failed", "a link leads nowhere"
    web.pages["/help/returns"] = page("You can return any item within 60 days.")
    await sync(tenant, added)
    await run_jobs()
    assert "/help/deep/one" not in await states(tenant, added)


async def test_a_page_that_is_gone_stops_answering_before_anything_is_erased(tenant, run_jobs, web, runtime):
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    assert any("two working days" in text for text in await texts(tenant, "How long does shipping take?"))
    document = (await listed(tenant, added))["/help/shipping"]["document_id"]
    web.pages["/help/shipping"] = answer(status="410 Gone")
    await sync(tenant, added)
    await run_jobs(once=True)
    assert (await states(tenant, added))["/help/shipping"] == "removed"
    assert (await tenant.http.get(f"/v1/documents/{document}")).status_code == 404
    assert not any("two working days" in text for text in await texts(tenant, "How long does shipping take?"))
    await run_jobs()
    erasures = (await tenant.http.get("/v1/erasures")).json()["erasures"]
    assert [(each["scope"], each["state"]) for each in erasures] == [("document", "done")]
    assert await count(tenant, Document) == 4
    assert len(await runtime.storage.keys(tenant.id)) == 4


async def test_an_unchanged_page_is_not_sent_again_and_its_links_are_followed(tenant, run_jobs, web):
    web.etags = True
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    web.asked()
    web.pages["/help/deep/two"] = page("Vouchers are valid for five years.")
    versions = {path: each["document_id"] for path, each in (await listed(tenant, added)).items()}
    await sync(tenant, added)
    await run_jobs()
    heads = {head.split()[1]: head for head in web.site.requests}
    assert all("If-None-Match" in head for path, head in heads.items() if path != "/robots.txt")
    assert len(heads) == 6
    found = await states(tenant, added)
    assert found.pop("/help/deep/two") == "changed"
    assert set(found.values()) == {"unchanged"}
    assert {path: each["document_id"] for path, each in (await listed(tenant, added)).items()} == versions
    assert any("five years" in text for text in await texts(tenant, "How long are vouchers valid?"))


async def test_a_page_that_only_looks_changed_is_unchanged(tenant, run_sources, web):
    added = await add(tenant, web.url("/help/"))
    await run_sources()
    await sync(tenant, added)
    await run_sources()
    assert set((await states(tenant, added)).values()) == {"unchanged"}


async def test_a_site_that_is_down_keeps_everything(tenant, run_jobs, web):
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    good = dict(web.pages)
    for broken in (answer(status="503 Unavailable"), answer(status="403 Forbidden"), answer(status="404 Not Found")):
        web.pages = dict.fromkeys(good, broken)
        await sync(tenant, added)
        await run_jobs()
        found = await source(tenant, added)
        assert (found["status"], found["error_code"], found["documents"]) == ("failed", "http_status", 5)
        assert found["error"]
        assert any("30 days" in text for text in await texts(tenant, "How many days to return an item?"))
    web.pages = good
    await sync(tenant, added)
    await run_jobs()
    found = await source(tenant, added)
    assert (found["status"], found["error"], found["pages"]["unchanged"]) == ("ready", None, 5)


async def test_pages_that_fail_keep_their_old_version_and_say_why(tenant, run_jobs, web):
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    web.pages["/help/returns"] = answer(status="500 Oops")
    web.pages["/help/shipping"] = answer(b"\x89PNG", Content_Type="image/png")
    web.pages["/help/deep/one"] = answer(b"x" * 30_000)
    await sync(tenant, added)
    await run_jobs()
    pages = await listed(tenant, added)
    reasons = {path: (each["state"], each["reason_code"]) for path, each in pages.items()}
    assert reasons["/help/returns"] == ("failed", "unavailable")
    assert reasons["/help/shipping"] == ("failed", "unsupported_type")
    assert reasons["/help/deep/one"] == ("failed", "page_too_large")
    assert reasons["/help/deep/two"] == ("unchanged", None)
    assert any("30 days" in text for text in await texts(tenant, "How many days to return an item?"))
    assert (await source(tenant, added))["status"] == "ready"


async def test_paths_that_are_left_out_later_stop_answering(tenant, run_jobs, web):
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    response = await tenant.http.patch(f"/v1/sources/{added}", json={"exclude": ["/help/deep/"], "every_hours": None})
    assert (response.status_code, response.json()["exclude"]) == (200, ["/help/deep/"])
    assert response.json()["next_sync_at"] is None
    await sync(tenant, added)
    await run_jobs()
    found = await listed(tenant, added)
    assert (found["/help/deep/one"]["state"], found["/help/deep/one"]["reason_code"]) == ("removed", "excluded")
    assert await count(tenant, Document) == 3
    await tenant.http.patch(f"/v1/sources/{added}", json={"max_pages": 2})
    await sync(tenant, added)
    await run_jobs()
    found = await listed(tenant, added)
    assert (found["/help/shipping"]["state"], found["/help/shipping"]["reason_code"]) == ("removed", "page_limit")
    assert await count(tenant, Document) == 2


async def test_the_same_address_again_is_the_same_source(tenant, run_sources, web):
    first = await add(tenant, web.url("/help/"), depth=1)
    await run_sources()
    again = await add(tenant, web.url("/help/#part"), depth=0, every_hours=48)
    assert again == first
    await run_sources()
    found = await source(tenant, first)
    assert (found["depth"], found["every_hours"], found["runs"], found["max_pages"]) == (0, 48, 2, 200)
    other = await add(tenant, web.url("/help/"), kind="page")
    assert other != first
    sources = (await tenant.http.get("/v1/sources")).json()["sources"]
    assert [each["id"] for each in sources] == [other, first]


async def test_a_deleted_source_stops_answering_and_goes(tenant, run_jobs, web, runtime):
    added = await add(tenant, web.url("/help/"))
    await run_jobs()
    response = await tenant.http.delete(f"/v1/sources/{added}")
    assert (response.status_code, response.json()) == (202, {"id": added, "status": "removing"})
    assert await texts(tenant, "How many days to return an item?") == []
    assert (await tenant.http.get(f"/v1/sources/{added}")).status_code == 404
    assert (await tenant.http.get(f"/v1/sources/{added}/pages")).status_code == 404
    await run_jobs()
    assert await count(tenant, Document) == await count(tenant, SourcePage) == 0
    assert await runtime.index.count(tenant.id) == 0
    assert await runtime.storage.keys(tenant.id) == []
    again = await add(tenant, web.url("/help/"))
    assert again != added
    await run_jobs()
    assert (await source(tenant, again))["documents"] == 5


async def test_two_sources_share_a_page_and_the_last_one_takes_it_along(tenant, run_jobs, web):
    whole, part = await add(tenant, web.url("/help/")), await add(tenant, web.url("/help/deep/one"), kind="page")
    await run_jobs()
    assert await count(tenant, Document) == 5
    await tenant.http.delete(f"/v1/sources/{whole}")
    assert any("Gift cards" in text for text in await texts(tenant, "Can gift cards be returned?"))
    await run_jobs()
    assert any("Gift cards" in text for text in await texts(tenant, "Can gift cards be returned?"))
    assert await count(tenant, Document) == 1
    web.pages["/help/deep/one"] = answer(status="404 Not Found")
    await sync(tenant, part)
    await run_jobs()
    assert (await source(tenant, part))["status"] == "ready"
    assert await count(tenant, Document) == 0


async def test_two_tenants_never_meet(make_tenant, run_jobs, web):
    one, two = await make_tenant("One"), await make_tenant("Two")
    first, second = await add(one, web.url("/help/")), await add(two, web.url("/help/"))
    await run_jobs()
    assert first != second
    for path in ("", "/pages"):
        assert (await two.http.get(f"/v1/sources/{first}{path}")).status_code == 404
    for path in ("/sync", "/cancel"):
        assert (await two.http.post(f"/v1/sources/{first}{path}")).status_code == 404
    assert (await two.http.patch(f"/v1/sources/{first}", json={"depth": 1})).status_code == 404
    assert (await two.http.delete(f"/v1/sources/{first}")).status_code == 404
    assert [each["id"] for each in (await two.http.get("/v1/sources")).json()["sources"]] == [second]
    await one.http.delete(f"/v1/sources/{first}")
    await run_jobs()
    assert await texts(one, "How many days to return an item?") == []
    assert any("30 days" in text for text in await texts(two, "How many days to return an item?"))
