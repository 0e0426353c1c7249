"""A web server in the test's own loop, and a client of its streams."""

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass, field

import httpx
import uvicorn


class Quiet(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@dataclass
class Web:
    """A served application."""

    url: str
    app: object


@contextlib.asynccontextmanager
async def serving(app, **options):
    """Serve an application on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=5, **options)
        server = Quiet(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield Web(f"http://127.0.0.1:{listener.getsockname()[1]}", app)
        server.should_exit = True
        await task


@dataclass
class Event:
    """One server-sent event as a browser would dispatch it, or an id alone."""

    name: str | None = None
    id: str | None = None
    data: dict = field(default_factory=dict)


@dataclass
class Stream:
    """An open stream; `last_id` is what a browser would send when it reconnects."""

    status: int
    lines: object
    headers: dict
    last_id: str | None = None
    comments: int = 0

    async def begin(self):
        """Read the id that comes before the first event."""
        async with asyncio.timeout(10):
            async for line in self.lines:
                if line.startswith("id:"):
                    self.last_id = line.partition(": ")[2]
                if not line:
                    return

    async def next(self, seconds=10.0):
        """The next event; None at the end."""
        async with asyncio.timeout(seconds):
            return await self._next()

    async def _next(self):
        event = Event()
        async for line in self.lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "id":
                event.id = self.last_id = value
            elif name == "event":
                event.name = value
            elif name == "data":
                event.data = json.loads(value)
            elif not line and event.name is not None:
                return event
            elif not line:
                event = Event()
        return None

    async def names(self, count):
        """The names of so many events."""
        return [(await self.next()).name for _ in range(count)]

    async def until(self, name):
        """All events up to one of a name."""
        found = []
        while not found or found[-1].name != name:
            found.append(await self.next())
        return found


@contextlib.asynccontextmanager
async def streaming(web, key, after=None, **params):
    """Open a stream; `after` goes into the header."""
    headers = {"Authorization": f"Bearer {key}"} | ({} if after is None else {"Last-Event-ID": after})
    async with (
        httpx.AsyncClient(base_url=web.url, headers=headers, timeout=30) as client,
        client.stream("GET", "/v1/events", params=params) as answer,
    ):
        stream = Stream(answer.status_code, answer.aiter_lines(), answer.headers)
        if answer.status_code == 200:
            await stream.begin()
        yield stream
