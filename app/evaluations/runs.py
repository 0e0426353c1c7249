"""Runs of a dataset with an agent: asked for, shown, cancelled and removed; the work itself is a job (tasks.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.service import get_agent
from app.billing.service import MICROS_PER_CENT
from app.errors import Conflict, NotFound, Unprocessable
from app.evaluations import service
from app.models import EvalResult, EvalRun, EvalSample, now
from app.models.evaluations import EvalTask
from app.queue import INGESTION, Queue
from app.web import Page

TASK = "evaluations:run"
OPEN = ("queued", "running")
# Of one tenant: they take turns, so more would only wait.
_AT_ONCE = 10


class EmptyDataset(Unprocessable):
    """The dataset has no samples."""

    code = "empty_dataset"


class TooManyRuns(Conflict):
    """Ten runs wait or are under way; cancel one, or wait."""

    code = "too_many_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run is to be: `limit` for the oldest so many samples, `most_cents` for what its models may cost."""

    task: EvalTask
    dataset_id: UUID
    agent_id: UUID
    limit: int | None
    epochs: int
    most_cents: int | None


async def ask_for_run(session: AsyncSession, queue: Queue, wanted: Wanted) -> EvalRun:
    """Note a run and add its job; raises NotFound, EmptyDataset, TooManyRuns."""
    # Locked, so that the dataset stays, and two that ask at once are counted one after the other.
    await service.get(session, wanted.dataset_id, lock=True)
    agent = await get_agent(session, wanted.agent_id)
    waiting = select(func.count()).select_from(EvalRun).where(EvalRun.status.in_(OPEN))
    if (await session.scalar(waiting) or 0) >= _AT_ONCE:
        raise TooManyRuns
    samples = (await service.sizes(session, [wanted.dataset_id])).get(wanted.dataset_id, 0)
    if not samples:
        raise EmptyDataset
    run = EvalRun(
        dataset_id=wanted.dataset_id,
        agent_id=agent.id,
        task=wanted.task,
        status="queued",
        sample_limit=wanted.limit,
        epochs=wanted.epochs,
        total=min(samples, wanted.limit or samples) * wanted.epochs,
        most_micros=None if wanted.most_cents is None else wanted.most_cents * MICROS_PER_CENT,
    )
    session.add(run)
    await session.flush()
    await defer(session, queue, run.tenant_id, run.id)
    return run


async def defer(session: AsyncSession, queue: Queue, tenant_id: UUID, run_id: UUID) -> None:
    """Add a job for a run; those of a tenant run one after another."""
    ids = {"tenant_id": tenant_id, "eval_run_id": run_id}
    await queue.defer(session, TASK, INGESTION, lock=f"evaluations:{tenant_id}", ids=ids)


async def get(session: AsyncSession, run_id: UUID, *, lock: bool = False) -> EvalRun:
    """One run; raises NotFound."""
    run = await session.get(EvalRun, run_id, with_for_update=lock)
    if run is None:
        raise NotFound("There is no such run.")
    return run


async def list_runs(session: AsyncSession, page: Page) -> Sequence[EvalRun]:
    """A page of runs, newest first, and one more if there is one."""
    query = select(EvalRun).order_by(EvalRun.id.desc()).limit(page.limit + 1)
    query = query if page.after is None else query.where(EvalRun.id < page.after)
    return (await session.scalars(query)).all()


async def done(session: AsyncSession, runs: Sequence[UUID]) -> Mapping[UUID, int]:
    """How many answers runs have."""
    mine = select(EvalResult.run_id, func.count()).where(EvalResult.run_id.in_(runs))
    return {row[0]: row[1] for row in await session.execute(mine.group_by(EvalResult.run_id))}


async def results(session: AsyncSession, run_id: UUID) -> Sequence[tuple[EvalSample, EvalResult]]:
    """What was said to each sample, in the order of samples and epochs."""
    query = select(EvalSample, EvalResult).join(EvalResult, EvalResult.sample_id == EvalSample.id)
    query = query.where(EvalResult.run_id == run_id).order_by(EvalSample.id, EvalResult.epoch)
    return [(row[0], row[1]) for row in await session.execute(query)]


async def cancel_or_remove(session: AsyncSession, run_id: UUID) -> str:
    """Cancel a run that waits or is under way, or remove one that has ended; its status then. Raises NotFound."""
    run = await get(session, run_id, lock=True)
    if run.status in OPEN:
        run.status, run.ended_at = "cancelled", now()
        return run.status
    await session.delete(run)
    return "removed"
