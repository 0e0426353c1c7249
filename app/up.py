"""`jobx up`: everything in one process, for a first hour and for development."""

import asyncio
import shlex
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from app import assembly
from app.db import DatabaseAddress
from app.embedded import sample as sampling
from app.embedded.sample import Sample
from app.main import create_app
from app.migrations.runner import migrate
from app.migrations.server import named
from app.process import Front, bound, execute, run
from app.runtime import Runtime
from app.settings import Settings
from app.worker import BLUEPRINTS, run_worker


def up(settings: Settings, console: Console) -> None:
    """Start the embedded parts, the web server and the worker, and run until interrupted."""
    with bound(settings) as listener:
        console.print("Starting PostgreSQL …")
        with assembly.database(settings) as (admin, app_password):
            address = named(assembly.service_address(admin, app_password))

            async def set_up(stack: AsyncExitStack, front: Front) -> Runtime:
                await asyncio.to_thread(migrate, admin, app_password)
                return await _set_up(settings, address, stack, front, console)

            async def work(runtime: Runtime, stop: asyncio.Event) -> None:
                await _work(runtime, stop, console)

            # Who interrupts it is at the keyboard: there is no load balancer to wait for.
            execute(run(settings, listener, set_up, work, drain_seconds=0))
    console.print("Stopped.")


async def _set_up(
    settings: Settings, address: DatabaseAddress, stack: AsyncExitStack, front: Front, console: Console
) -> Runtime:
    parts = assembly.running(settings, address, front.readiness, console.print, blueprints=BLUEPRINTS, simulate=True)
    runtime = await stack.enter_async_context(parts)
    front.app = create_app(runtime)
    return runtime


async def _work(runtime: Runtime, stop: asyncio.Event, console: Console) -> None:
    first = asyncio.create_task(_prepare(runtime, console))
    worker = asyncio.create_task(run_worker(runtime, stop, sole=runtime.settings.database_url is None))
    try:
        await asyncio.wait({first, worker}, return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            first.result()
        await worker
    finally:
        first.cancel()
        stop.set()
        await asyncio.gather(first, worker, return_exceptions=True)


async def _prepare(runtime: Runtime, console: Console) -> None:
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
    runtime.readiness.ready = True
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
