"""`jobx up`: everything in one process, for a first hour and for development."""

import asyncio
import contextlib
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from rich.console import Console

from app import assembly
from app.db import DatabaseAddress
from app.embedded import sample as sampling
from app.embedded.sample import Sample
from app.errors import ConfigurationError
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings
from app.worker import run_worker


def up(settings: Settings, console: Console) -> None:
    """Start the embedded parts, the web server and the worker, and run until interrupted."""
    with _bound(settings) as listener:
        console.print("Starting PostgreSQL …")
        with assembly.database(settings) as (admin, app_password):
            asyncio.run(_serve(settings, admin, app_password, listener, console))
    console.print("Stopped.")


async def _serve(
    settings: Settings,
    admin: DatabaseAddress,
    app_password: str | None,
    listener: socket.socket,
    console: Console,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with assembly.running(settings, admin, app_password, console.print) as runtime:
        app = create_app(runtime)
        app.state.ready = False
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        web = asyncio.create_task(server.serve(sockets=[listener]))
        worker_stop = asyncio.Event()
        worker = asyncio.create_task(run_worker(runtime, worker_stop, sole=settings.database_url is None))
        first = asyncio.create_task(_prepare(runtime, app, console))
        stopping = asyncio.create_task(stop.wait())
        try:
            await _until_stopped(stopping, first, web, worker)
        finally:
            # No new request is taken; what was acknowledged is durable, and running jobs may end.
            stopping.cancel()
            first.cancel()
            server.should_exit = True
            worker_stop.set()
            await asyncio.gather(first, web, worker, stopping, return_exceptions=True)


async def _until_stopped(
    stopping: asyncio.Task[bool], first: asyncio.Task[None], *services: asyncio.Task[None]
) -> None:
    """Return when asked to stop; raise when a part ends by itself."""
    pending = {stopping, first, *services}
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            return
        for task in done:
            task.result()
            if task is not first:
                raise ConfigurationError("A part of Jobx ended by itself; the log has the reason.")


async def _prepare(runtime: Runtime, app: FastAPI, console: Console) -> None:
    sample = await sampling.ensure_sample(runtime)
    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if done != shown and (done == total or done - max(shown, 0) >= total // 5 or not done):
            shown = done
            console.print(f"Reading the sample shop's help pages … {done} of {total}")

    await sampling.await_documents(runtime, sample, progress)
    await runtime.llm.warm_up()
    sampling.write_first_run(runtime, sample)
    app.state.ready = True
    _tell(runtime, sample, console)


def _tell(runtime: Runtime, sample: Sample, console: Console) -> None:
    settings = runtime.settings
    line = shlex.join([sys.executable, "-m", "app.cli", "simulate", "telegram", sampling.QUESTION])
    if settings.data_dir != Path.cwd() / ".jobx":
        line = f"JOBX_DATA_DIR={shlex.quote(str(settings.data_dir))} {line}"
    console.print(f"""
Jobx is running.

  Address   {settings.base_url}
  API key   {sample.api_key}
  Model     {runtime.llm.label}
  Written to {settings.data_dir / sampling.FIRST_RUN}

Ask the sample shop a question, as a customer on Telegram would (in another terminal, from this folder):

  {line}

Stop with Ctrl-C.
""")


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process stops its parts in an order of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@contextlib.contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    """The listening address, taken before anything else starts, so that a port in use is the first thing said."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
        yield listener
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}); set JOBX_PORT to another port."
        ) from None
    finally:
        listener.close()
