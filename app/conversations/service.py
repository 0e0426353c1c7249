"""Rules and queries of conversations."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.models import Conversation, Handoff, Message, Turn, now
from app.web import Page

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
    session: AsyncSession,
    conversation_id: UUID,
    *,
    agent_paused: bool | None,
    handoff_resolved: bool | None,
    modes: Mapping[str, str | None],
) -> Listed:
    """Pause or resume the agent, close the open handoff, and set the conversation's own mode if `modes` has one."""
    await session.get(Conversation, conversation_id, with_for_update=True)
    conversation, handoff = await get_conversation(session, conversation_id)
    if agent_paused is not None:
        conversation.agent_paused_at = (conversation.agent_paused_at or now()) if agent_paused else None
    conversation.mode = modes.get("mode", conversation.mode)
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
