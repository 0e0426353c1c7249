"""What stands around Jobx in these tests: servers that can be taken down, a slow model, and a load balancer."""

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.processes import Process, Shop, free_port
from tests.graphs.fake_openai import FakeOpenAI


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Relay:
    """A port on loopback behind which a server is: `target`, a unix socket's path or a host and port.

    Taken down, it refuses connections and cuts those that there are, as a server that died does.
    """

    def __init__(self, target: str | tuple[str, int]) -> None:
        self.target = target
        self.port = free_port()
        self._loop = _Loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    def up(self) -> None:
        self._loop.run(self._up())

    def down(self) -> None:
        self._loop.run(self._down())

    def close(self) -> None:
        self.down()
        self._loop.close()

    async def _up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        self._open.add(writer)
        try:
            await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._pumps.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self.target, str):
            far_reader, far_writer = await asyncio.open_unix_connection(self.target)
        else:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        try:
            ends = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        finally:
            far_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@contextlib.contextmanager
def relay(target: str | tuple[str, int], *, up: bool = True) -> Iterator[Relay]:
    """A relay for as long as the block runs."""
    made = Relay(target)
    if up:
        made.up()
    try:
        yield made
    finally:
        made.close()


class SlowModel(FakeOpenAI):
    """An OpenAI-compatible server that thinks for `seconds` before each answer; `asked` is how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.asked = 0

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        await super()._app(scope, receive, send)


@contextlib.contextmanager
def slow_model() -> Iterator[SlowModel]:
    """A model that runs in a thread."""
    loop = _Loop()
    model = SlowModel()
    loop.run(model.__aenter__())
    try:
        yield model
    finally:
        loop.run(model.__aexit__())
        loop.close()


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL, for a relay."""
    parts = httpx.URL(url)
    assert parts.port is not None
    return parts.host, parts.port


@dataclass
class Balancer:
    """Sends webhooks to web processes in turn, as a load balancer does that asks /readyz every `every` seconds.

    `answers` has the status of every webhook that was sent, 0 for one that was refused or cut.
    """

    shop: Shop
    processes: Sequence[Process]
    every: float = 0.2
    answers: dict[int, int] = field(default_factory=dict)
    by_port: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alive = [process.port for process in self.processes]
        self._turn = itertools.count()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @contextlib.contextmanager
    def load(self, numbers: Iterator[int], *, threads: int = 4, pause: float = 0.01) -> Iterator["Balancer"]:
        """Send one webhook after another, by `threads` customers at once, for as long as the block runs."""
        taking = threading.Lock()

        def number() -> int:
            with taking:
                return next(numbers)

        self._run(self._watch)
        for _ in range(threads):
            self._run(lambda: self._write(number, pause))
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(40)
            assert not any(thread.is_alive() for thread in self._threads)

    def _run(self, work: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()

    def _watch(self) -> None:
        while not self._stop.wait(self.every):
            self._alive = [process.port for process in self.processes if process.readyz()[0] == 200]

    def _write(self, number: Callable[[], int], pause: float) -> None:
        # A client of its own, whose connections stay open between two requests.
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                alive = self._alive
                if not alive:
                    time.sleep(0.05)
                    continue
                port = alive[next(self._turn) % len(alive)]
                self._send(client, port, number())
                time.sleep(pause)

    def _send(self, client: httpx.Client, port: int, number: int) -> None:
        path, headers, body = self.shop.webhook(number)
        try:
            status = client.post(f"http://127.0.0.1:{port}{path}", headers=headers, content=body).status_code
        except httpx.TransportError:
            status = 0
        self.answers[number] = status
        self.by_port.setdefault(port, []).append(number)


def refuses(port: int) -> bool:
    """Whether nothing listens on a port."""
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
