"""The core of a run: every sample is put to the agent by evals' solver, and what it says is scored and kept."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from uuid import UUID

from app.agents.service import get_agent
from app.conversations.answering import preview_context
from app.documents.filters import knowledge_of
from app.documents.search import search
from app.errors import NotFound
from app.evaluations import states
from app.evaluations.capped import Capped
from app.evaluations.contents import content_of, results_of
from app.evaluations.states import Asked, Plan
from app.runtime import Runtime
from evals.report import report
from evals.runs import run_sample
from evals.scorers import Scorer
from evals.setup import scorers_of, solver_of
from evals.solver import Solver
from evals.tasks import TASKS, Task
from graphs.support.records import Passage

# Then other jobs have their turn; what is left is for the next one.
SLICE_SECONDS = 60.0
# Samples that are asked at a time.
_CALLS = 4
_LIMITS = {"run": "What the run may cost (`most_cents`) is reached."}


@dataclass(frozen=True, slots=True)
class _Means:
    """What samples are asked with."""

    task: Task
    solver: Solver
    scorers: Collection[Scorer]
    spending: Capped


async def run_evaluation(runtime: Runtime, tenant_id: UUID, run_id: UUID) -> None:
    """Work on a run until it has ended, or for a slice; where it was cut it goes on.

    Raises Stopping, and whatever the search or the database raise, after which it can be called again.
    """
    plan = await states.begin(runtime, tenant_id, run_id)
    if plan is None:
        return
    try:
        means = await _means(runtime, plan)
    except NotFound:
        await states.fail(runtime, tenant_id, run_id, "agent_gone", "The agent was deleted.")
        return
    if await _ask_all(runtime, plan, means):
        samples, results = results_of(await states.load_results(runtime, plan))
        told = await asyncio.to_thread(report, means.task, "", samples, results, 0)
        metrics = {name: asdict(value) for name, value in told.metrics.items()}
        await states.finish(runtime, plan, {"metrics": metrics, "not_scored": told.not_scored})


async def _means(runtime: Runtime, plan: Plan) -> _Means:
    context = await preview_context(runtime, plan.tenant_id, plan.agent_id)
    async with runtime.vault.session(plan.tenant_id) as session:
        knowledge = knowledge_of(await get_agent(session, plan.agent_id))
    if context.spending is None:
        raise TypeError("a preview has a limit")
    spending = Capped(context.spending, plan.most_micros, plan.spent_micros)

    async def rank(question: str, limit: int) -> Sequence[Passage]:
        return await search(runtime, plan.tenant_id, question, limit, knowledge)

    task, limited = TASKS[plan.task], replace(context, spending=spending)
    return _Means(task, solver_of(task, limited, rank, None), scorers_of(task, limited), spending)


async def _ask_all(runtime: Runtime, plan: Plan, means: _Means) -> bool:
    """Ask what is left, as far as time and limits go; whether all was asked."""
    clock = asyncio.get_running_loop().time
    until, left = clock() + SLICE_SECONDS, await states.to_ask(runtime, plan)
    while left:
        if clock() > until:
            return False
        await runtime.pressure.relieved()
        piece, left = left[:_CALLS], left[_CALLS:]
        told = await asyncio.gather(*(_ask(runtime, plan, means, one) for one in piece), return_exceptions=True)
        for error in told:
            if isinstance(error, BaseException):
                raise error
        if means.spending.reached is not None:
            words = _LIMITS.get(means.spending.reached, "A limit of spending is reached.")
            await states.fail(runtime, plan.tenant_id, plan.run_id, "limit_reached", words)
            return False
        if not await states.goes_on(runtime, plan):
            return False
    return True


async def _ask(runtime: Runtime, plan: Plan, means: _Means, asked: Asked) -> None:
    sample = await states.load_sample(runtime, plan, asked)
    if sample is None:
        return
    if not means.task.applies(sample):
        await states.keep_result(runtime, plan, asked, content_of(None), 0)
        return
    result = await run_sample(sample, asked.epoch - 1, means.solver, means.scorers)
    if result.not_scored == "limit_reached":
        # No answer of the agent's: the run ends, and tells why.
        return
    cost = result.output.usage.cost_micros if result.output else 0
    await states.keep_result(runtime, plan, asked, content_of(result), cost)
