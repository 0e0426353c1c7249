"""The worker: runs the queue's jobs, with slots of their own for answers and for documents."""

import asyncio
import itertools
import logging

from app.queue import ANSWERS, DELIVERIES, INBOUND, INGESTION, MAINTENANCE
from app.rescue import rescue
from app.runtime import Runtime

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 30.0
_POLL_SECONDS = 1.0
_ROUNDS_BETWEEN_RESCUES = 10


async def run_worker(runtime: Runtime, stop: asyncio.Event, *, sole: bool = False) -> None:
    """Run jobs until `stop` is set, then let the running ones end.

    `sole`: no other worker can be alive (the embedded defaults), so every running job is one that a crash left
    behind, and is put back at once.
    """
    await runtime.queue.release_stalled(0 if sole else STALLED_SECONDS)
    settings = runtime.settings
    workers = [
        _worker(runtime, "answers", [INBOUND, ANSWERS, DELIVERIES, MAINTENANCE], settings.answer_concurrency),
        _worker(runtime, "documents", [INGESTION], settings.ingestion_concurrency),
    ]
    tasks = [asyncio.create_task(worker) for worker in workers]
    rescue = asyncio.create_task(_rescue(runtime))
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([waiting, rescue, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
            raise RuntimeError("a worker ended by itself")
    finally:
        for task in (waiting, rescue, *tasks):
            task.cancel()
        # Cancelling a procrastinate worker lets its running jobs end.
        await asyncio.gather(waiting, rescue, *tasks, return_exceptions=True)


async def _worker(runtime: Runtime, name: str, queues: list[str], concurrency: int) -> None:
    await runtime.queue.app.run_worker_async(
        queues=queues,
        name=name,
        concurrency=concurrency,
        fetch_job_polling_interval=_POLL_SECONDS,
        update_heartbeat_interval=HEARTBEAT_SECONDS,
        stalled_worker_timeout=STALLED_SECONDS,
        shutdown_graceful_timeout=30,
        delete_jobs="successful",
        install_signal_handlers=False,
        additional_context={"runtime": runtime},
    )


async def _rescue(runtime: Runtime) -> None:
    """Put the jobs of workers that died back into the queue, and replace those that are gone, again and again."""
    for round_number in itertools.count(1):
        await asyncio.sleep(STALLED_SECONDS)
        try:
            released = await runtime.queue.release_stalled(STALLED_SECONDS)
            renewed = 0 if round_number % _ROUNDS_BETWEEN_RESCUES else await rescue(runtime)
            if released or renewed:
                logger.warning("%d jobs of dead workers were put back, %d lost ones renewed", released, renewed)
        except Exception:
            # The database may be away for a while; the next round tries again.
            logger.exception("lost jobs could not be looked for")
