"""Serving ASGI apps on a loopback port, as a provider would be met."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


class Stage:
    """An ASGI app that passes everything on to the app of the day, so that many tests can share one server."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The base URL of `app` under uvicorn, for as long as the block runs.

    Starts and stops the server by hand: its own loop would wait a tick at each end and take over the signals.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=1
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.startup(sockets=[listener])
        try:
            yield url
        finally:
            await server.shutdown(sockets=[listener])


def unused_port() -> int:
    """A loopback port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
