"""Pages that cannot be read: refused at once, tried again, or failed with the reason in words."""

from uuid import UUID

from app.egress.guard import Guard
from app.models import Document
from tests.app.documents.shop import LOOPBACK, Shop, add, count, make_due
from tests.app.egress.sites import answer, redirect, site

SCRIPTED = b"<html><head><title>App</title></head><body><div id=root></div><script>start()</script></body></html>"


BAD = {
    "/missing": (answer(status="404 Not Found"), "http_status", "does not exist"),
    "/forbidden": (answer(status="403 Forbidden"), "http_status", "does not let"),
    "/large": (answer(b"x" * 30_000), "page_too_large", "larger than"),
    "/image": (answer(b"\x89PNG", Content_Type="image/png"), "unsupported_type", "only web pages"),
    "/hidden-image": (answer(b"\x89PNG\r\n\x1a\n" + b"\0" * 64), "mislabelled", "PNG"),
    "/pdf": (answer(b"%PDF-1.7 nothing", Content_Type="application/pdf"), "damaged", "damaged"),
    "/scripted": (answer(SCRIPTED), "empty", "JavaScript"),
    "/empty": (answer(b""), "empty", "empty"),
    "/inside": (redirect("http://10.0.0.7/"), "url_not_public", "no public site"),
    "/loop": (redirect("/loop"), "too_many_redirects", "from address to address"),
}


async def test_pages_that_cannot_be_used_fail_with_the_reason_in_words(tenant, run_jobs, pages):
    async def serve(path, writer):
        writer.write(BAD[path][0])

    async with site(serve) as shop:
        added = {path: await add(tenant, shop.url(path, LOOPBACK)) for path in BAD}
        await run_jobs()
    for path, (_, code, words) in BAD.items():
        document = await tenant.document(added[path]["id"])
        assert (document["status"], document["error_code"]) == ("failed", code), path
        assert words in document["error"]
        assert document["error"].endswith(".")
        assert "127" not in document["error"]
    assert list(tenant.runtime.storage.folder(tenant.id).iterdir()) == []


async def test_a_site_in_trouble_is_tried_again(tenant, run_jobs, pages):
    page = Shop()
    good, page.response = page.response, answer(status="503 Unavailable")
    async with site(page.serve) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        await run_jobs()
        assert (await tenant.document(added["id"]))["status"] == "running"
        page.response = good
        await make_due(tenant)
        await run_jobs()
        assert len(shop.requests) == 2
    assert (await tenant.document(added["id"]))["status"] == "ready"


async def test_a_site_that_stays_in_trouble_fails_in_the_end(tenant, run_jobs, pages):
    async with site(answer(status="503 Unavailable")) as shop:
        added = await add(tenant, shop.url("/", LOOPBACK))
        for _ in range(6):
            await run_jobs()
            await make_due(tenant)
        tries = len(shop.requests)
    document = await tenant.document(added["id"])
    assert (document["status"], document["error_code"], tries) == ("failed", "http_status", 6)
    assert "503" in document["error"]


BAD_URLS = [
    ("http://127.0.0.1/", "url_not_public"),
    ("http://[::ffff:10.0.0.7]/", "url_not_public"),
    ("http://169.254.169.254/latest/meta-data/", "url_not_public"),
    ("http://localhost:5432/", "url_not_public"),
    ("http://2130706433/", "url_invalid"),
    ("ftp://example.com/", "url_scheme"),
    ("https://user:pass@example.com/", "url_credentials"),
    ("https://example.com:25/", "url_port"),
    ("not a url", "url_invalid"),
    ("https://example.com/" + "a" * 3000, "invalid_request"),
    ("", "invalid_request"),
    ("https://example.com/\x00", "invalid_request"),
]


async def test_a_plainly_bad_url_is_refused_at_once(tenant):
    for url, code in BAD_URLS:
        response = await tenant.http.post("/v1/documents", json={"url": url})
        assert (response.status_code, response.json()["code"]) == (422, code), url
        assert response.headers["content-type"] == "application/problem+json"
        assert "example.com/a" not in response.text
    assert await count(tenant, Document) == 0


async def test_a_page_has_no_text_of_its_own_and_a_text_no_url(tenant):
    for body in ({"url": "https://example.com/", "text": "x"}, {"url": 7}, {"url": None}, {"url": "x", "title": ""}):
        response = await tenant.http.post("/v1/documents", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
        fields = {error["field"] for error in response.json()["errors"]}
        assert fields <= {"body.url", "body.text", "body.title"}


async def test_a_name_that_leads_inside_fails_when_it_is_fetched(tenant, run_jobs, monkeypatch):
    async def inside(_name):
        return ["10.0.0.7"]

    runtime = tenant.runtime
    monkeypatch.setattr(runtime.fetcher, "_guard", Guard(resolve=inside))
    added = await add(tenant, "https://shop.example/hours")
    await run_jobs()
    document = await tenant.document(added["id"])
    assert (document["status"], document["error_code"]) == ("failed", "url_not_public")
    assert UUID(document["id"])
