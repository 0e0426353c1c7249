"""Samples and outputs that tests score, and solvers that need no model."""

from collections.abc import Callable

from evals.datasets import Sample
from evals.results import NotScored, Output, Quote, Result
from graphs.support.records import Usage, Verdict

RETURNS = Quote("returns.md", "Returns", "You can return an item within 30 days.", "Deadline", 2, 0.9)


def sample(name: str = "a", question: str = "How long can I return it?", **fields) -> Sample:
    return Sample(name, question, **fields)


def output(reply: str = "You can return an item within 30 days.", outcome: str = "replied", **fields) -> Output:
    given = {"reason": None, "citations": (RETURNS,), "passages": (RETURNS,), "retrieved": ("returns.md",)} | fields
    return Output(outcome=outcome, reply=reply, **given)


def handoff(reason: str = "ungrounded", **fields) -> Output:
    return output("A colleague will answer.", "handoff", reason=reason, citations=(), **fields)


def verdict(name: str, score: float = 1.0, action: str = "pass") -> Verdict:
    return Verdict(name, action == "pass", score, "evidence", action)


def result(name: str, epoch: int = 0, **scores: float) -> Result:
    return Result(name, epoch, output(usage=Usage(10, 5, 1, 7)), scores)


class Scripted:
    """A solver that does as it is told by sample; what it was asked for is in `asked`."""

    def __init__(self, does: Callable[[Sample, int], Output]) -> None:
        self.asked: list[tuple[str, int]] = []
        self._does = does

    async def __call__(self, asked: Sample, epoch: int) -> Output:
        self.asked.append((asked.id, epoch))
        return self._does(asked, epoch)


def unavailable(_sample: Sample, _epoch: int) -> Output:
    raise NotScored("model_unavailable")
