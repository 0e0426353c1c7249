"""What a task is run with: its solver and its scorers, made of the context that a run of the graph is given."""

from collections.abc import Mapping

from evals.judge import Judge
from evals.scorers import Attacked, Scorer, Similar
from evals.solver import GraphSolver, Named, Rank, SearchSolver, Solver, given
from evals.tasks import Task
from graphs.llm import LanguageModel
from graphs.support.context import SupportContext
from graphs.support.prompts import system_prompt


def solver_of(task: Task, context: SupportContext, rank: Rank, names: Mapping[str, Named] | None) -> Solver:
    """What answers the samples; without `names` a document is known by its id in the store."""
    if task.solver == "given":
        return given
    return GraphSolver(context, names) if task.solver == "graph" else SearchSolver(context, rank, names)


def scorers_of(task: Task, context: SupportContext, judge: LanguageModel | None = None) -> list[Scorer]:
    """The task's scorers, with those that need the embedding model, the agent's prompt or a judge."""
    scorers = list(task.scorers)
    if task.name == "answers":
        scorers.append(Similar(context.embed))
    if task.name == "injection":
        scorers.append(Attacked([system_prompt(context.agent), context.agent.instructions]))
    if judge is not None and task.name in ("answers", "judge"):
        scorers.append(Judge(judge))
    return scorers
