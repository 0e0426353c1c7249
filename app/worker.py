"""The worker: runs the queue's jobs, with slots of their own for answers and for documents."""

import asyncio
import itertools
import logging
from collections.abc import Collection, Coroutine
from typing import Any

from fastapi import FastAPI

from app.channels.care import care_for_due
from app.channels.tasks import blueprint as channel_tasks
from app.conversations.tasks import blueprint as conversation_tasks
from app.documents.context_tasks import blueprint as context_tasks
from app.documents.reindex import blueprint as reindex_tasks
from app.documents.tasks import blueprint as document_tasks
from app.evaluations.tasks import blueprint as evaluation_tasks
from app.events.posting import queue_due
from app.events.tasks import blueprint as event_tasks
from app.health.endpoints import health_app, health_router
from app.privacy.tasks import blueprint as privacy_tasks
from app.privacy.tasks import plan_retention, start_due
from app.process import execute, one_of_many, settle_memory
from app.queue import ANSWERS, DELIVERIES, INBOUND, INGESTION, POSTS, PRIVACY, SOURCES, Share
from app.rescue import rescue
from app.runtime import Runtime
from app.settings import Settings
from app.sources.tasks import blueprint as source_tasks
from app.sources.tasks import queue_due as queue_due_sources
from app.webhooks.mailboxes import poll_due, watch
from app.webhooks.tasks import blueprint as webhook_tasks

logger = logging.getLogger(__name__)

BLUEPRINTS = (
    channel_tasks,
    context_tasks,
    conversation_tasks,
    document_tasks,
    evaluation_tasks,
    event_tasks,
    privacy_tasks,
    reindex_tasks,
    source_tasks,
    webhook_tasks,
)
HEARTBEAT_SECONDS = 2.0
_BEATS_A_ROUND = 3
_NEVER_SECONDS = 1e9
STALLED_SECONDS = 30.0
_POLL_SECONDS = 1.0
_BEATS_A_RESCUE = 50 * _BEATS_A_ROUND
# How much longer than its jobs a worker may take to say goodbye to the queue, which it cannot without a database.
_GOODBYE_SECONDS = 5.0
_ERASURES_AT_ONCE = 4
# They wait for others most of the time; a slow receiver takes four of them at most.
_POSTS_AT_ONCE = 64
# They wait for others, too, and for their turn with each site.
_SOURCES_AT_ONCE = 8
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 15.0


def work(settings: Settings, share: Share = "all") -> None:
    """`jobx worker`: run jobs until interrupted; over HTTP there is its health, and nothing else."""

    async def jobs(runtime: Runtime, stop: asyncio.Event) -> None:
        if share != "documents":
            # Else the first customers would wait for it.
            await _unless(stop, runtime.llm.warm_up())
        settle_memory()
        await run_worker(runtime, stop, share=share)

    execute(one_of_many(settings, _health, jobs, blueprints=BLUEPRINTS))


def _health(runtime: Runtime) -> FastAPI:
    router = health_router(runtime.settings, runtime.readiness, runtime.monitor, runtime.pressure, runtime.metrics)
    return health_app(router)


async def run_worker(runtime: Runtime, stop: asyncio.Event, *, share: Share = "all", sole: bool = False) -> None:
    """Run jobs until `stop` is set; then no new one is begun, and running ones have the settings' time to end.

    What has not ended by then is handed back to the queue. A database that goes away ends nothing: the work goes on
    when it is back. `sole`: no other worker can be alive (the embedded defaults), so every running job is one that a
    crash left behind, and is put back at once.
    """
    settings = runtime.settings
    parts = []
    if share != "documents":
        urgent = [INBOUND, ANSWERS, DELIVERIES]
        parts.append(_working(runtime, stop, "answers", urgent, settings.answer_concurrency))
        # With slots of its own: an erasure has a minute, however many customers or documents wait.
        parts.append(watch(runtime))
        parts.append(_working(runtime, stop, "posts", [POSTS], _POSTS_AT_ONCE))
        parts.append(_working(runtime, stop, "privacy", [PRIVACY], _ERASURES_AT_ONCE))
    if share != "answers":
        parts.append(_working(runtime, stop, "documents", [INGESTION], settings.ingestion_concurrency))
        # With slots of its own: the reading of documents does not wait until a site may be asked again.
        parts.append(_working(runtime, stop, "sources", [SOURCES], _SOURCES_AT_ONCE))
    await _unless(stop, _rescue_round(runtime, 0.0 if sole else STALLED_SECONDS, renew=False))
    async with runtime.queue.alive():
        await _run(runtime, stop, parts)


async def _run(runtime: Runtime, stop: asyncio.Event, parts: Collection[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.create_task(part) for part in parts]
    beating = asyncio.create_task(_beating(runtime))
    try:
        await stop.wait()
    finally:
        runtime.pressure.stop()
        stop.set()
        # Cancelling a procrastinate worker lets its running jobs end; the second time it lets go of everything.
        for seconds in (runtime.settings.shutdown_seconds + _GOODBYE_SECONDS, _GOODBYE_SECONDS):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=seconds)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def work_off(runtime: Runtime, name: str, slots: int = 2) -> None:
    """Run the documents' jobs that are due, also those that a killed process left; the queue has to be alive."""
    await runtime.queue.release_stalled(STALLED_SECONDS)
    await runtime.queue.app.run_worker_async(
        queues=[INGESTION],
        name=name,
        concurrency=slots,
        wait=False,
        delete_jobs="successful",
        install_signal_handlers=False,
        additional_context={"runtime": runtime},
    )


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do some work, or give it up when `stop` is set."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    done, rest = await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    if doing in done:
        doing.result()


async def _working(runtime: Runtime, stop: asyncio.Event, name: str, queues: list[str], concurrency: int) -> None:
    """A worker, started again whenever it ends by itself: it does when the database goes away under it."""
    clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE_SECONDS
    # Not for ever: a worker that is cancelled without a database ends with an error instead.
    while not stop.is_set():
        began = clock()
        try:
            await runtime.queue.app.run_worker_async(
                queues=queues,
                name=name,
                concurrency=concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                # It stops while the last jobs are waited for, and ends the worker when it fails; ours does neither.
                update_heartbeat_interval=_NEVER_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
                shutdown_graceful_timeout=runtime.settings.shutdown_seconds,
                delete_jobs="successful",
                install_signal_handlers=False,
                additional_context={"runtime": runtime},
            )
            ended = "by itself"
        except Exception as error:
            ended = f"with {type(error).__name__}"
        if stop.is_set():
            return
        pause = _FIRST_PAUSE_SECONDS if clock() - began > STALLED_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
        logger.warning("the worker for %s ended %s and starts again in %g s", name, ended, pause)
        await asyncio.sleep(pause)


async def _beating(runtime: Runtime) -> None:
    """Show that this process lives, put the jobs of workers that are silent back, and replace those that are gone.

    After the database was away everybody has a round's time to show that they live, before their jobs are taken.
    """
    shown = _BEATS_A_ROUND
    for number in itertools.count(1):
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            await runtime.queue.beat()
        except Exception:
            logger.warning("the other workers could not be told that this one lives")
            shown = 0
            continue
        shown += 1
        if shown > _BEATS_A_ROUND and number % _BEATS_A_ROUND == 0:
            await _rescue_round(runtime, STALLED_SECONDS, renew=number % _BEATS_A_RESCUE == 0)


async def _rescue_round(runtime: Runtime, silent_seconds: float, *, renew: bool) -> None:
    try:
        released = await runtime.queue.release_stalled(silent_seconds)
        await start_due(runtime)
        await poll_due(runtime)
        await queue_due(runtime)
        await queue_due_sources(runtime)
        renewed = 0
        if renew:
            await plan_retention(runtime)
            await care_for_due(runtime)
            renewed = await rescue(runtime)
    except Exception:
        # The database may be away for a while; the next round tries again.
        logger.exception("lost jobs could not be looked for")
    else:
        if released or renewed:
            logger.warning("%d jobs of dead workers were put back, %d lost ones renewed", released, renewed)
