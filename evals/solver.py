"""The solver: the production graph, with a channel that reaches nobody."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from langchain.messages import AIMessage, AnyMessage, HumanMessage

from evals.datasets import Sample
from evals.results import NOBODY_ANSWERED, NotScored, Output, Quote
from graphs.support.context import SupportContext, preview_channel
from graphs.support.graph import run
from graphs.support.records import Passage, Usage
from graphs.support.state import SupportState

# Passages for a question, at most so many, best first.
Rank = Callable[[str, int], Awaitable[Sequence[Passage]]]
# Enough passages to hold ten different documents.
_DEEP = 50
_CUSTOMER = ("customer", "user")


class Solver(Protocol):
    """What answers a sample."""

    async def __call__(self, sample: Sample, epoch: int) -> Output:
        """The output; raises NotScored."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a document of the store is called in the corpus."""

    id: str
    title: str


class GraphSolver:
    """Runs the graph as a turn does. `names` are the corpus's documents by their ids in the store; None: the same."""

    def __init__(self, context: SupportContext, names: Mapping[str, Named] | None) -> None:
        self._context, self._names = context, names

    async def __call__(self, sample: Sample, epoch: int) -> Output:
        """What is sent, and what it rests on."""
        found = list[Passage]()

        async def retrieve(question: str) -> Sequence[Passage]:
            found[:] = await self._context.retrieve(question)
            return found

        context = replace(self._context, channel=preview_channel(), retrieve=retrieve)
        started = perf_counter()
        state = await run(context, sample.question, history_of(sample))
        milliseconds = (perf_counter() - started) * 1000
        if (reason := state.get("reason")) in NOBODY_ANSWERED:
            raise NotScored(str(reason))
        return _output(state, found, self._names, milliseconds)


class SearchSolver:
    """Runs the graph up to its search, which gives as many passages as ten documents may have."""

    def __init__(self, context: SupportContext, rank: Rank, names: Mapping[str, Named] | None) -> None:
        self._context, self._rank, self._names = context, rank, names

    async def __call__(self, sample: Sample, epoch: int) -> Output:
        """What was found; nothing is drafted of it."""
        found, milliseconds = list[Passage](), 0.0

        async def retrieve(question: str) -> Sequence[Passage]:
            nonlocal milliseconds
            started = perf_counter()
            found[:] = await self._rank(question, _DEEP)
            milliseconds = (perf_counter() - started) * 1000
            return ()  # Without a passage the graph ends here.

        context = replace(self._context, channel=preview_channel(), retrieve=retrieve)
        state = await run(context, sample.question, history_of(sample))
        return _output({**state, "reply": ""}, found, self._names, milliseconds)


async def given(sample: Sample, epoch: int) -> Output:
    """The solver of samples that have their reply."""
    return Output("replied", None, sample.reply or "")


def history_of(sample: Sample) -> tuple[AnyMessage, ...]:
    """What was said before, as the graph takes it."""
    return tuple(HumanMessage(turn.text) if turn.role in _CUSTOMER else AIMessage(turn.text) for turn in sample.history)


def _output(
    state: SupportState, found: Sequence[Passage], names: Mapping[str, Named] | None, milliseconds: float
) -> Output:
    passages = state.get("passages") or found
    ranked = (_named(names, passage.document_id, "")[0] for passage in found)
    return Output(
        outcome=state.get("outcome", "handoff"),
        reason=state.get("reason"),
        reply=state.get("reply", ""),
        citations=tuple(
            Quote(*_named(names, one.document_id, one.title), one.quote, one.heading, one.page)
            for one in state.get("citations", ())
        ),
        passages=tuple(
            Quote(*_named(names, one.document_id, one.title), one.text, one.heading, one.page, round(one.score, 4))
            for one in passages
        ),
        retrieved=tuple(dict.fromkeys(name for name in ranked if name is not None)),
        verdicts=tuple(state.get("verdicts", ())),
        model=state.get("model"),
        usage=state.get("usage", Usage()),
        milliseconds=round(milliseconds, 3),
    )


def _named(names: Mapping[str, Named] | None, document_id: str, title: str) -> tuple[str | None, str]:
    if names is None:
        return document_id, title
    named = names.get(document_id)
    return (None, title) if named is None else (named.id, named.title or title)
