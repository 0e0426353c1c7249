"""The jobs of erasures. But for the one that begins it, they carry an erasure's random id and nothing else."""

import logging
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy import select, text

from app.models import Erasure
from app.privacy import engine, ledger, proofkey, retention
from app.privacy.erasure import begin, erase_stopped_document
from app.queue import PRIVACY, job
from app.runtime import Runtime, of_job

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()

_HOUR = 3600.0
_IS_PLANNED = text(
    "select 1 from queue.procrastinate_jobs where task_name = 'privacy:retain' and status in ('todo', 'doing') limit 1"
)
_HAS_JOB = text(
    "select 1 from queue.procrastinate_jobs"
    " where task_name = 'privacy:erase' and status in ('todo', 'doing') and args ->> 'erasure_id' = :erasure limit 1"
)


@job(blueprint, "privacy:erase", PRIVACY)
async def erase(context: JobContext, erasure_id: UUID) -> None:
    """Carry out an erasure, from wherever the last run left it."""
    await engine.carry_out(of_job(context), erasure_id)


@job(blueprint, "privacy:release", PRIVACY)
async def release(context: JobContext, erasure_id: UUID) -> None:
    """Revoke what was stopped and is erased later, and write that into the ledger."""
    runtime = of_job(context)
    erasure = await engine.load(runtime, erasure_id)
    if erasure is not None and erasure.state == "scheduled":
        proof = await proofkey.ensure(runtime.db, runtime.storage, runtime.vault.master)
        await ledger.enter(runtime.storage, proof, erasure)
        await engine.release(runtime, erasure)


@job(blueprint, "privacy:strike", PRIVACY)
async def strike(context: JobContext, erasure_id: UUID) -> None:
    """Take an erasure that was taken back out of the ledger."""
    await ledger.strike(of_job(context).storage, erasure_id)


@job(blueprint, "privacy:erase_document", PRIVACY)
async def erase_document(context: JobContext, tenant_id: UUID, document_id: UUID) -> None:
    """Begin the erasure of a document that stopped answering in the transaction that added this."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        await erase_stopped_document(session, runtime, document_id)


@job(blueprint, "privacy:retain", PRIVACY)
async def retain(context: JobContext) -> None:
    """Let every tenant's data go that has had its time."""
    runtime = of_job(context)
    for tenant_id in await retention.tenants(runtime.db):
        try:
            await retention.retain(runtime.vault, runtime, tenant_id)
        except Exception:
            # One tenant's trouble must not keep the others waiting.
            logger.exception("what a tenant has had for long enough could not be let go of")
    await retention.retain_jobs_of_nobody(runtime.db)


async def plan_retention(runtime: Runtime) -> bool:
    """See to it that data is let go of within the hour; returns whether that was not planned yet."""
    async with runtime.db.session() as session:
        if await session.scalar(_IS_PLANNED) is not None:
            return False
        return await runtime.queue.defer(session, "privacy:retain", PRIVACY, delay_seconds=_HOUR, ids={})


async def start_due(runtime: Runtime) -> int:
    """Start erasures whose date has come, and give those that lost their job another; returns how many."""
    async with runtime.db.session() as session:
        due = (await session.execute(text("select tenant_id, erasure_id from platform.due_erasures()"))).all()
    count = 0
    for tenant_id, erasure_id in due:
        try:
            count += await _start(runtime, tenant_id, erasure_id)
        except Exception:
            # One tenant's trouble must not keep the others waiting.
            logger.exception("an erasure that is due could not be started")
    return count


async def _start(runtime: Runtime, tenant_id: UUID, erasure_id: UUID) -> bool:
    async with runtime.db.session(tenant_id) as session:
        if await session.scalar(_HAS_JOB, {"erasure": str(erasure_id)}) is not None:
            return False
        erasure = await session.scalar(select(Erasure).where(Erasure.id == erasure_id).with_for_update())
        if erasure is None or erasure.state not in ("scheduled", "running"):
            return False
        await begin(session, runtime, erasure)
    return True
