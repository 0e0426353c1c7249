"""Handoffs: a conversation waits for a person, for one reason at a time."""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Handoff, now

# A draft that waits for a person's word.
DRAFT = "draft"


async def open_handoff(
    session: AsyncSession, connection_id: UUID, conversation_id: UUID, turn_id: UUID, reason: str
) -> bool:
    """Open a handoff; False when the conversation waits for a person already."""
    waiting = select(Handoff.id).where(Handoff.conversation_id == conversation_id, Handoff.resolved_at.is_(None))
    if await session.scalar(waiting) is not None:
        return False
    session.add(Handoff(connection_id=connection_id, conversation_id=conversation_id, turn_id=turn_id, reason=reason))
    return True


async def resolve_handoff(session: AsyncSession, conversation_id: UUID, reason: str | None = None) -> None:
    """Close the open handoff of a conversation, or only one with this reason."""
    mine = update(Handoff).where(Handoff.conversation_id == conversation_id, Handoff.resolved_at.is_(None))
    await session.execute((mine if reason is None else mine.where(Handoff.reason == reason)).values(resolved_at=now()))
