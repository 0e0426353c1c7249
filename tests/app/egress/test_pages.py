"""Fetching from real servers on loopback that answer well, badly, slowly, or not at all."""

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from ipaddress import ip_network

import pytest

from app.egress import FetchFailed, FetchRefused
from app.egress.body import Body
from app.egress.guard import Guard
from tests.app.egress.sites import LOOPBACK, NAME, answer, fetcher, redirect, resolver, site, zipped

PAGE = b"<p>Returns within 30 days.</p>"
CANARY = b"canary-4711"


async def refused(pages, url):
    with pytest.raises(FetchRefused) as caught:
        await pages.fetch(url)
    return caught.value


async def failed(pages, url):
    with pytest.raises(FetchFailed) as caught:
        await pages.fetch(url)
    return caught.value


async def test_a_page_comes_with_what_its_headers_say():
    headers = {"Content_Type": 'Text/HTML; Charset="Windows-1251"', "ETag": '"v1"', "Last_Modified": "yesterday"}
    async with site(answer(PAGE, **headers)) as shop:
        page = await fetcher().fetch(shop.url("/help?x=1#part"))
    assert (page.status, page.body, page.media_type, page.charset) == (200, PAGE, "text/html", "windows-1251")
    assert (page.etag, page.last_modified, page.final_url) == ('"v1"', "yesterday", shop.url("/help?x=1"))
    assert "canary" not in repr(page)


async def test_the_request_is_plain_and_names_the_host_not_the_address(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with site(_cookies) as shop:
        await fetcher(contact="https://jobx.example/").fetch(shop.url("/first"))
    first, second = shop.requests
    assert first.startswith("GET /first HTTP/1.1\r\n")
    assert f"host: {NAME}:{shop.port}\r\n" in first.lower()
    assert "(compatible; Jobx; +https://jobx.example/)" in first
    for head in (first.lower(), second.lower()):
        assert "cookie" not in head
        assert "authorization" not in head
        assert "referer" not in head


async def _cookies(path, writer):
    writer.write(answer(status="302 Found", Location="/second", Set_Cookie="a=b") if path == "/first" else answer(PAGE))


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.7"],
        ["93.184.216.34", "10.0.0.7"],
        ["::ffff:10.0.0.7"],
        ["2606:4700::1111", "fd00::7"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        [],
    ],
)
async def test_a_name_that_leads_inside_is_refused_in_words_that_tell_nothing(addresses):
    inside = await refused(fetcher(allow=(), resolve=resolver(addresses)), "http://shop.example/secret-path")

    async def unknown(_name):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    missing = await refused(fetcher(allow=(), resolve=unknown), "http://shop.example/secret-path")
    assert (inside.code, inside.message) == (missing.code, missing.message)
    assert inside.code == "url_not_public"
    for word in ("10.", "7", "shop", "secret", "169"):
        assert word not in inside.message


async def test_nothing_is_sent_to_an_address_that_is_not_allowed():
    async with site(answer(CANARY)) as shop:
        error = await refused(fetcher(allow=()), shop.url())
        assert (error.code, shop.requests) == ("url_not_public", [])
        elsewhere = (await refused(fetcher(resolve=resolver(["10.0.0.7"])), shop.url())).code
    assert elsewhere == "url_not_public"


async def test_a_name_is_looked_up_once_and_as_an_absolute_one():
    asked = []

    async def resolve(name):
        asked.append(name)
        return ["93.184.216.34"]

    # The public address is really tried, and the test's own fence stops it.
    with pytest.RaisesGroup(pytest.RaisesExc(match=r"93\.184\.216\.34")):
        await fetcher(allow=(), resolve=resolve).fetch("http://shop.example/")
    assert asked == ["shop.example."]


async def test_a_name_that_changes_its_address_gains_nothing():
    """DNS rebinding: what was checked is what is connected to, and the next connection's address is checked anew."""
    lookups = resolver(["127.0.0.1"], ["10.0.0.7"])
    async with site(answer(PAGE)) as shop:
        pages = fetcher(resolve=lookups)
        assert (await pages.fetch(shop.url())).body == PAGE
        assert (await refused(pages, shop.url())).code == "url_not_public"
        assert len(shop.requests) == 1


async def test_a_redirect_to_a_name_that_changed_is_checked_anew():
    async with site(redirect("/again")) as shop:
        error = await refused(fetcher(resolve=resolver(["127.0.0.1"], ["10.0.0.7"])), shop.url())
    assert (error.code, len(shop.requests)) == ("url_not_public", 1)


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://10.0.0.7/", "url_not_public"),
        ("http://169.254.169.254/latest/meta-data/", "url_not_public"),
        ("http://[::ffff:10.0.0.7]/", "url_not_public"),
        ("http://[::1]/", "url_not_public"),
        ("//10.0.0.7/", "url_not_public"),
        ("http://2130706433/", "url_invalid"),
        ("http://0x7f.1/", "url_invalid"),
        ("file:///etc/passwd", "url_scheme"),
        ("http://a:b@shop.example/", "url_credentials"),
        ("http://shop.example:25/", "url_port"),
        ("http://[", "url_invalid"),
        ("http://shop.example/" + "a" * 3000, "url_too_long"),
    ],
)
async def test_every_redirect_is_checked(location, code):
    async with site(redirect(location)) as shop:
        error = await refused(fetcher(), shop.url())
    assert error.code == code
    assert len(shop.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_followed(status):
    async def serve(path, writer):
        step = int(path.rpartition("/")[2])
        writer.write(redirect(f"../a/{step + 1}", status) if step < 5 else answer(PAGE))

    async with site(serve) as shop:
        page = await fetcher().fetch(shop.url("/a/0"))
    assert (page.body, page.final_url, len(shop.requests)) == (PAGE, shop.url("/a/5"), 6)


async def test_redirects_end_somewhere():
    async with site(redirect("/loop")) as shop:
        assert (await failed(fetcher(), shop.url())).code == "too_many_redirects"
    assert len(shop.requests) == 6


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        ("404 Not Found", False),
        ("403 Forbidden", False),
        ("401 Unauthorized", False),
        ("410 Gone", False),
        ("204 No Content", False),
        ("300 Choices", False),
        ("302 Found", False),
        ("429 Too Many", True),
        ("408 Timeout", True),
        ("500 Error", True),
        ("503 Unavailable", True),
    ],
)
async def test_other_statuses_fail_without_repeating_the_page(status, retryable):
    async with site(answer(b"" if status.startswith("204") else CANARY, status)) as shop:
        error = await failed(fetcher(), shop.url())
    assert (error.code, error.retryable) == ("http_status", retryable)
    assert CANARY.decode() not in error.message


@pytest.mark.parametrize(
    "media_type", ["image/png", "video/mp4", "application/json", "application/zip", "text/css", "x" * 50 + "/y"]
)
async def test_other_types_are_not_read(media_type):
    async with site(answer(b"x", Content_Type=media_type)) as shop:
        error = await failed(fetcher(), shop.url())
    assert (error.code, error.retryable) == ("unsupported_type", False)


@pytest.mark.parametrize("media_type", ["text/html", "application/pdf", "text/plain;charset=x", "", "nonsense"])
async def test_readable_and_missing_types_are_taken(media_type):
    async with site(answer(PAGE, Content_Type=media_type)) as shop:
        page = await fetcher().fetch(shop.url())
    assert page.media_type == (media_type.partition(";")[0] if "/" in media_type else None)


async def test_the_size_limit_is_exact_and_holds_without_a_length():
    for headers in ({}, {"Content_Length": ""}):
        async with site(answer(b"x" * 1000, **headers)) as shop:
            assert len((await fetcher(max_bytes=1000).fetch(shop.url())).body) == 1000
            error = await failed(fetcher(max_bytes=999), shop.url())
            assert (error.code, error.retryable) == ("page_too_large", False)


async def test_an_endless_body_is_cut_at_the_limit():
    sent = 0

    async def serve(_path, writer):
        nonlocal sent
        writer.write(answer(Content_Length=""))
        while sent < 50_000_000:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with site(serve) as shop:
        assert (await failed(fetcher(), shop.url())).code == "page_too_large"
    assert sent < 20_000_000


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(b"\0" * 50_000_000),
        gzip.compress(b"\0" * 900_000) * 3,
    ],
    ids=["one", "members"],
)
async def test_what_unpacks_to_too_much_is_not_unpacked(bomb):
    async with site(answer(bomb, Content_Encoding="gzip", Content_Length="")) as shop:
        error = await failed(fetcher(), shop.url())
    assert error.code == "page_too_large"


def test_a_bomb_takes_no_more_memory_than_the_limit():
    bomb = gzip.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(FetchFailed):
        Body(1_000_000, "gzip", "").feed(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


async def test_compressed_pages_are_unpacked():
    for body in (
        zipped(PAGE),
        answer(gzip.compress(PAGE[:9]) + gzip.compress(PAGE[9:]) + b"\0", Content_Encoding="X-GZIP"),
    ):
        async with site(body) as shop:
            assert (await fetcher().fetch(shop.url())).body == PAGE


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip", "unknown"])
async def test_compression_that_was_not_asked_for_is_refused_unread(coding):
    async with site(answer(zlib.compress(PAGE), Content_Encoding=coding)) as shop:
        assert (await failed(fetcher(), shop.url())).code == "unsupported_encoding"
    assert "accept-encoding: gzip\r\n" in shop.requests[0].lower()


@pytest.mark.parametrize(
    "response",
    [
        answer(gzip.compress(PAGE)[:-9], Content_Encoding="gzip"),
        answer(b"not gzip at all", Content_Encoding="gzip"),
        answer(PAGE, Content_Length="1000"),
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["cut gzip", "no gzip", "short", "nothing", "ssh", "two lengths", "bad chunk"],
)
async def test_broken_answers_fail_and_may_be_tried_again(response):
    async with site(response) as shop:
        error = await failed(fetcher(), shop.url())
    assert error.code in ("bad_response", "unreachable")
    assert error.retryable


async def test_the_time_limit_holds_over_all():
    async def silent(_path, _writer):
        await asyncio.sleep(30)

    async def dripping_head(_path, writer):
        await _drip(writer, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 1000)

    async def dripping_body(_path, writer):
        writer.write(answer(Content_Length="100000"))
        await _drip(writer, b"x" * 10_000)

    for serve in (silent, dripping_head, dripping_body):
        async with site(serve) as shop:
            error = await failed(fetcher(seconds=0.3), shop.url())
        assert (error.code, error.retryable) == ("timed_out", False)


async def _drip(writer, data):
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_a_slow_look_up_is_within_the_time_limit():
    async def resolve(_name):
        await asyncio.sleep(30)
        return []

    assert (await failed(fetcher(seconds=0.2, resolve=resolve), "http://shop.example/")).code == "timed_out"


async def test_redirects_share_the_time_limit():
    async def serve(_path, writer):
        await asyncio.sleep(0.2)
        writer.write(redirect("/again"))

    async with site(serve) as shop:
        assert (await failed(fetcher(seconds=0.5), shop.url())).code == "timed_out"
    assert len(shop.requests) <= 3


async def test_a_closed_port_and_a_failing_look_up_may_be_tried_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    closed = await failed(fetcher(), f"http://shop.example:{port}/")

    async def trouble(_name):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    unresolved = await failed(fetcher(resolve=trouble), "http://shop.example/")
    assert [(error.code, error.retryable) for error in (closed, unresolved)] == [
        ("unreachable", True),
        ("dns_failed", True),
    ]


async def test_the_next_address_is_tried_when_one_does_not_answer():
    async with site(answer(PAGE)) as shop:
        # Nothing listens on the first.
        pages = fetcher(allow=(*LOOPBACK, ip_network("::1/128")), resolve=resolver(["::1", "127.0.0.1"]))
        assert (await pages.fetch(shop.url())).body == PAGE


async def test_the_guard_gives_other_protocols_the_checked_addresses():
    guard = Guard(resolve=resolver(["93.184.216.34", "2606:4700::1111"]))
    assert [str(address) for address in await guard.addresses("Mail.Example.COM.")] == [
        "93.184.216.34",
        "2606:4700::1111",
    ]
    assert [str(address) for address in await guard.addresses("1.1.1.1")] == ["1.1.1.1"]
    for host in ("127.1", "10.0.0.7", "::ffff:10.0.0.7", "[::1]", "localhost", "0x7f000001"):
        with pytest.raises(FetchRefused):
            await guard.addresses(host)


async def test_a_page_is_asked_for_only_if_it_has_changed():
    async def serve(path, writer):
        writer.write(answer(status="304 Not Modified", Content_Length="", ETag='"v1"') if path == "/" else answer(PAGE))

    async with site(serve) as shop:
        page = await fetcher().fetch(shop.url("/"), etag='"v1"', last_modified="Sat, 01 Nov 2025 00:00:00 GMT")
        assert (page.unchanged, page.body, page.etag) == (True, b"", None)
        other = await fetcher().fetch(shop.url("/x"), etag='W/"v\u00e9\r\nX: y"', last_modified="a" * 1000)
        assert (other.unchanged, other.body) == (False, PAGE)
        assert (await failed(fetcher(), shop.url("/"))).status == 304, "nobody asked whether it had changed"
    assert 'If-None-Match: "v1"' in shop.requests[0]
    assert "If-Modified-Since: Sat, 01 Nov 2025 00:00:00 GMT" in shop.requests[0]
    assert "If-" not in shop.requests[1]


async def test_where_a_page_leads_is_told_without_going_there():
    async with site(redirect("/next?x=1#top")) as shop:
        page = await fetcher().fetch(shop.url("/"), follow=False)
        assert (page.redirects, page.status, page.final_url) == (True, 302, shop.url("/next?x=1"))
        assert len(shop.requests) == 1
    async with site(redirect("ftp://x.example/")) as shop:
        with pytest.raises(FetchRefused):
            await fetcher().fetch(shop.url("/"), follow=False)


async def test_what_is_no_page_is_taken_where_it_is_meant():
    data = gzip.compress(b"<urlset/>")
    async with site(answer(data, Content_Type="application/x-gzip", X_Robots_Tag="noindex")) as shop:
        assert (await failed(fetcher(), shop.url("/"))).code == "unsupported_type"
        page = await fetcher().fetch(shop.url("/"), any_type=True)
    assert (page.body, page.media_type, page.robots) == (data, "application/x-gzip", "noindex")
