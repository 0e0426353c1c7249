"""Sites that send as much, or in as many pieces, as they can: they are soon cut off, and hold up nobody meanwhile."""

import asyncio
import gzip
import socket
import threading

import httpcore
import pytest

from app.egress import FetchFailed
from app.egress.body import Body
from app.egress.guard import look_up
from app.egress.wire import CountedStream, Wire
from tests.app.egress.sites import NAME, answer, fetcher, redirect, site
from tests.app.egress.test_tls import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TINY = b"1\r\na\r\n"
ENDLESS = {
    "chunks": (CHUNKED, TINY),
    "chunk extensions": (CHUNKED, b"1;" + b"x" * 10_000 + b"\r\na\r\n"),
    "one chunk extension": (CHUNKED + b"1;", b"x"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"a:\r\n"),
    "1xx answers": (b"", b"HTTP/1.1 100 \r\n\r\n"),
    "headers": (OK, b"a:\r\n"),
    "one header": (OK + b"a:", b"x"),
    "gzip members": (OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"", 1)),
}
SOON = 20_000_000  # most of it waits in the system's buffers


class Flood:
    """Sends a beginning and then one thing without end, and counts what was taken."""

    def __init__(self, start, again):
        self._start = start
        self._many = again * (65536 // len(again))
        self.sent = 0

    async def __call__(self, _path, writer):
        writer.write(self._start)
        while self.sent < 60_000_000:
            writer.write(self._many)
            await writer.drain()
            self.sent += len(self._many)


async def failed(pages, url):
    with pytest.raises(FetchFailed) as caught:
        await pages.fetch(url)
    return caught.value


@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_endless_answer_is_cut_off_and_not_asked_for_again(kind):
    flood = Flood(*ENDLESS[kind])
    async with site(flood) as shop:
        error = await failed(fetcher(seconds=30), shop.url())
    assert (error.code, error.retryable) == ("bad_response", False)
    assert flood.sent < SOON


async def test_it_is_cut_off_behind_tls_too(tmp_path):
    authority = Authority(tmp_path)
    flood = Flood(CHUNKED, TINY)
    async with site(flood, authority.server(NAME)) as shop:
        error = await failed(fetcher(seconds=30, certificates=authority.trusted()), shop.url(scheme="https"))
    assert error.code == "bad_response"
    assert flood.sent < SOON


async def test_the_heads_of_all_redirects_fit():
    # Each of them is as long as one may be; their bodies are not read.
    long_head = redirect("/again").replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 18_000 + b"\r\n\r\n")
    async with site(long_head) as shop:
        assert (await failed(fetcher(max_bytes=1), shop.url())).code == "too_many_redirects"


async def test_others_have_their_turn_between_a_few_pieces(monkeypatch):
    fed, most = 0, 0
    feed = Body.feed

    def counted(body, data):
        nonlocal fed
        fed += 1
        feed(body, data)

    async def others():
        nonlocal fed, most
        while True:
            most, fed = max(most, fed), 0
            await asyncio.sleep(0)

    monkeypatch.setattr(Body, "feed", counted)
    # All of it is there before the first byte is read.
    async with site(CHUNKED + TINY * 10_000 + b"0\r\n\r\n") as shop:
        turns = asyncio.create_task(others())
        page = await fetcher().fetch(shop.url())
        turns.cancel()
    assert page.body == b"a" * 10_000
    assert 0 < most <= 64


class _Ready(httpcore.AsyncNetworkStream):
    """A connection on which everything has come already."""

    async def read(self, max_bytes, timeout=None):  # noqa: ASYNC109
        return b"x" * max_bytes


async def test_little_is_read_at_a_time_and_others_have_their_turn_in_between():
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    stream, before = CountedStream(_Ready(), Wire(1_000_000)), 0
    for _ in range(9):
        assert len(await stream.read(65536)) == 2048
        assert turns > before
        before = turns
    assert len(await stream.read(100)) == 100
    other.cancel()


@pytest.mark.parametrize("size", [100, 8192])
async def test_a_page_in_chunks_of_a_usual_size_comes_whole(size):
    count = 900_000 // size
    chunks = (b"%x\r\n" % size + b"x" * size + b"\r\n") * count
    async with site(CHUNKED + chunks + b"0\r\nX-Trailer: y\r\n\r\n") as shop:
        assert len((await fetcher().fetch(shop.url())).body) == count * size


async def test_a_page_compressed_in_parts_and_one_after_early_hints_come_whole():
    parts = b"".join(gzip.compress(b"part ") for _ in range(900))
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 3
    async with site(hints + answer(parts, Content_Encoding="gzip")) as shop:
        assert (await fetcher().fetch(shop.url())).body == b"part " * 900


async def test_a_head_as_long_as_browsers_meet_is_read():
    async with site(answer(b"x", Content_Security_Policy="a" * 16_000)) as shop:
        assert (await fetcher().fetch(shop.url())).body == b"x"


async def test_names_whose_servers_are_silent_hold_up_no_other_look_up(monkeypatch):
    answered, resolve = threading.Event(), socket.getaddrinfo

    def silent(host, *arguments, **more):
        if str(host).endswith(".silent.example."):
            answered.wait(30)
        return resolve("127.0.0.1", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    waiting = [asyncio.create_task(look_up(f"{number}.silent.example.")) for number in range(40)]
    try:
        await asyncio.sleep(0.1)
        # As the clients of providers do.
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().getaddrinfo("provider.example", 443)
    finally:
        answered.set()
    assert [await each for each in waiting] == [["127.0.0.1"]] * 40
