"""The job of a run: slice by slice, among the reading of documents; nothing of a sample is in its arguments."""

import asyncio
import importlib
import logging
from uuid import UUID

import procrastinate
from procrastinate import JobContext

from app.evaluations import states
from app.evaluations.runs import OPEN, TASK, defer
from app.health import Stopping
from app.models import EvalRun
from app.queue import INGESTION, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()


@job(blueprint, TASK, INGESTION)
async def work(context: JobContext, tenant_id: UUID, eval_run_id: UUID) -> None:
    """Go on with a run for a while; what was asked is not asked again."""
    runtime = of_job(context)
    # A worker that no tenant asks for an eval never loads what they are run and scored with.
    running = await asyncio.to_thread(importlib.import_module, "app.evaluations.running")
    try:
        await running.run_evaluation(runtime, tenant_id, eval_run_id)
    except Stopping:
        # By a new job: a retry would be counted as an attempt.
        await _hand_on(runtime, tenant_id, eval_run_id)
    except Exception:
        if context.job.attempts < MAX_ATTEMPTS - 1:
            raise
        logger.exception("an eval run could not be carried out")
        words = "Something went wrong on our side; start it again."
        await states.fail(runtime, tenant_id, eval_run_id, "internal_error", words)
    else:
        await _hand_on(runtime, tenant_id, eval_run_id)


async def _hand_on(runtime: Runtime, tenant_id: UUID, run_id: UUID) -> None:
    """Leave what is left of a run to another job, behind those that wait."""
    async with runtime.vault.session(tenant_id) as session:
        run = await session.get(EvalRun, run_id)
        if run is not None and run.status in OPEN:
            await defer(session, runtime.queue, tenant_id, run_id)
