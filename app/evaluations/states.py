"""What a run's job reads and writes: each function is one short transaction, none open while an agent is asked.

Whatever a run has said is stored at once, so that a run that was cut goes on where it was.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.evaluations.contents import content_of
from app.evaluations.runs import OPEN, results
from app.evaluations.service import sample_of
from app.models import Document, EvalResult, EvalRun, EvalSample, now
from app.models.evaluations import EvalTask
from app.runtime import Runtime
from evals.datasets import Sample
from evals.results import Result

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is under way: what it is to do, and what its models have cost so far (micro US dollars)."""

    tenant_id: UUID
    run_id: UUID
    task: EvalTask
    dataset_id: UUID
    agent_id: UUID
    limit: int | None
    epochs: int
    most_micros: int | None
    spent_micros: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One sample that is to be asked, the epoch counted from 1."""

    sample_id: UUID
    epoch: int


async def begin(runtime: Runtime, tenant_id: UUID, run_id: UUID) -> Plan | None:
    """Take a run up, also one that was cut; None when it has ended, was cancelled or is gone.

    A run whose agent is gone fails.
    """
    async with runtime.vault.session(tenant_id) as session:
        run = await session.get(EvalRun, run_id, with_for_update=True)
        if run is None or run.status not in OPEN:
            return None
        if run.agent_id is None:
            _end(run, "failed")
            run.error_code, run.error = "agent_gone", "The agent was deleted."
            return None
        run.status, run.started_at = "running", run.started_at or now()
        task: Any = run.task
        return Plan(
            tenant_id,
            run_id,
            task,
            run.dataset_id,
            run.agent_id,
            run.sample_limit,
            run.epochs,
            run.most_micros,
            run.cost_micros,
        )


async def to_ask(runtime: Runtime, plan: Plan) -> Sequence[Asked]:
    """What is left to ask: every sample once before any twice."""
    async with runtime.vault.session(plan.tenant_id) as session:
        mine = select(EvalSample.id).where(EvalSample.dataset_id == plan.dataset_id).order_by(EvalSample.id)
        samples = (await session.scalars(mine if plan.limit is None else mine.limit(plan.limit))).all()
        said = select(EvalResult.sample_id, EvalResult.epoch).where(EvalResult.run_id == plan.run_id)
        known = {(row[0], row[1]) for row in await session.execute(said)}
    each = ((sample, epoch) for epoch in range(1, plan.epochs + 1) for sample in samples)
    return [Asked(*one) for one in each if one not in known]


async def load_sample(runtime: Runtime, plan: Plan, asked: Asked) -> Sample | None:
    """A sample as it is now; None once it is gone, as with its conversation, or its run was cancelled.

    Read right before it is asked: what was erased meanwhile goes to no model.
    """
    async with runtime.vault.session(plan.tenant_id) as session:
        row = await session.get(EvalSample, asked.sample_id) if await _goes_on(session, plan) else None
        return None if row is None else sample_of(row)


async def goes_on(runtime: Runtime, plan: Plan) -> bool:
    """Whether a run is still to be worked on: it was not cancelled, and is not gone."""
    async with runtime.vault.session(plan.tenant_id) as session:
        return await _goes_on(session, plan)


async def keep_result(runtime: Runtime, plan: Plan, asked: Asked, content: Mapping[str, Any], cost_micros: int) -> None:
    """Store what an agent said to a sample, sealed, and what that cost; nothing where it has no place any more.

    `content` is any JSON that has the documents which it quotes as `document_id`: by them it goes with each of these.
    Once one of them is gone, only that is stored; nothing is once the sample is gone, or the run was cancelled.
    """
    async with runtime.vault.session(plan.tenant_id) as session:
        run = await session.get(EvalRun, plan.run_id, with_for_update=True)
        # Kept from going until this is stored, and goes with it; the documents likewise.
        sample = await session.get(EvalSample, asked.sample_id, with_for_update={"read": True})
        if run is None:
            return
        run.cost_micros += cost_micros
        if sample is None or run.status not in OPEN:
            return
        if await _quotes_erased(session, content):
            # Stored as such, or it would be asked for again and again.
            content = content_of(Result("", 0, None, not_scored="document_gone"))
        result = EvalResult(
            connection_id=sample.connection_id,
            run_id=run.id,
            sample_id=sample.id,
            conversation_id=sample.conversation_id,
            epoch=asked.epoch,
            content=dict(content),
        )
        # Another run of a job that was slow and held to be dead may have been first.
        await session.execute(insert(EvalResult).values(result.column_values()).on_conflict_do_nothing())


async def load_results(runtime: Runtime, plan: Plan) -> Sequence[tuple[Sample, int, Any]]:
    """What a run has: each sample with the epoch, and the `content` that was kept of it."""
    async with runtime.vault.session(plan.tenant_id) as session:
        rows = await results(session, plan.run_id)
        return [(sample_of(row), result.epoch, result.content) for row, result in rows]


async def finish(runtime: Runtime, plan: Plan, result: Mapping[str, Any]) -> None:
    """End a run with its result, JSON with {"metrics": {name: {"value", "low", "high"}}}: numbers, no texts.

    A run that was cancelled meanwhile stays so.
    """
    async with runtime.vault.session(plan.tenant_id) as session:
        run = await session.get(EvalRun, plan.run_id, with_for_update=True)
        if run is not None and run.status in OPEN:
            _end(run, "done")
            run.result = dict(result)


async def fail(runtime: Runtime, tenant_id: UUID, run_id: UUID, code: str, words: str) -> None:
    """End a run with the reason, in words of ours; one that has ended stays as it is."""
    async with runtime.vault.session(tenant_id) as session:
        run = await session.get(EvalRun, run_id, with_for_update=True)
        if run is not None and run.status in OPEN:
            _end(run, "failed")
            run.error_code, run.error = code, words


async def _quotes_erased(session: AsyncSession, content: Mapping[str, Any]) -> bool:
    named = {UUID(one) for one in _documents(content) if _ID.fullmatch(one)}
    there = select(Document.id).where(Document.id.in_(named), Document.deleted_at.is_(None)).order_by(Document.id)
    return bool(named - set(await session.scalars(there.with_for_update(read=True))))


def _documents(value: Any) -> Iterator[str]:
    """What stands as a `document_id` anywhere; a text may quote ids of other things."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from (part,) if name == "document_id" and isinstance(part, str) else _documents(part)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from _documents(part)


async def _goes_on(session: AsyncSession, plan: Plan) -> bool:
    status = await session.scalar(select(EvalRun.status).where(EvalRun.id == plan.run_id))
    return status in OPEN


def _end(run: EvalRun, status: str) -> None:
    run.status, run.ended_at = status, now()
