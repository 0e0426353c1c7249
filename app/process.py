"""One process of Jobx: its address, its web server, what runs beside it, and the order in which they stop."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import uvicorn
import uvloop
from procrastinate import Blueprint
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.assembly import own_servers, running
from app.db import DatabaseAddress, DatabaseUnavailable
from app.errors import ConfigurationError
from app.health import Readiness
from app.migrations.server import check_server, named
from app.runtime import Runtime
from app.settings import Settings
from app.telemetry import set_up_tracing

logger = logging.getLogger(__name__)
_BACKLOG = 1024
_RETRY_SECONDS = 1.0
_RETRY_AFTER_SECONDS = "2"


@contextlib.contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """The listening address, taken before anything else starts, so that a port in use is the first thing said."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Every accepted connection inherits it; without, an answer waits up to 40 ms for the other side's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
        yield listener
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}); set JOBX_PORT to another port."
        ) from None
    finally:
        listener.close()


class Front:
    """What listens from the first moment: it is alive, says that it starts, and becomes `app` once there is one.

    While the process stops, every answer asks its client to connect anew, which takes it to another process.
    """

    def __init__(self, readiness: Readiness) -> None:
        self.app: ASGIApp | None = None
        self.missing: str | None = None
        self.readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._early(scope) if self.app is None else self.app
        await app(scope, receive, self._leaving(send) if self.readiness.stopping else send)

    def _early(self, scope: Scope) -> ASGIApp:
        if scope["path"] == "/livez":
            return PlainTextResponse("ok")
        if scope["path"] == "/readyz":
            parts = {"start": self.readiness.state} | ({self.missing: "down"} if self.missing else {})
            return JSONResponse({"status": "unavailable", "parts": parts}, 503)
        problem = {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "code": "starting",
            "detail": "Jobx is starting; try again.",
        }
        headers = {"Retry-After": _RETRY_AFTER_SECONDS}
        return JSONResponse(problem, 503, headers, media_type="application/problem+json")

    @staticmethod
    def _leaving(send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        return told


def execute(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's coroutine on uvloop, which takes a quarter less of a core for the same requests."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


SetUp = Callable[[AsyncExitStack, Front], Awaitable[Runtime]]
Work = Callable[[Runtime, asyncio.Event], Awaitable[None]]


async def run(
    settings: Settings, listener: socket.socket, set_up: SetUp, work: Work | None = None, *, drain_seconds: float
) -> None:
    """Listen from now on, `set_up` the parts and the front's application, `work`, and end all of it on a signal.

    Once asked to stop, /readyz says so while requests are still taken for `drain_seconds`, which gives a load
    balancer the time to send them elsewhere; then the listener closes, and requests in work have the settings'
    time to end. `work` sees its event set at once. The parts are closed last, when nothing uses them any more.
    """
    stop = _stop_signal()
    readiness = Readiness()
    front = Front(readiness)
    end_tracing = set_up_tracing(None if settings.otlp_endpoint is None else str(settings.otlp_endpoint))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, end_tracing)
        server = _Server(_config(settings, front))
        web = asyncio.create_task(server.serve(sockets=[listener]))
        main = asyncio.create_task(_begin(stack, front, stop, set_up, work))
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first_end(stopping, web, main)
            readiness.stopping = True
            logger.info("stopping; requests are taken for %g s more", drain_seconds)
            await asyncio.sleep(drain_seconds)
        finally:
            readiness.stopping = True
            stop.set()
            server.should_exit = True
            await asyncio.gather(web, main, stopping, return_exceptions=True)


async def one_of_many(
    settings: Settings,
    app_of: Callable[[Runtime], ASGIApp],
    work: Work | None = None,
    *,
    blueprints: Collection[Blueprint] = (),
) -> None:
    """Run a process that shares its servers with others: it waits for a database that is away, and migrates nothing."""
    address = named(own_servers(settings))

    async def set_up(stack: AsyncExitStack, front: Front) -> Runtime:
        await _reached(address, front)
        parts = running(settings, address, front.readiness, logger.info, blueprints=blueprints)
        runtime = await stack.enter_async_context(parts)
        front.app = app_of(runtime)
        front.readiness.ready = True
        return runtime

    with bound(settings) as listener:
        await run(settings, listener, set_up, work, drain_seconds=settings.drain_seconds)


async def _begin(stack: AsyncExitStack, front: Front, stop: asyncio.Event, set_up: SetUp, work: Work | None) -> None:
    setting_up = asyncio.ensure_future(set_up(stack, front))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({setting_up, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not setting_up.done():
        setting_up.cancel()
        await asyncio.gather(setting_up, return_exceptions=True)
        return
    runtime = setting_up.result()
    if work is not None:
        await work(runtime, stop)


async def _reached(address: DatabaseAddress, front: Front) -> None:
    """Return when the database can be worked on; a wrong address, version or schema raises ConfigurationError."""
    said = None
    while True:
        try:
            return await asyncio.to_thread(check_server, address)
        except DatabaseUnavailable as error:
            front.missing = "database"
            if error.message != said:
                said = error.message
                logger.warning("waiting for the database: %s", said)
        await asyncio.sleep(_RETRY_SECONDS)


async def _first_end(stopping: asyncio.Task[bool], web: asyncio.Task[None], main: asyncio.Task[None]) -> None:
    """Return when asked to stop; raise when the set-up or the work fails, or the web server ends."""
    pending: set[asyncio.Task[Any]] = {stopping, web, main}
    while not stopping.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if web.done():
            raise ConfigurationError("The web server ended by itself; the log has the reason.")


def _config(settings: Settings, front: Front) -> uvicorn.Config:
    return uvicorn.Config(
        front,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )


def _stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process stops its parts in an order of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
