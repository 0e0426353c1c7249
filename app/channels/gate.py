"""What is read again before anything is said to a customer: is the connection live, and does its channel take it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Capabilities
from app.channels.connections import LIVE
from app.models import Connection, Conversation, Message, now

_WINDOW_MARGIN = timedelta(minutes=5)
_LOCKED = select(Connection).where(Connection.id == bindparam("id")).with_for_update(read=True)


async def lock_connection(session: AsyncSession, connection_id: UUID, epoch: int) -> Connection | None:
    """The connection, locked against a disconnect, or None when it was stopped since `epoch`."""
    connection = await session.scalar(_LOCKED, {"id": connection_id})
    return connection if connection is not None and is_live(connection, epoch) else None


def is_live(connection: Connection, epoch: int) -> bool:
    """Whether a connection was not stopped since `epoch`."""
    return connection.state in LIVE and connection.epoch == epoch


async def hindrance_to_send(
    session: AsyncSession, connection: Connection, conversation: Conversation, limits: Capabilities
) -> str | None:
    """Why nothing can be sent though the turn is to be answered: a reason code for the handoff, or None."""
    if connection.state == "needs_reauthorisation":
        return "connection_needs_reauthorisation"
    return None if await _window_is_open(session, conversation, limits) else "window_closed"


async def _window_is_open(session: AsyncSession, conversation: Conversation, limits: Capabilities) -> bool:
    """Whether the channel still takes a reply, with a margin for the way there."""
    hours = limits.business_window_hours if conversation.business_connection_id else limits.window_hours
    if hours is None:
        return True
    query = select(func.max(Message.sent_at)).where(
        Message.conversation_id == conversation.id, Message.direction == "in"
    )
    last = await session.scalar(query)
    return last is not None and now() < last + timedelta(hours=hours) - _WINDOW_MARGIN
