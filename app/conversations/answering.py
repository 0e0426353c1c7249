"""Running the agent, for a turn or a preview. Importing it loads LangGraph, which takes a second."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from uuid import UUID

from langchain.messages import AIMessage, AnyMessage, HumanMessage
from langchain.tools import BaseTool

from app.agents.service import get_agent, profile_of
from app.billing.spending import Customer, Spending
from app.channels.outbox import Outbox
from app.conversations.marks import names_found
from app.conversations.memory import Remembering
from app.conversations.turns import Due
from app.documents.collections import in_force
from app.documents.embedding import sentence_embedder
from app.documents.entailing import entailment_by
from app.documents.filters import knowledge_of
from app.documents.search import relevance_by, retriever
from app.egress import carrying, content_of
from app.models import Turn
from app.runtime import Runtime
from graphs.support.context import AgentProfile, Retrieve, SupportContext, preview_channel
from graphs.support.graph import run, run_events
from graphs.support.state import SupportState

__all__ = ["build_context", "history_messages", "preview_context", "run", "run_events", "run_turn"]

logger = logging.getLogger(__name__)

PREVIEW_CHARACTERS = 4096


async def run_turn(runtime: Runtime, due: Due) -> None:
    """Answer a turn: the graph ends it through the outbox, and what it found is kept with the turn."""
    outbox = Outbox(runtime, due.turning)
    try:
        with carrying(content_of(due.channel)):
            await _run_turn(runtime, due, outbox)
    except Exception:
        # Whatever failed after the provider was called: what it said is known, and must not become a doubt.
        await outbox.note()
        raise


async def _run_turn(runtime: Runtime, due: Due, outbox: Outbox) -> None:
    if due.is_closed:
        await hand_over(runtime, due, "out_of_hours")
        return
    knowledge = retriever(runtime, due.turning.tenant_id, due.knowledge, due.vectors)
    customer = Customer(due.turning.connection_id, due.contact_id, due.turning.epoch)
    context = replace(
        build_context(runtime, due.profile, knowledge, outbox.tool),
        spending=Spending(runtime, due.turning.tenant_id, customer),
        remember=Remembering(runtime, due.turning, due.memory),
        customer_name=due.customer_name,
    )
    state = await run(context, due.text, due.memory.history, due.memory.summary)
    _tell(state)
    verdicts = [(verdict.name, verdict.passed) for verdict in state.get("verdicts", [])]
    runtime.metrics.graph_run(state.get("timings", {}), verdicts)
    async with runtime.vault.session(due.turning.tenant_id) as session:
        await outbox.settle(session)
        turn = await session.get(Turn, due.turning.turn_id, with_for_update=True)
        if turn is None:
            # Erased meanwhile, with all that it would have been recorded for.
            return
        open_still = turn.state == "running"
        if outbox.ended or open_still:
            _record(turn, state)
    if open_still:
        # The graph has no way out but dispatch and handoff; should it ever find one, a person still gets the message.
        await hand_over(runtime, due)


async def hand_over(runtime: Runtime, due: Due, reason: str = "internal_error") -> None:
    """End a turn that the graph does not end: a person gets the message, and the customer is told so."""
    outbox = Outbox(runtime, due.turning)
    await outbox.send(due.profile.handoff_message, reason)
    await outbox.note()


def build_context(runtime: Runtime, profile: AgentProfile, retrieve: Retrieve, channel: BaseTool) -> SupportContext:
    """What one run of the graph is given."""
    return SupportContext(
        agent=profile,
        llm=runtime.llm,
        retrieve=retrieve,
        embed=sentence_embedder(runtime),
        channel=channel,
        relevance=relevance_by(runtime.settings),
        entails=entailment_by(runtime.entailment),
    )


async def preview_context(runtime: Runtime, tenant_id: UUID, agent_id: UUID) -> SupportContext:
    """A run that reaches no customer, for trying an agent out; raises NotFound."""
    async with runtime.vault.session(tenant_id) as session:
        agent = await get_agent(session, agent_id)
        profile = profile_of(agent, PREVIEW_CHARACTERS)
        knowledge = retriever(runtime, tenant_id, knowledge_of(agent), await in_force(session, runtime))
    context = build_context(runtime, profile, knowledge, preview_channel())
    return replace(context, spending=Spending(runtime, tenant_id))


def _tell(state: SupportState) -> None:
    outcome, reason = state.get("outcome"), state.get("reason")
    fields = {"outcome": outcome, "reason": reason, "steps_ms": state.get("timings")}
    logger.info("turn ends: %s (%s)", outcome, reason, extra={"fields": fields})


def _record(turn: Turn, state: SupportState) -> None:
    """Keep what a run found with its turn."""
    usage = state.get("usage")
    turn.model = state.get("model")
    turn.timings = state.get("timings")
    if usage is not None:
        turn.prompt_tokens, turn.completion_tokens = usage.prompt_tokens, usage.completion_tokens
        turn.cost_micros = usage.cost_micros
    verdicts = [asdict(verdict) for verdict in state.get("verdicts", [])]
    turn.record = {
        "citations": [asdict(citation) for citation in state.get("citations", [])],
        "verdicts": verdicts,
    }
    turn.findings = names_found(verdicts, in_shadow=False)
    turn.shadow_findings = names_found(verdicts, in_shadow=True)


def history_messages(items: Sequence[tuple[str, str]]) -> tuple[AnyMessage, ...]:
    """(role, text) pairs as messages; the roles are "customer"/"user" and "agent"/"assistant"."""
    return tuple(HumanMessage(text) if role in ("customer", "user") else AIMessage(text) for role, text in items)
