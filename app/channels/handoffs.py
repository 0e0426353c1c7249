"""Handoffs: a conversation waits for a person, for one reason at a time."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.hours import next_opening
from app.models import Agent, Connection, Handoff, now
from app.queue import ANSWERS, Queue

_AGENT: Select[Agent] = (
    select(Agent).join(Connection, Connection.agent_id == Agent.id).where(Connection.id == bindparam("connection_id"))
)
# A draft that waits for a person's word.
DRAFT = "draft"
# What the graph found out, what the channel said, what people set: docs/handoffs.md tells what each means.
REASONS = (
    "abuse",
    "agent_off",
    "asked_for_person",
    "connection_needs_reauthorisation",
    DRAFT,
    "guardrail",
    "injection",
    "internal_error",
    "limit_reached",
    "loop",
    "model_unavailable",
    "no_passages",
    "out_of_hours",
    "oversize",
    "person_took_over",
    "send_failed",
    "send_unknown",
    "sensitive_topic",
    "ungrounded",
    "unsupported_content",
    "window_closed",
)


async def open_handoff(
    session: AsyncSession, queue: Queue, connection_id: UUID, conversation_id: UUID, turn_id: UUID, reason: str
) -> bool:
    """Open a handoff, which is escalated when nobody takes it up; False when a person is asked for already."""
    waiting = select(Handoff.id).where(Handoff.conversation_id == conversation_id, Handoff.resolved_at.is_(None))
    if await session.scalar(waiting) is not None:
        return False
    handoff = Handoff(connection_id=connection_id, conversation_id=conversation_id, turn_id=turn_id, reason=reason)
    session.add(handoff)
    agent = (await session.scalars(_AGENT, {"connection_id": connection_id})).one_or_none()
    if agent is not None and agent.escalate_after_minutes is not None:
        await session.flush()
        await queue.defer(
            session,
            "conversations:escalate",
            ANSWERS,
            ids={"tenant_id": handoff.tenant_id, "handoff_id": handoff.id},
            delay_seconds=(_escalation(agent, agent.escalate_after_minutes) - now()).total_seconds(),
        )
    return True


def _escalation(agent: Agent, minutes: int) -> datetime:
    """When somebody should have answered: the time begins to run when people are there."""
    begins = now() if agent.hours is None else next_opening(agent.hours, now()) or now()
    return begins + timedelta(minutes=minutes)


async def resolve_handoff(session: AsyncSession, conversation_id: UUID, reason: str | None = None) -> None:
    """Close the open handoff of a conversation, or only one with this reason."""
    mine = update(Handoff).where(Handoff.conversation_id == conversation_id, Handoff.resolved_at.is_(None))
    await session.execute((mine if reason is None else mine.where(Handoff.reason == reason)).values(resolved_at=now()))
