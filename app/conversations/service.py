"""Running the agent for a turn or a preview, and reading conversations."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from langchain.messages import AIMessage, AnyMessage, HumanMessage
from langchain.tools import BaseTool
from sqlalchemy import Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.service import get_agent, profile_of
from app.channels.outbox import channel_tool, send
from app.channels.registry import client_for, provider_for
from app.conversations.turns import Due
from app.documents.search import retriever
from app.errors import NotFound
from app.models import Conversation, Handoff, Message, Turn, now
from app.runtime import Runtime
from app.web import Page
from graphs.support.context import AgentProfile, SupportContext, preview_channel
from graphs.support.graph import run
from graphs.support.state import SupportState

PREVIEW_CHARACTERS = 4096
_TYPING_SECONDS = 4.0


async def run_turn(runtime: Runtime, due: Due) -> None:
    """Answer a turn: the graph ends it through the outbox, and what it found is kept with the turn."""
    tool = channel_tool(runtime, due.turning)
    context = build_context(runtime, due.turning.tenant_id, due.profile, due.document_ids, tool)
    async with _typing(runtime, due):
        state = await run(context, due.text, due.history)
    await _record(runtime, due, state)
    # The graph has no way out but dispatch and handoff; should it ever find one, a person still gets the message.
    await send(runtime, due.turning, due.profile.handoff_message, "internal_error", [])


def build_context(
    runtime: Runtime, tenant_id: UUID, profile: AgentProfile, document_ids: Sequence[UUID], channel: BaseTool
) -> SupportContext:
    """What one run of the graph is given."""
    return SupportContext(
        agent=profile,
        llm=runtime.llm,
        retrieve=retriever(runtime, tenant_id, document_ids),
        embed=runtime.embedder.embed,
        channel=channel,
    )


async def preview_context(runtime: Runtime, tenant_id: UUID, agent_id: UUID) -> SupportContext:
    """A run that reaches no customer, for trying an agent out; raises NotFound."""
    async with runtime.vault.session(tenant_id) as session:
        agent = await get_agent(session, agent_id)
        profile, document_ids = profile_of(agent, PREVIEW_CHARACTERS), tuple(agent.document_ids)
    return build_context(runtime, tenant_id, profile, document_ids, preview_channel())


Listed = tuple[Conversation, Handoff | None]


async def list_conversations(session: AsyncSession, page: Page, *, waiting: bool = False) -> list[Listed]:
    """A page of conversations with their open handoffs, newest first, and one more if there is one.

    `waiting` leaves out those that wait for nobody.
    """
    query = _with_handoff().order_by(Conversation.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(Conversation.id < page.after)
    if waiting:
        query = query.where(Handoff.id.is_not(None))
    return [(row[0], row[1]) for row in await session.execute(query)]


async def get_conversation(session: AsyncSession, conversation_id: UUID) -> Listed:
    """One conversation and its open handoff; raises NotFound."""
    query = _with_handoff().where(Conversation.id == conversation_id)
    found = (await session.execute(query)).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    return found[0], found[1]


async def update_conversation(
    session: AsyncSession, conversation_id: UUID, *, agent_paused: bool | None, handoff_resolved: bool | None
) -> Listed:
    """Pause or resume the agent, and close the open handoff."""
    await session.get(Conversation, conversation_id, with_for_update=True)
    conversation, handoff = await get_conversation(session, conversation_id)
    if agent_paused is not None:
        conversation.agent_paused_at = (conversation.agent_paused_at or now()) if agent_paused else None
    if handoff_resolved and handoff is not None:
        handoff.resolved_at = now()
        handoff = None
    return conversation, handoff


def _with_handoff() -> Select[Conversation, Handoff | None]:
    waits = and_(Handoff.conversation_id == Conversation.id, Handoff.resolved_at.is_(None))
    return select(Conversation, Handoff).outerjoin(Handoff, waits)


async def list_messages(session: AsyncSession, conversation_id: UUID, page: Page) -> list[tuple[Message, Turn | None]]:
    """The newest messages before the cursor, newest first, with their turns, and one more if there is one."""
    await get_conversation(session, conversation_id)
    query = (
        select(Message, Turn)
        .outerjoin(Turn, Message.turn_id == Turn.id)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.position.desc())
        .limit(page.limit + 1)
    )
    if page.after is not None:
        before = select(Message.position).where(Message.id == page.after).scalar_subquery()
        query = query.where(Message.position < before)
    return [(message, turn) for message, turn in await session.execute(query)]


async def _record(runtime: Runtime, due: Due, state: SupportState) -> None:
    async with runtime.vault.session(due.turning.tenant_id) as session:
        turn = await session.get_one(Turn, due.turning.turn_id, with_for_update=True)
        usage = state.get("usage")
        turn.model = state.get("model")
        turn.timings = state.get("timings")
        if usage is not None:
            turn.prompt_tokens, turn.completion_tokens = usage.prompt_tokens, usage.completion_tokens
            turn.cost_micros = usage.cost_micros
        turn.record = turn_record(state)


def turn_record(state: SupportState) -> dict[str, Any]:
    """Citations and verdicts of a run, for its encrypted record."""
    return {
        "citations": [asdict(citation) for citation in state.get("citations", [])],
        "verdicts": [asdict(verdict) for verdict in state.get("verdicts", [])],
    }


@contextlib.asynccontextmanager
async def _typing(runtime: Runtime, due: Due) -> AsyncIterator[None]:
    """Show the channel's typing sign for as long as the block runs."""
    task = asyncio.create_task(_show_typing(runtime, due))
    try:
        yield
    finally:
        task.cancel()
        # A sign that could not be shown is no reason not to answer.
        await asyncio.gather(task, return_exceptions=True)


async def _show_typing(runtime: Runtime, due: Due) -> None:
    provider = provider_for(due.connection.channel, runtime.settings)
    client = client_for(due.connection, runtime)
    while provider.capabilities.typing:
        await provider.typing(
            client, due.credentials, due.conversation_id, business_connection_id=due.business_connection_id
        )
        await asyncio.sleep(_TYPING_SECONDS)


def history_messages(items: Sequence[tuple[str, str]]) -> tuple[AnyMessage, ...]:
    """(role, text) pairs as messages; the roles are "customer"/"user" and "agent"/"assistant"."""
    return tuple(HumanMessage(text) if role in ("customer", "user") else AIMessage(text) for role, text in items)
