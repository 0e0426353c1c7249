"""The wiring: screen, summarise and rewrite when there is history, retrieve, draft, check, then dispatch or hand off.

There is no checkpointer: a run is stateless, and the messages table is the memory.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

from langchain.messages import AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langsmith import tracing_context
from opentelemetry.trace import Span

from graphs.spans import describe, span
from graphs.support import nodes
from graphs.support.context import SupportContext
from graphs.support.fleeting import forget
from graphs.support.state import SupportState

_Node = TypeVar("_Node", bound=Callable[..., Awaitable[SupportState]])
SupportGraph = CompiledStateGraph[SupportState, SupportContext, SupportState, SupportState]


@lru_cache(maxsize=1)
def build() -> SupportGraph:
    """The compiled graph; it holds nothing of a run, so one serves all."""
    builder = StateGraph(SupportState, context_schema=SupportContext)
    builder.add_node(_traced(nodes.screen))
    builder.add_node(_traced(nodes.summarise))
    builder.add_node(_traced(nodes.rewrite))
    builder.add_node(_traced(nodes.retrieve))
    builder.add_node(_traced(nodes.draft))
    builder.add_node(_traced(nodes.check))
    builder.add_node(_traced(nodes.dispatch))
    builder.add_node(_traced(nodes.handoff))
    builder.add_edge(START, "screen")
    builder.add_conditional_edges("screen", after_screen, ["summarise", "retrieve", "dispatch", "handoff"])
    builder.add_edge("summarise", "rewrite")
    builder.add_edge("rewrite", "retrieve")
    builder.add_conditional_edges("retrieve", after_retrieve, ["draft", "dispatch", "handoff"])
    builder.add_conditional_edges("draft", unless_ended("check"), ["check", "handoff"])
    builder.add_conditional_edges("check", after_check, ["dispatch", "draft", "handoff"])
    builder.add_edge("dispatch", END)
    builder.add_edge("handoff", END)
    return builder.compile(name="support")


# LangGraph runs what chooses an edge in a thread unless it is a coroutine: four hops a turn, on a busy processor each
# for as long as another thread holds the interpreter.
async def after_screen(state: SupportState) -> str:
    """Small talk is answered at once, what was refused or needs a person is handed over, the rest goes on."""
    if "outcome" in state:
        return "dispatch" if state["outcome"] == "replied" else "handoff"
    return "summarise" if state["history"] or state["summary"] else "retrieve"


async def after_retrieve(state: SupportState) -> str:
    """An approved answer goes out as it is; without a passage a person is asked; else a reply is drafted."""
    if "outcome" in state:
        return "dispatch" if state["outcome"] == "replied" else "handoff"
    return "draft"


def unless_ended(following: str) -> Callable[[SupportState], Awaitable[str]]:
    """The next node, or the handoff if the node before decided on it."""

    async def route(state: SupportState) -> str:
        return "handoff" if "outcome" in state else following

    return route


async def after_check(state: SupportState) -> str:
    """A reply that passed goes out, a first draft that failed is written again, a second is handed over."""
    outcome = state.get("outcome")
    return "draft" if outcome is None else "dispatch" if outcome == "replied" else "handoff"


async def run(
    context: SupportContext, message: str, history: Sequence[AnyMessage] = (), summary: str = ""
) -> SupportState:
    """One turn from the customer's message to the channel; the final state. The `summary` is of what came before.

    Raises what the retriever, the embedder or the channel raise; see `graphs.support.nodes`.
    """
    # LangSmith's tracing: an environment that traces other programs must not get customers' messages.
    with tracing_context(enabled=False), span("graph") as current:
        try:
            state = cast(SupportState, await build().ainvoke(_start(message, history, summary), context=context))
        finally:
            forget()
        _describe(current, state)
    return state


async def run_events(
    context: SupportContext, message: str, history: Sequence[AnyMessage] = ()
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The same turn as events: `("node", {"node", "ms"})` as each ends, then `("result", state)`.

    Nothing of a draft is shown before its check has passed, so the reply comes with the result only.
    """
    final: Any = None
    try:
        with tracing_context(enabled=False):
            stream = build().astream(_start(message, history, ""), context=context, stream_mode=["updates", "values"])
            async for mode, data in cast(AsyncIterator[tuple[str, Any]], stream):
                if mode == "values":
                    final = data
                    continue
                for name, update in data.items():
                    yield "node", {"node": name, "ms": update["timings"][name]}
    finally:
        # Also of a run whose reader went away.
        forget()
    yield "result", final


def _start(message: str, history: Sequence[AnyMessage], summary: str) -> SupportState:
    return {"message": message, "history": list(history), "summary": summary}


def _traced(node: _Node) -> _Node:
    name = getattr(node, "__name__", "node")

    @wraps(node)
    async def run_node(*args: Any, **kwargs: Any) -> SupportState:
        with span(name) as current:
            update = await node(*args, **kwargs)
            _describe(current, update)
        return update

    return cast(_Node, run_node)


def _describe(current: Span, state: SupportState) -> None:
    """How it ended and counts: nothing else of a state is fit for a trace."""
    failed = [verdict for verdict in state.get("verdicts", ()) if not verdict.passed]
    describe(
        current,
        outcome=state.get("outcome"),
        reason=state.get("reason"),
        passages=len(state["passages"]) if "passages" in state else None,
        failed_verdicts=len(failed) if "verdicts" in state else None,
    )
