"""Sources that are sitemaps: what they list is read, and what they list no more is gone, if that can be told."""

import gzip

import pytest

from tests.app.egress.sites import answer, site
from tests.app.sources.web import Web, add, listed, page, source, states, sync, urlset

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE u [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(20))
    + b"]><urlset><url><loc>http://x/&u;</loc></url></urlset>"
)


@pytest.fixture
async def web(pages):
    web = Web()
    async with site(web.serve) as web.site:
        for name in "abc":
            web.pages[f"/{name}"] = page(f"This is the page {name}.", "/linked")
        yield web


def _lists(web, *paths):
    web.pages["/sitemap.xml"] = answer(urlset(*map(web.url, paths)), Content_Type="application/xml")


async def test_what_a_sitemap_lists_is_read_and_nothing_else(tenant, run_sources, web):
    _lists(web, "/a", "/b#x", "/b", "/missing", "/image.png")
    web.pages["/sitemap.xml"] = web.pages["/sitemap.xml"].replace(b"<urlset>", b"<urlset><url/>")
    added = await add(tenant, web.url("/sitemap.xml"), kind="sitemap")
    await run_sources()
    assert web.asked() == ["/sitemap.xml", "/a", "/b", "/missing"]
    assert await states(tenant, added) == {"/a": "added", "/b": "added", "/missing": "failed"}
    assert (await source(tenant, added))["status"] == "ready"


async def test_a_page_that_is_listed_no_more_is_gone(tenant, run_sources, web):
    _lists(web, "/a", "/b")
    added = await add(tenant, web.url("/sitemap.xml"), kind="sitemap")
    await run_sources()
    _lists(web, "/b", "/c")
    await sync(tenant, added)
    await run_sources()
    pages = await listed(tenant, added)
    assert {path: each["state"] for path, each in pages.items()} == {"/a": "removed", "/b": "unchanged", "/c": "added"}
    assert (pages["/a"]["reason_code"], pages["/a"]["document_id"]) == ("not_listed", None)


async def test_an_index_and_packed_sitemaps_are_read(tenant, run_sources, web):
    index = "".join(f"<sitemap><loc>{web.url(f'/{name}.xml.gz')}</loc></sitemap>" for name in ("one", "two"))
    web.pages["/sitemap.xml"] = answer(f"<sitemapindex>{index}</sitemapindex>".encode(), Content_Type="text/xml")
    for name, path in (("one", "/a"), ("two", "/b")):
        data = gzip.compress(urlset(web.url(path)))
        web.pages[f"/{name}.xml.gz"] = answer(data, Content_Type="application/x-gzip")
    added = await add(tenant, web.url("/sitemap.xml"), kind="sitemap")
    await run_sources()
    assert await states(tenant, added) == {"/a": "added", "/b": "added"}
    # One that cannot be read says nothing of what is gone.
    del web.pages["/two.xml.gz"]
    await sync(tenant, added)
    await run_sources()
    found = await listed(tenant, added)
    assert found["/b"]["document_id"] is not None
    assert found["/a"]["state"] == "unchanged"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (answer(BOMB, Content_Type="application/xml"), "damaged"),
        (answer(b"<html><body>Not found</body></html>"), "damaged"),
        (answer(status="404 Not Found"), "http_status"),
        (answer(status="503 Busy"), "http_status"),
        (answer(gzip.compress(b" " * 60_000_000)), "page_too_large"),
        (answer(b"<urlset></urlset>"), "nothing_found"),
    ],
)
async def test_a_sitemap_that_cannot_be_read_removes_nothing(tenant, run_sources, web, data, code):
    _lists(web, "/a", "/b")
    added = await add(tenant, web.url("/sitemap.xml"), kind="sitemap")
    await run_sources()
    web.pages["/sitemap.xml"] = data
    await sync(tenant, added)
    await run_sources()
    found = await source(tenant, added)
    assert (found["status"], found["error_code"], found["documents"]) == ("failed", code, 2)
    assert found["error"].endswith(".")


async def test_pages_of_other_sites_are_not_read(tenant, run_sources, web):
    web.pages["/sitemap.xml"] = answer(urlset("https://other.example/", "http://10.0.0.7/", web.url("/a")))
    added = await add(tenant, web.url("/sitemap.xml"), kind="sitemap", max_pages=1)
    await run_sources()
    assert await states(tenant, added) == {"/a": "added"}
