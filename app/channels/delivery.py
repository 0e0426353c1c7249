"""One provider call for each delivery: marked `sending` before, settled after, never repeated in doubt."""

import asyncio
import logging
from dataclasses import dataclass
from time import perf_counter
from typing import Literal
from uuid import UUID

from opentelemetry.trace import SpanKind
from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.channels.base import Credentials, Outgoing, Provider, SendResult, Template
from app.channels.care import defer_care
from app.channels.connections import get_connection
from app.channels.gate import hindrance_to_send, is_live, recipient, window_is_open
from app.channels.registry import client_for, provider_for
from app.crypto import current_keyring
from app.db import DatabaseUnavailable
from app.egress import carrying, content_of
from app.errors import NotFound
from app.models import Connection, Conversation, Delivery, Message, now
from app.queue import ANSWERS, DELIVERIES
from app.runtime import Runtime
from graphs.spans import describe, span, trace_id

logger = logging.getLogger(__name__)

MAX_SENDS = 8
INTERRUPTED = "interrupted"
PERSON = "person"
# A person has said how a delivery ended.
SETTLED = "settled_by_person"
_TURN_WAIT_SECONDS = 1.0
_FIRST_WAIT_SECONDS = 2.0
_LONGEST_WAIT_SECONDS = 300.0
_REFRESH_WAIT_SECONDS = 5.0
_NOTE_PAUSES = (0.2, 1.0, 4.0)
_IS_ITS_MESSAGE = Message.id == Delivery.message_id
_IT = Delivery.id == bindparam("id")
_CONNECTION_OF = (
    select(Connection).join(Delivery, Delivery.connection_id == Connection.id).where(_IT).with_for_update(of=Connection)
)
_NEXT, _ASKED = aliased(Delivery), aliased(Message)
# With it the part that follows, and when the first of the messages that it answers was stored.
_TO_SETTLE = (
    select(
        Connection,
        Delivery,
        Message,
        select(_NEXT.id).where(_NEXT.turn_id == Delivery.turn_id, _NEXT.part == Delivery.part + 1).scalar_subquery(),
        select(func.min(_ASKED.created_at))
        .where(_ASKED.turn_id == Delivery.turn_id, _ASKED.direction == "in")
        .scalar_subquery(),
    )
    .select_from(Delivery)
    .join(Connection, Delivery.connection_id == Connection.id)
    .join(Message, _IS_ITS_MESSAGE)
    .where(_IT)
    .with_for_update(of=Delivery)
)
_CUT = (
    select(Delivery.id)
    .join(Message, Message.turn_id == Delivery.turn_id)
    .where(Message.id == bindparam("id"), Delivery.state == "sending")
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that is marked `sending`, and what its provider call needs once no transaction is open."""

    tenant_id: UUID
    delivery_id: UUID
    provider: Provider
    connection: Connection
    credentials: Credentials
    message: Outgoing


def pack(
    runtime: Runtime,
    connection: Connection,
    conversation: Conversation,
    delivery_id: UUID,
    message: Message,
    *,
    outside_window: bool = False,
) -> Parcel:
    """What is sent, read while the transaction that marks it `sending` is open."""
    to, mark = recipient(conversation), str(delivery_id)
    template = connection.template if message.kind == "template" else None
    outgoing = (
        Outgoing(
            to=to,
            text=message.text,
            delivery_id=mark,
            by_person=message.author == PERSON,
            outside_window=outside_window,
        )
        if template is None
        else Outgoing(to=to, delivery_id=mark, template=Template(name=template["name"], language=template["language"]))
    )
    return Parcel(
        conversation.tenant_id,
        delivery_id,
        provider_for(connection.channel, runtime.settings),
        connection,
        Credentials(connection.credentials),
        outgoing,
    )


async def take(session: AsyncSession, runtime: Runtime, delivery_id: UUID) -> Parcel | None:
    """Mark a delivery `sending`, after checking again that it may go; None when it may not."""
    locked, connection = await _lock_connection_of(session, delivery_id)
    if not locked:
        return None
    found = await _lock_delivery(session, delivery_id)
    if found is None:
        return None
    conversation, delivery, message = found
    if connection is None or not await _may_go(session, runtime, connection, conversation, delivery, message):
        if connection is None and delivery.state == "sending":
            await close(session, runtime, delivery, "unknown", INTERRUPTED)
        elif connection is None and delivery.state == "queued":
            await _cancel_rest(session, delivery)
        return None
    delivery.attempts += 1
    delivery.trace_id = trace_id()
    await mark(session, delivery, "sending")
    limits = provider_for(connection.channel, runtime.settings).capabilities
    outside = message.author == PERSON and not await window_is_open(session, conversation, limits)
    return pack(runtime, connection, conversation, delivery.id, message, outside_window=outside)


async def deliver(runtime: Runtime, parcel: Parcel) -> None:
    """Make the provider call, and record what the provider said."""
    await note(runtime, parcel, await call(runtime, parcel))


async def note(runtime: Runtime, parcel: Parcel, result: SendResult) -> None:
    """`settle` in its own transaction, again if the database is away: what is forgotten here is in doubt for good."""
    for pause in (*_NOTE_PAUSES, None):
        try:
            async with runtime.vault.session(parcel.tenant_id) as session:
                return await settle(session, runtime, parcel, result)
        except DatabaseUnavailable:
            if pause is None:
                raise
            await asyncio.sleep(pause)


async def take_up(session: AsyncSession, runtime: Runtime, message_id: UUID) -> None:
    """Give the deliveries of a message's turn that are `sending` a job, which settles them: their process is gone."""
    for delivery_id in await session.scalars(_CUT, {"id": message_id}):
        await defer(session, runtime, delivery_id)


async def call(runtime: Runtime, parcel: Parcel) -> SendResult:
    """Make the provider call; what it said has to be settled."""
    channel, started = parcel.connection.channel, perf_counter()
    with carrying(content_of(channel)), span("send", SpanKind.CLIENT, channel=channel) as current:
        result = await parcel.provider.send(
            client_for(parcel.connection, runtime),
            parcel.credentials,
            parcel.message,
        )
        describe(current, outcome=result.outcome)
    runtime.metrics.send(channel, result.outcome, perf_counter() - started)
    fields = {"channel": channel, "outcome": result.outcome}
    logger.info("delivery on %s: %s", channel, result.outcome, extra={"fields": fields})
    return result


async def _lock_connection_of(session: AsyncSession, delivery_id: UUID) -> tuple[bool, Connection | None]:
    """Whether there is the delivery; and its connection, locked against a disconnect, if that has not been stopped."""
    query = select(Connection, Delivery.epoch).join(Delivery, Delivery.connection_id == Connection.id)
    locked = query.where(Delivery.id == delivery_id).with_for_update(read=True, of=Connection)
    found = (await session.execute(locked)).one_or_none()
    if found is None:
        return False, None
    connection, epoch = found
    return True, connection if is_live(connection, epoch) else None


async def _lock_delivery(session: AsyncSession, delivery_id: UUID) -> tuple[Conversation, Delivery, Message] | None:
    """A delivery with its message and its conversation, which is locked first; None when it was erased meanwhile."""
    query = select(Conversation, Delivery, Message).join_from(Delivery, Conversation).join(Message, _IS_ITS_MESSAGE)
    locked = query.where(Delivery.id == delivery_id).with_for_update(of=(Conversation, Delivery))
    found = (await session.execute(locked)).one_or_none()
    return None if found is None else (found[0], found[1], found[2])


async def _may_go(
    session: AsyncSession,
    runtime: Runtime,
    connection: Connection,
    conversation: Conversation,
    delivery: Delivery,
    message: Message,
) -> bool:
    """Whether a delivery may be sent now; if not, what follows from that is done."""
    limits, by_person = provider_for(connection.channel, runtime.settings).capabilities, message.author == PERSON
    if delivery.state == "sending":
        # The process that took it died before it could write down the answer: it may have been sent.
        await close(session, runtime, delivery, "unknown", INTERRUPTED)
    elif delivery.state != "queued":
        return False
    elif conversation.blocked_at or (conversation.agent_paused_at and not by_person):
        await _cancel_rest(session, delivery)
    elif await _has_predecessor(session, delivery):
        await defer(session, runtime, delivery.id, _TURN_WAIT_SECONDS)
    elif (
        hindrance := await hindrance_to_send(session, connection, conversation, limits, by_person=by_person)
    ) and not (hindrance == "window_closed" and message.kind == "template" and connection.template):
        await close(session, runtime, delivery, "failed", hindrance)
    else:
        return True
    return False


async def _has_predecessor(session: AsyncSession, delivery: Delivery) -> bool:
    """Whether an older turn, or an earlier part, is not delivered yet: what was said first arrives first."""
    older_turn = and_(Delivery.turn_id != delivery.turn_id, Delivery.id < delivery.id)
    earlier_part = and_(Delivery.turn_id == delivery.turn_id, Delivery.part < delivery.part)
    older = select(Delivery.id).where(
        Delivery.conversation_id == delivery.conversation_id,
        or_(older_turn, earlier_part),
        Delivery.state.in_(("queued", "sending")),
    )
    return await session.scalar(older.limit(1)) is not None


async def settle(session: AsyncSession, runtime: Runtime, parcel: Parcel, result: SendResult) -> None:
    """Note what the provider said of a delivery, and do what follows from that; done twice it is done once."""
    if result.outcome == "reconnect":
        # The connection is locked first, as everywhere.
        await session.execute(_CONNECTION_OF, {"id": parcel.delivery_id})
    found = (await session.execute(_TO_SETTLE, {"id": parcel.delivery_id})).one_or_none()
    if found is None:
        # Erased while the provider was called.
        return
    connection, delivery, _, next_part, stored = found
    # The provider's word comes late where its caller was only slow, and not dead; it counts more than a person's.
    late = delivery.error_code in (INTERRUPTED, SETTLED) and is_in_doubt(delivery)
    if delivery.state != "sending" and not (late and result.outcome == "ok"):
        return
    if delivery.error_code != SETTLED:
        delivery.error_code = result.code
    # A refused token that was replaced meanwhile says nothing of the new one.
    renewed = result.outcome == "reconnect" and connection.credentials not in (None, dict(parcel.credentials))
    if result.outcome == "ok":
        await confirm(session, delivery, result.message_id)
        if next_part is not None:
            await defer(session, runtime, next_part)
        if delivery.part == 0 and stored is not None:
            runtime.metrics.confirmed(connection.channel, (now() - stored).total_seconds())
    elif (result.outcome == "retry" or renewed) and delivery.attempts < MAX_SENDS:
        await _try_later(session, runtime, delivery, result.retry_after)
    elif result.outcome == "reconnect" and delivery.attempts == 1 and parcel.credentials.get("refresh_token"):
        # A token may end before its time; a fresh one decides whether the owner is needed.
        await defer_care(session, runtime, delivery.tenant_id, connection.id, refresh=True)
        await _try_later(session, runtime, delivery, _REFRESH_WAIT_SECONDS)
    elif result.outcome == "unknown":
        await close(session, runtime, delivery, "unknown", result.code)
    else:
        if result.outcome == "reconnect" and connection.state == "active":
            connection.state = "needs_reauthorisation"
        await close(session, runtime, delivery, "failed", result.code)


def is_in_doubt(delivery: Delivery) -> bool:
    """Whether the provider may still tell how a delivery ended, though nobody waits for its answer any more."""
    by_person = delivery.error_code == SETTLED and delivery.provider_message_hash is None
    return delivery.state == "unknown" or by_person


async def confirm(session: AsyncSession, delivery: Delivery, provider_id: str | None) -> None:
    """Note that a delivery was sent, under the provider's id for it; one that is known to be sent gets that id."""
    known = delivery.state == "sent"
    message = await _message_of(session, delivery)
    if not known:
        delivery.state = message.status = "sent"
        delivery.sent_at = message.sent_at = now()
    if provider_id is not None:
        hashed = current_keyring().lookup("message", provider_id, delivery.connection_id)
        delivery.provider_message_id = provider_id
        delivery.provider_message_hash = message.provider_message_hash = hashed


async def _try_later(session: AsyncSession, runtime: Runtime, delivery: Delivery, retry_after: float | None) -> None:
    await mark(session, delivery, "queued")
    backoff = min(_FIRST_WAIT_SECONDS * 2 ** (delivery.attempts - 1), _LONGEST_WAIT_SECONDS)
    await defer(session, runtime, delivery.id, backoff if retry_after is None else retry_after)


async def close(
    session: AsyncSession, runtime: Runtime, delivery: Delivery, state: Literal["failed", "unknown"], code: str | None
) -> None:
    """End a delivery badly: the parts behind it are not sent, and a person is asked to look."""
    await mark(session, delivery, state)
    delivery.error_code = code
    if code == INTERRUPTED:
        runtime.metrics.send((await get_connection(session, delivery.connection_id)).channel, "interrupted")
    await _cancel_rest(session, delivery, after=delivery.part)
    await runtime.queue.defer(
        session,
        "conversations:hand_off_delivery",
        ANSWERS,
        ids={"tenant_id": delivery.tenant_id, "delivery_id": delivery.id},
    )


async def _cancel_rest(session: AsyncSession, delivery: Delivery, after: int = -1) -> None:
    rest = select(Delivery.message_id).where(
        Delivery.turn_id == delivery.turn_id, Delivery.part > after, Delivery.state == "queued"
    )
    messages = list(await session.scalars(rest))
    await session.execute(update(Message).where(Message.id.in_(messages)).values(status="cancelled"))
    await session.execute(update(Delivery).where(Delivery.message_id.in_(messages)).values(state="cancelled"))


async def mark(session: AsyncSession, delivery: Delivery, state: str) -> None:
    """Give a delivery and its message the same state."""
    message = await _message_of(session, delivery)
    delivery.state = message.status = state


async def _message_of(session: AsyncSession, delivery: Delivery) -> Message:
    message = await session.get(Message, delivery.message_id)
    if message is None:
        raise NotFound("The message of a delivery is gone.")
    return message


async def defer(session: AsyncSession, runtime: Runtime, delivery_id: UUID, delay_seconds: float = 0) -> None:
    """Add the job of a delivery that is not sent by its turn."""
    await runtime.queue.defer(
        session,
        "channels:deliver_message",
        DELIVERIES,
        lock=f"delivery:{delivery_id}",
        delay_seconds=delay_seconds,
        ids={"tenant_id": current_keyring().tenant_id, "delivery_id": delivery_id},
    )
