"""One process of Jobx: its address, its web server, what runs beside it, and the order in which they stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import threading
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
# Longer than load balancers keep an idle connection, commonly 60 s: the one that closes first must not be us, or a
# request that is on its way then is lost.
_KEEP_ALIVE_SECONDS = 75
_COLLECT_AFTER = (10_000, 20, 50)


@contextlib.contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """The listening address, taken before anything else starts, so that a port in use is the first thing said."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Every accepted connection inherits it; without, an answer waits up to 40 ms for the other side's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.closing(listener):
        try:
            listener.bind((settings.host, settings.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}); set JOBX_PORT to another port."
            ) from None
        yield listener


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


def settle_memory() -> None:
    """Take what was loaded until now out of the garbage collector's rounds, and make those of old objects rare.

    A round through all that the libraries brought stops a worker for a third of a second; what a message leaves
    behind is mostly freed without one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


SetUp = Callable[[AsyncExitStack, Front], Awaitable[Runtime]]
Work = Callable[[Runtime, asyncio.Event], Awaitable[None]]


async def run(
    settings: Settings, listener: socket.socket, set_up: SetUp, work: Work | None = None, *, drain_seconds: float
) -> None:
    """Listen from now on, `set_up` the parts and the front's application, `work`, and end all of it on a signal.

    Once asked to stop, /readyz says so while requests are still taken for `drain_seconds`, which gives a load
    balancer the time to send them elsewhere; a process that was not ready yet has none, and a second signal ends the
    wait. Then the listener closes, and requests in work have the settings' time to end. `work` sees its event set at
    once. The parts are closed last, when nothing uses them any more.
    """
    stop, again = _stop_signals()
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
            readiness.stop()
            await _drain(drain_seconds if readiness.ready else 0, again)
        finally:
            readiness.stop()
            stop.set()
            server.should_exit = True
            await asyncio.gather(web, main, stopping, return_exceptions=True)
        # Work that fails asks the rest to stop as it ends: that it failed is told all the same.
        main.result()


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

    # No load balancer sends jobs.
    drain_seconds = settings.drain_seconds if work is None else 0
    with bound(settings) as listener:
        await run(settings, listener, set_up, work, drain_seconds=drain_seconds)


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
            await _in_thread(lambda: check_server(address))
        except DatabaseUnavailable as error:
            front.missing = "database"
            if error.message != said:
                said = error.message
                logger.warning("waiting for the database: %s", said)
        else:
            if said is not None:
                logger.warning("the database answers")
            front.missing = None
            return
        await asyncio.sleep(_RETRY_SECONDS)


async def _in_thread(call: Callable[[], None]) -> None:
    """Run a call that may hang in a thread which nobody waits for at the end, as asyncio does for its own."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(error: Exception | None) -> None:
        if ended.cancelled():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def work() -> None:
        error: Exception | None = None
        try:
            call()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=work, daemon=True).start()
    await ended


async def _drain(seconds: float, again: asyncio.Event) -> None:
    logger.info("stopping; requests are taken for %g s more", seconds)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(again.wait(), seconds)


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
        # Nothing is served by it, and what accepts it would log the addresses and headers of its requests.
        ws="none",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events that the first SIGINT or SIGTERM sets, and the second."""
    stop, again = asyncio.Event(), asyncio.Event()

    def asked() -> None:
        (again if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    return stop, again


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process stops its parts in an order of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
