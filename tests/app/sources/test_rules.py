"""What a site asks of robots, and where its pages send readers: robots.txt, noindex, canonical, redirects."""

import asyncio

import pytest

from app.sources.robots import read
from tests.app.egress.sites import answer, redirect, site
from tests.app.sources.web import Web, add, listed, page, source, states, sync


@pytest.fixture
async def web(pages):
    web = Web()
    async with site(web.serve) as web.site:
        yield web


def _site(web, *links, **pages):
    web.pages = {"/": page("Welcome to our shop.", *links)} | {
        f"/{name}": page(f"This is the page {name}.") if content is None else content for name, content in pages.items()
    }


async def _run(tenant, run_sources, web, **fields):
    added = await add(tenant, web.url(), **fields)
    await run_sources()
    return added, {path: (each["state"], each["reason_code"]) for path, each in (await listed(tenant, added)).items()}


def _robots(*lines):
    return answer("\n".join(lines).encode(), Content_Type="text/plain")


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        (["User-agent: *", "Disallow: /b"], {"/", "/a"}),
        (["User-agent: *", "Disallow: /", "", "User-agent: jobx", "Allow: /"], {"/", "/a", "/b"}),
        (["User-agent: *", "Disallow: /*b$", "Disallow: /a", "Allow: /a"], {"/", "/a"}),
        (["User-agent: Jobxtra", "Disallow: /", "User-agent: others", "Disallow: /"], {"/", "/a", "/b"}),
        (["<html>Not found</html>"], {"/", "/a", "/b"}),
    ],
)
async def test_robots_txt_is_kept_to(tenant, run_sources, web, lines, read):
    _site(web, "a", "b", a=None, b=None)
    web.pages["/robots.txt"] = _robots(*lines)
    _, found = await _run(tenant, run_sources, web)
    assert set(web.asked()) == read
    assert {path for path, (_, reason) in found.items() if reason == "robots_denied"} == set(found) - read


async def test_a_site_that_wants_no_robots_is_left_alone_and_keeps_what_was_read(tenant, run_sources, web):
    _site(web, "a", a=None)
    added, _ = await _run(tenant, run_sources, web)
    web.asked()
    denied = {
        "robots_denied": _robots("User-agent: *", "Disallow: /"),
        "http_status": answer(status="503 Unavailable"),
        "too_many": answer(status="429 Too Many Requests"),
    }
    for code, robots in denied.items():
        web.pages["/robots.txt"] = robots
        await sync(tenant, added)
        await run_sources()
        found = await source(tenant, added)
        assert (found["status"], found["documents"]) == ("failed", 2)
        assert found["error_code"] == ("http_status" if code == "too_many" else code)
        assert "robots.txt" in found["error"]
    assert web.asked() == []


def test_a_robots_txt_of_thousands_of_robots_costs_no_more_than_one():
    names = "".join(f"User-agent: bot{number}\n" for number in range(12_000))
    robots = read((names + "Disallow: /x\n" * 12_000).encode())
    assert robots.rules is not None
    assert robots.rules.can_fetch("http://shop.example/x", "Jobx")


def test_a_delay_is_honoured_up_to_ten_seconds():
    assert [read(f"User-agent: *\nCrawl-delay: {asked}".encode()).delay for asked in ("2.5", "3600", "x", "-1")] == [
        *(2.5, 10.0, 0.0, 0.0)
    ]


async def test_pages_that_want_no_robots_are_skipped(tenant, run_sources, web):
    noindex, nofollow = '<meta name="robots" content="noindex">', '<meta name="robots" content="nofollow">'
    _site(
        web, "a", "b", "c",
        a=page("Not for robots.", "deeper", head=noindex),
        b=page("No way on.", "hidden", head=nofollow),
        c=answer(page("By its header.", "hidden"), X_Robots_Tag="otherbot: noarchive, noindex, nofollow"),
        deeper=None, hidden=None,
    )  # fmt: skip
    added, found = await _run(tenant, run_sources, web)
    assert found == {
        "/": ("added", None),
        "/a": ("skipped", "noindex"),
        "/b": ("added", None),
        "/c": ("skipped", "noindex"),
        "/deeper": ("added", None),
    }
    web.pages["/deeper"] = page("Not any more.", head=noindex)
    await sync(tenant, added)
    await run_sources()
    assert (await states(tenant, added))["/deeper"] == "removed"


async def test_the_canonical_address_is_read_in_place_of_others(tenant, run_sources, web):
    _site(
        web, "print?id=1", "a", "b", "c",
        **{"print?id=1": page("Print view.", "from-print", head='<link rel="canonical" href="/shown">')},
        a=page("A calls itself B.", head='<link rel="canonical" href="/b">'),
        b=page("B calls itself A.", head='<link rel="canonical" href="/a">'),
        c=page("C is elsewhere.", head='<link rel="canonical" href="https://other.example/c">'),
        **{"shown": None, "from-print": None},
    )  # fmt: skip
    _, found = await _run(tenant, run_sources, web)
    assert found["/print?id=1"] == ("skipped", "duplicate")
    assert found["/shown"] == found["/from-print"] == found["/c"] == ("added", None)
    assert sorted([found["/a"], found["/b"]]) == [("added", None), ("skipped", "duplicate")]


async def test_redirects_lead_to_the_page_that_is_read(tenant, run_sources, web):
    _site(
        web, "old", "around", "away", "self", "private",
        old=redirect("/new?utm_campaign=x", "301 Moved"),
        new=None,
        around=redirect("/back"),
        back=redirect("/around"),
        away=redirect("https://other.example/"),
        self=redirect("/self"),
        private=redirect("http://169.254.169.254/latest/"),
    )  # fmt: skip
    added, found = await _run(tenant, run_sources, web)
    assert found == {
        "/": ("added", None),
        "/old": ("skipped", "redirected"),
        "/new": ("added", None),
        "/around": ("skipped", "redirected"),
        "/back": ("skipped", "redirected"),
        "/away": ("skipped", "other_site"),
        "/self": ("skipped", "too_many_redirects"),
        "/private": ("skipped", "other_site"),
    }
    assert (await source(tenant, added))["status"] == "ready"


async def test_a_page_that_moves_is_replaced_if_it_moved_for_good(tenant, run_sources, web):
    _site(web, "a", "b", a=None, b=None)
    added, _ = await _run(tenant, run_sources, web)
    web.pages["/a"], web.pages["/b"] = redirect("/moved", "308 Permanent"), redirect("/moved")
    web.pages["/moved"] = page("Both are here.")
    await sync(tenant, added)
    await run_sources()
    pages = await listed(tenant, added)
    assert (pages["/a"]["state"], pages["/a"]["document_id"]) == ("removed", None)
    assert pages["/b"]["document_id"] is not None, "a site under repair sends all pages on to one"


async def test_a_start_page_that_leads_to_another_site_ends_the_run(tenant, run_sources, web):
    web.pages["/"] = redirect("https://casino.example/")
    added, found = await _run(tenant, run_sources, web)
    assert found == {"/": ("skipped", "other_site")}
    seen = await source(tenant, added)
    assert (seen["status"], seen["error_code"]) == ("failed", "moved")


async def test_a_start_page_may_lead_into_a_part_of_the_site(tenant, run_sources, web):
    _site(web)
    web.pages = {"/": redirect("/en/"), "/en/": page("Welcome.", "a", "/de/"), "/en/a": page("A."), "/de/": page("D.")}
    _, found = await _run(tenant, run_sources, web)
    assert {path for path, (state, _) in found.items() if state == "added"} == {"/en/", "/en/a", "/de/"}


async def test_links_to_other_hosts_and_inside_are_never_followed(tenant, run_sources, web):
    _site(web, "http://10.0.0.7/", "http://169.254.169.254/", "http://[::1]:5432/", f"http://localhost:{web.site.port}/x",
          "https://user:pass@127.0.0.1/", "file:///etc/passwd", "//evil.example/", "http://2130706433/")  # fmt: skip
    _, found = await _run(tenant, run_sources, web)
    assert found == {"/": ("added", None)}
    assert web.asked() == ["/"]


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7/", "http://169.254.169.254/", "http://localhost/", "ftp://a.example/"]
)
async def test_private_addresses_are_refused_at_once(tenant, url):
    response = await tenant.http.post("/v1/sources", json={"url": url})
    assert response.status_code == 422
    assert response.json()["code"].startswith("url_")


BAD = [
    {"depth": 11}, {"depth": -1}, {"max_pages": 0}, {"max_pages": 5001}, {"every_hours": 0}, {"every_hours": 721},
    {"include": ["help"]}, {"include": ["//evil.example"]}, {"include": ["/a b"]}, {"exclude": ["/x"] * 51},
    {"kind": "site"}, {"unknown": 1}, {"url": "x" * 3000},
]  # fmt: skip


@pytest.mark.parametrize("fields", BAD)
async def test_settings_out_of_bounds_are_refused(tenant, fields):
    response = await tenant.http.post("/v1/sources", json={"url": "https://shop.example/"} | fields)
    assert response.status_code == 422
    assert "evil" not in response.text


async def test_a_calendar_without_an_end_is_bounded(tenant, run_sources, web):
    async def calendar(path, writer):
        month = int(path.rpartition("=")[2] or 0)
        links = [f"/calendar?month={month + step}" for step in range(1, 40)] + [
            f"/x{month}/a/a/a/a/",
            f"/x/{'y/' * 30}",
        ]
        writer.write(answer(page(f"Month {month} has no events.", *links)))

    class Endless(dict):
        def get(self, path, default=None):
            return calendar if path.startswith("/calendar") else super().get(path, default)

    web.pages = Endless({"/": page("Welcome.", "/calendar?month=0")})
    added, found = await _run(tenant, run_sources, web, depth=10, max_pages=5)
    asked = web.asked()
    assert len(asked) == 5
    assert len(found) <= 50
    assert not any("/a/a/" in path or "/y/" in path for path in found)
    seen = await source(tenant, added)
    assert (seen["status"], seen["pages"]["added"]) == ("ready", 5)


async def test_a_page_that_never_ends_and_a_slow_one_cost_one_page_each(tenant, run_sources, web, runtime):
    async def endless(_path, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while True:
            writer.write(b"<p>more</p>" * 1000)
            await writer.drain()

    async def slow(_path, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(1)

    runtime.fetcher._seconds = 2
    _site(web, "endless", "slow", "good", endless=endless, slow=slow, good=None)
    _, found = await _run(tenant, run_sources, web)
    assert found["/endless"] == ("failed", "page_too_large")
    assert found["/slow"] == ("failed", "timed_out")
    assert found["/good"] == ("added", None)


async def test_a_site_that_stops_answering_is_left_alone(tenant, run_sources, web):
    _site(web, *(f"p{number}" for number in range(20)))
    for number in range(20):
        web.pages[f"/p{number}"] = answer(status="502 Bad Gateway")
    added, found = await _run(tenant, run_sources, web)
    assert len(web.asked()) == 6
    seen = await source(tenant, added)
    assert (seen["status"], seen["error_code"], seen["documents"]) == ("failed", "site_down", 1)
    assert sum(state == "skipped" for state, _ in found.values()) == 15
    assert {reason for _, reason in found.values()} == {None, "unavailable", "not_asked"}


async def test_the_first_page_is_known_again_by_its_plain_address(tenant, run_sources, web):
    _site(web, "/?utm_source=x", "/#top")
    added = await add(tenant, web.url("/?gclid=1&utm_source=mail"))
    await run_sources()
    assert web.asked() == ["/"]
    assert await states(tenant, added) == {"/": "added"}
