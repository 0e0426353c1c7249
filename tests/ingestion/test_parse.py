import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from ingestion.parse import Parser, ParserClosed
from ingestion.process import child_environment
from ingestion.types import IngestionError, Limits, ParsedDocument
from ingestion.wire import WireError, read_reply
from tests.ingestion import files

ROOT = Path(__file__).resolve().parents[2]
OTHERS: set[int] = set()


@pytest_asyncio.fixture
async def own() -> AsyncIterator[Parser]:
    """A parser whose child may be harmed."""
    parser = Parser()
    yield parser
    await parser.close()


async def parse(parser: Parser, data: bytes = b"Fine.", limits: Limits | None = None) -> ParsedDocument:
    name = "a.html" if data.startswith(b"<") else "a.txt"
    return await parser.parse(data, filename=name, media_type=None, limits=limits or Limits())


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children() if is_child(process)} - OTHERS


def is_child(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "ingestion.child" in process.cmdline()
    return False


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    """Children of parsers that other tests share are not counted."""
    OTHERS.update(children())
    yield
    OTHERS.clear()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


async def test_one_child_serves_many_files_one_after_the_other(own: Parser) -> None:
    found = await asyncio.gather(*(parse(own, f"Text {n}.".encode()) for n in range(20)))
    assert [document.sections[0].text for document in found] == [f"Text {n}." for n in range(20)]
    assert len(children()) == 1
    await own.close()
    assert not children()


async def test_a_slow_file_is_killed_in_time_and_the_next_is_parsed(own: Parser) -> None:
    await parse(own)
    (slow,) = children()
    with pytest.raises(IngestionError, match=r"longer than the 0\.5 seconds allowed") as refused:
        await parse(own, files.SLOW_HTML, Limits(seconds=0.5))
    assert refused.value.code == "timed_out"
    assert slow not in children()
    assert (await parse(own)).sections[0].text == "Fine."


async def test_memory_beyond_the_limit_fails_in_words_and_the_next_is_parsed(own: Parser) -> None:
    limits = Limits(memory_mib=300)
    for data in (b"<p>a</p>" * 1_500_000, "ä ".encode("latin-1") * 15_000_000):
        with pytest.raises(IngestionError, match="needs more memory") as refused:
            await parse(own, data, limits)
        assert refused.value.code == "too_complex"
    assert (await parse(own, limits=limits)).sections[0].text == "Fine."


async def test_a_child_that_dies_in_a_parse_is_reported_and_replaced(own: Parser) -> None:
    work = asyncio.create_task(parse(own, files.SLOW_HTML))
    await until(children)
    os.kill(children().pop(), signal.SIGKILL)
    with pytest.raises(IngestionError, match="could not be read") as refused:
        await work
    assert refused.value.code == "crashed"
    assert (await parse(own)).sections[0].text == "Fine."


async def test_a_child_that_died_between_files_goes_unnoticed(own: Parser) -> None:
    await parse(own)
    os.kill(children().pop(), signal.SIGKILL)
    assert (await parse(own)).sections[0].text == "Fine."


async def test_a_used_child_that_dies_gets_a_second_chance(own: Parser) -> None:
    await parse(own)
    (first,) = children()
    work = asyncio.create_task(parse(own, b"<p>a</p>" * 40_000))
    await asyncio.sleep(0.1)
    with suppress(ProcessLookupError):
        os.kill(first, signal.SIGKILL)
    assert (await work).sections
    assert first not in children()


async def test_cancelling_ends_the_child_and_lets_the_next_one_in(own: Parser) -> None:
    work = asyncio.create_task(parse(own, files.SLOW_HTML))
    await until(children)
    (busy,) = children()
    waiting = asyncio.create_task(parse(own))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await waiting).sections[0].text == "Fine."
    assert busy not in children()


async def test_the_child_is_replaced_after_some_files_and_ended_when_idle() -> None:
    parser = Parser(max_parses=2, idle_seconds=0.2)
    await parse(parser)
    (first,) = children()
    await parse(parser)
    await parse(parser)
    assert children().isdisjoint({first})
    await until(lambda: not children())
    await parser.close()


async def test_the_child_is_replaced_when_it_holds_much_memory() -> None:
    parser = Parser(resident_mib=5)
    await parse(parser)
    assert not children()
    await parser.close()


async def test_closing_ends_a_parse_under_way(own: Parser) -> None:
    await parse(own)
    work = asyncio.create_task(parse(own, files.SLOW_HTML))
    waiting = asyncio.create_task(parse(own))
    await asyncio.sleep(0.1)
    await own.close()
    for task in (work, waiting):
        with pytest.raises(ParserClosed):
            await task
    assert not children()


def test_the_environment_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBX_MASTER_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = child_environment()
    assert not {"JOBX_MASTER_KEY", "PYTHONPATH", "HOME"} & set(environment)
    assert environment["DO_NOT_TRACK"] == "1"


PARENT = """
import asyncio, sys
from ingestion.parse import Parser
from ingestion.types import Limits
from tests.ingestion import files
async def main():
    parser = Parser()
    await parser.parse(b"Fine.", filename=None, media_type=None, limits=Limits())
    print(parser._child.pid, flush=True)
    if sys.argv[1] == "busy":
        await parser.parse(files.SLOW_HTML, filename="a.html", media_type=None, limits=Limits())
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_the_child_dies_with_a_killed_parent(state: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, state], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if state == "busy":
            time.sleep(0.2)
        assert running(child)
        parent.kill()
        deadline = time.monotonic() + 5
        while running(child):
            assert time.monotonic() < deadline, "the child lives on"
            time.sleep(0.02)


def running(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


RESTRICTED = """
import os, resource, socket, subprocess
from ingestion.child import restrict
restrict(512)
def refused(action):
    try:
        action()
    except PermissionError:
        return True
print(
    refused(lambda: socket.create_connection(("127.0.0.1", 9))),
    refused(lambda: socket.getaddrinfo("example.com", 80)),
    refused(lambda: subprocess.run(["true"])),
    refused(os.fork),
    resource.getrlimit(resource.RLIMIT_AS)[1] == 512 * 1024 * 1024,
    resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
)
try:
    bytearray(600 * 1024 * 1024)
except MemoryError:
    print("no memory")
"""


def test_the_child_has_no_network_no_children_and_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", RESTRICTED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["True True True True True True", "no memory"]


NOISY = """
import os, sys
from ingestion import child
quiet = child.read
def noisy(*arguments):
    print("noise", flush=True)
    os.write(1, b"more noise")
    assert not sys.stdin.buffer.read(1)
    return quiet(*arguments)
child.read = noisy
child.main()
"""


def test_what_libraries_print_does_not_reach_the_protocol() -> None:
    request = b'{"work": "read", "filename": null, "media_type": null, "size": 5, "limits": {"max_pages": 1}}'
    done = subprocess.run(
        [sys.executable, "-c", NOISY, str(os.getpid()), "1024"],
        cwd=ROOT,
        input=len(request).to_bytes(8, "big") + request + b"Fine.",
        capture_output=True,
        check=True,
    )
    size, payload = int.from_bytes(done.stdout[:8], "big"), done.stdout[8:]
    assert size == len(payload)
    outcome = read_reply(payload).outcome
    assert isinstance(outcome, ParsedDocument)
    assert outcome.sections[0].text == "Fine."


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80\x04.",
        b"[]",
        b'{"code": 1, "words": "x", "resident_mib": 1}',
        b'{"title": "t", "pages": 1, "sections": [["text", "heading", null, null]], "warnings": [], "language": null, '
        b'"pictures": [], "resident_mib": 1}',
        b'{"title": "t", "pages": "1", "sections": [], "warnings": [], "language": null, "pictures": [], '
        b'"resident_mib": 1}',
        b'{"files": [["a", 5]], "left_out": [], "following": null, "resident_mib": 1}\n1234',
        b'{"files": [], "left_out": [1], "following": null, "resident_mib": 1}',
    ],
)
def test_a_reply_of_another_shape_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        read_reply(payload)
