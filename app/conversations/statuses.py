"""What a provider says later of a message of ours: that it was sent, delivered, read, or failed after all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import InboundEvent
from app.channels.delivery import SETTLED, close, confirm, is_in_doubt
from app.conversations.lookups import find_conversation, message_hashes
from app.models import Connection, Conversation, Delivery, Message, now
from app.runtime import Runtime

STATUSES = frozenset({"sent", "delivery", "read", "failed", "bounce"})
_LATEST_ECHO = timedelta(days=1)
# A status never goes back: providers tell them in any order.
_BEFORE = {"delivered": ("sent",), "read": ("sent", "delivered")}


async def note_status(
    session: AsyncSession, runtime: Runtime, connection: Connection, event: InboundEvent
) -> UUID | None:
    """Apply a status to the messages that it is of; one of messages that are not ours changes nothing.

    Returns the id of the conversation that it was about.
    """
    conversation = await find_conversation(session, connection.id, event)
    targets = event.target_ids or tuple(each for each in (event.target_id, event.failed_message_id) if each)
    if event.kind in ("delivery", "read"):
        await _mark_seen(session, connection, conversation, event, targets)
    for delivery in await _deliveries(session, connection.id, targets, event.delivery_id):
        if event.kind == "sent" and is_in_doubt(delivery):
            await confirm(session, delivery, event.target_id)
        elif event.kind in ("failed", "bounce") and _is_final(event) and delivery.state in _ACCEPTED:
            # Accepted is not delivered: this is its end.
            await close(session, runtime, delivery, "failed", _code(event))
    return None if conversation is None else conversation.id


async def settle_echo(
    session: AsyncSession, connection_id: UUID, conversation: Conversation, event: InboundEvent
) -> bool:
    """Whether an echo is of a delivery of ours; one whose end was unknown is known to have arrived then.

    One that names neither the delivery nor a message that we know, as when the answer to the send was lost or is still
    on its way, is known by its text; unless the channel says that a person wrote it.
    """
    mine = await _deliveries(session, connection_id, [event.message_id or ""], event.delivery_id)
    if not mine and event.echo_origin in ("api", "unknown", None):
        mine = await _under_way(session, conversation, event.text or "")
    for delivery in mine:
        if is_in_doubt(delivery):
            await confirm(session, delivery, event.message_id)
    return bool(mine)


_ACCEPTED = ("sent", "unknown")


async def _mark_seen(
    session: AsyncSession,
    connection: Connection,
    conversation: Conversation | None,
    event: InboundEvent,
    targets: Sequence[str],
) -> None:
    """Mark single messages, or all of a conversation up to a time."""
    status = "read" if event.kind == "read" else "delivered"
    mine = update(Message).where(Message.connection_id == connection.id, Message.direction == "out")
    moved = mine.where(Message.status.in_(_BEFORE[status])).values(status=status)
    if targets:
        await session.execute(moved.where(Message.provider_message_hash.in_(message_hashes(connection.id, targets))))
    if event.watermark_ms is not None and conversation is not None:
        until = datetime.fromtimestamp(event.watermark_ms / 1000, UTC)
        here = moved.where(Message.conversation_id == conversation.id, Message.sent_at <= until)
        await session.execute(here)


async def _deliveries(
    session: AsyncSession, connection_id: UUID, provider_ids: Sequence[str], mark: str | None
) -> list[Delivery]:
    """Ours by the provider's ids, or by our own id where it came back; locked."""
    hashes = message_hashes(connection_id, [one for one in provider_ids if one])
    known = or_(Delivery.provider_message_hash.in_(hashes), Delivery.id == _as_id(mark))
    query = select(Delivery).where(Delivery.connection_id == connection_id, known).order_by(Delivery.id)
    return list(await session.scalars(query.with_for_update()))


async def _under_way(session: AsyncSession, conversation: Conversation, text: str) -> list[Delivery]:
    # What a person settled long ago is not waited for any more: else a word of theirs would be taken for it.
    settled = and_(Delivery.error_code == SETTLED, Delivery.provider_message_hash.is_(None))
    late = and_(settled, Delivery.created_at >= now() - _LATEST_ECHO)
    query = (
        select(Delivery, Message)
        .join(Message, Message.id == Delivery.message_id)
        .where(Delivery.conversation_id == conversation.id, or_(Delivery.state.in_(("sending", "unknown")), late))
    )
    found = (await session.execute(query.with_for_update(of=Delivery))).all()
    return [delivery for delivery, message in found if message.text.strip() == text.strip()]


def _as_id(mark: str | None) -> UUID | None:
    try:
        return UUID(mark or "")
    except ValueError:
        return None


def _is_final(event: InboundEvent) -> bool:
    """Whether a failure is the end: a mail that is delayed may still arrive, one that was given up does not."""
    return event.permanent is not False or event.reason == "failed"


def _code(event: InboundEvent) -> str | None:
    return None if event.error_code is None else str(event.error_code)
