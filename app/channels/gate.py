"""What is read again before anything is said to a customer: is the connection live, and does its channel take it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Capabilities, Recipient
from app.channels.connections import LIVE
from app.models import Connection, Conversation, Message, now

# In a conversation's address: the newest message that the customer wrote.
MESSAGE_ID = "message_id"
_DAY = timedelta(days=1)
_WINDOW_MARGIN = timedelta(minutes=5)
# What went out, or may have.
_COUNTED = ("sending", "sent", "delivered", "read", "unknown")
_LOCKED = select(Connection).where(Connection.id == bindparam("id")).with_for_update(read=True)


async def lock_connection(session: AsyncSession, connection_id: UUID, epoch: int) -> Connection | None:
    """The connection, locked against a disconnect, or None when it was stopped since `epoch`."""
    connection = await session.scalar(_LOCKED, {"id": connection_id})
    return connection if connection is not None and is_live(connection, epoch) else None


def is_live(connection: Connection, epoch: int) -> bool:
    """Whether a connection was not stopped since `epoch`."""
    return connection.state in LIVE and connection.epoch == epoch


def recipient(conversation: Conversation) -> Recipient:
    """Where a message to a conversation goes, by what its newest message of the customer told."""
    address = dict(conversation.address or {})
    return Recipient(
        conversation_id=conversation.provider_id,
        message_id=address.pop(MESSAGE_ID, None),
        business_connection_id=conversation.business_connection_id,
        address=address,
    )


async def hindrance_to_send(
    session: AsyncSession,
    connection: Connection,
    conversation: Conversation,
    limits: Capabilities,
    parts: int = 1,
    *,
    by_person: bool = False,
) -> str | None:
    """Why so many messages cannot be sent though the turn is to be answered: a reason code, or None.

    What a person wrote has wider windows on some channels, and no brake.
    """
    if connection.state == "needs_reauthorisation":
        return "connection_needs_reauthorisation"
    if not by_person and await _is_loop(session, conversation, limits):
        return "loop"
    is_open = await window_is_open(session, conversation, limits, parts, by_person=by_person)
    return None if is_open else "window_closed"


async def _is_loop(session: AsyncSession, conversation: Conversation, limits: Capabilities) -> bool:
    """Whether two robots may be talking: so many answers within a day, or the same message twice from one customer."""
    if limits.thread_replies_per_day is None or limits.customer_replies_per_day is None:
        return False
    since = now() - _DAY
    theirs = Conversation.contact_id == conversation.contact_id
    sent = (
        select(func.count(), func.count().filter(Message.conversation_id == conversation.id))
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(theirs, Message.author == "agent", Message.status.in_(_COUNTED), Message.created_at >= since)
    )
    by_customer, in_thread = (await session.execute(sent)).one()
    if in_thread >= limits.thread_replies_per_day or by_customer >= limits.customer_replies_per_day:
        return True
    written = (
        select(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(theirs, Message.direction == "in", Message.created_at >= since)
        .order_by(Message.id.desc())
        .limit(2)
    )
    newest = [message.text.strip() for message in await session.scalars(written)]
    return len(newest) > 1 and newest[0] == newest[1] != ""


async def window_is_open(
    session: AsyncSession, conversation: Conversation, limits: Capabilities, parts: int = 1, *, by_person: bool = False
) -> bool:
    """Whether the channel still takes a reply, with a margin for the way there, and so many messages of one."""
    hours = limits.business_window_hours if conversation.business_connection_id else limits.window_hours
    if by_person:
        hours = hours and max(hours, limits.person_window_hours or 0)
    if hours is None:
        return True
    theirs = select(func.max(Message.sent_at)).where(
        Message.conversation_id == conversation.id, Message.direction == "in"
    )
    last = await session.scalar(theirs)
    if last is None or now() >= last + timedelta(hours=hours) - _WINDOW_MARGIN:
        return False
    if limits.messages_per_window is None:
        return True
    ours = select(func.count()).where(
        Message.conversation_id == conversation.id,
        Message.direction == "out",
        Message.status.in_(_COUNTED),
        Message.sent_at >= last,
    )
    used = await session.scalar(ours) or 0
    return used + parts <= limits.messages_per_window - (0 if by_person else limits.kept_for_person)
