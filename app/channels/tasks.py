"""Deliveries: one provider call each, marked `sending` before and settled after, never repeated in doubt."""

import logging
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Literal
from uuid import UUID

import procrastinate
from opentelemetry.trace import SpanKind
from procrastinate import JobContext
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import ConnectRefused, Credentials, Provider, ProviderUnavailable, SendResult
from app.channels.connections import get_connection, live_connection, subscribe, webhook_url
from app.channels.outbox import hindrance_to_send, is_live
from app.channels.registry import client_for, provider_for
from app.crypto import current_keyring
from app.errors import NotFound
from app.models import Connection, Conversation, Delivery, Message, now
from app.queue import ANSWERS, DELIVERIES, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job
from graphs.spans import describe, span

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()

MAX_SENDS = 8
INTERRUPTED = "interrupted"
_TURN_WAIT_SECONDS = 1.0
_FIRST_WAIT_SECONDS = 2.0
_LONGEST_WAIT_SECONDS = 300.0
_IS_ITS_MESSAGE = Message.id == Delivery.message_id


@dataclass(frozen=True, slots=True)
class _Parcel:
    """What a send needs once no transaction is open."""

    provider: Provider
    connection: Connection
    credentials: Credentials
    conversation_id: str
    business_connection_id: str | None
    text: str


@job(blueprint, "channels:deliver_message", DELIVERIES)
async def deliver_message(context: JobContext, tenant_id: UUID, delivery_id: UUID) -> None:
    """Send one part of a reply and record what the provider said."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        parcel = await _take(session, runtime, delivery_id)
    if parcel is None:
        return
    result = await _send(runtime, parcel, delivery_id)
    async with runtime.vault.session(tenant_id) as session:
        await _settle(session, runtime, delivery_id, result, parcel.credentials)


async def _send(runtime: Runtime, parcel: _Parcel, delivery_id: UUID) -> SendResult:
    channel, started = parcel.connection.channel, perf_counter()
    with span("send", SpanKind.CLIENT, channel=channel, delivery_id=str(delivery_id)) as current:
        result = await parcel.provider.send(
            client_for(parcel.connection, runtime),
            parcel.credentials,
            parcel.conversation_id,
            parcel.text,
            business_connection_id=parcel.business_connection_id,
            delivery_id=str(delivery_id),
        )
        describe(current, outcome=result.outcome)
    runtime.metrics.send(channel, result.outcome, perf_counter() - started)
    fields = {"channel": channel, "outcome": result.outcome, "delivery_id": str(delivery_id)}
    logger.info("delivery %s on %s: %s", delivery_id, channel, result.outcome, extra={"fields": fields})
    return result


@job(blueprint, "channels:release", DELIVERIES)
async def release(context: JobContext, tenant_id: UUID, connection_id: UUID) -> None:
    """Take a disconnected connection's webhook back at the provider, then forget its credentials."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        connection = await get_connection(session, connection_id)
        if connection.credentials_sealed is None or connection.state != "disconnected":
            return
        credentials = Credentials(connection.credentials)
    url = webhook_url(runtime, connection.channel, connection.id)
    provider = provider_for(connection.channel, runtime.settings)
    try:
        await provider.disconnect(client_for(connection, runtime), credentials, url)
        await _give_back(runtime, tenant_id, connection)
    except (ConnectRefused, ProviderUnavailable):
        if context.job.attempts < MAX_ATTEMPTS - 1:
            raise
    async with runtime.vault.session(tenant_id) as session:
        (await get_connection(session, connection.id, lock=True)).credentials_sealed = None


async def _give_back(runtime: Runtime, tenant_id: UUID, connection: Connection) -> None:
    """Set the webhook of an account that was connected again meanwhile: it may have just been taken."""
    async with runtime.vault.session(tenant_id) as session:
        successor = await live_connection(session, connection.channel, connection.account_id)
        credentials = None if successor is None else Credentials(successor.credentials)
    if successor is not None and credentials is not None:
        await subscribe(runtime, successor.channel, successor.id, credentials)


async def _take(session: AsyncSession, runtime: Runtime, delivery_id: UUID) -> _Parcel | None:
    """Mark a delivery `sending`, after checking again that it may go; None when it may not."""
    locked, connection = await _lock_connection_of(session, delivery_id)
    if not locked:
        return None
    conversation, delivery, message = await _lock_delivery(session, delivery_id)
    if connection is None or not await _may_go(session, runtime, connection, conversation, delivery):
        if connection is None and delivery.state == "sending":
            await _close(session, runtime, delivery, "unknown", INTERRUPTED)
        elif connection is None and delivery.state == "queued":
            await _cancel_rest(session, delivery)
        return None
    delivery.attempts += 1
    await _mark(session, delivery, "sending")
    return _Parcel(
        provider_for(connection.channel, runtime.settings),
        connection,
        Credentials(connection.credentials),
        conversation.provider_id,
        conversation.business_connection_id,
        message.text,
    )


async def _lock_connection_of(session: AsyncSession, delivery_id: UUID) -> tuple[bool, Connection | None]:
    """Whether there is the delivery; and its connection, locked against a disconnect, if that has not been stopped."""
    query = select(Connection, Delivery.epoch).join(Delivery, Delivery.connection_id == Connection.id)
    locked = query.where(Delivery.id == delivery_id).with_for_update(read=True, of=Connection)
    found = (await session.execute(locked)).one_or_none()
    if found is None:
        return False, None
    connection, epoch = found
    return True, connection if is_live(connection, epoch) else None


async def _lock_delivery(session: AsyncSession, delivery_id: UUID) -> tuple[Conversation, Delivery, Message]:
    """A delivery with its message and its conversation, which is locked first."""
    query = select(Conversation, Delivery, Message).join_from(Delivery, Conversation).join(Message, _IS_ITS_MESSAGE)
    locked = query.where(Delivery.id == delivery_id).with_for_update(of=(Conversation, Delivery))
    conversation, delivery, message = (await session.execute(locked)).one()
    return conversation, delivery, message


async def _may_go(
    session: AsyncSession, runtime: Runtime, connection: Connection, conversation: Conversation, delivery: Delivery
) -> bool:
    """Whether a delivery may be sent now; if not, what follows from that is done."""
    limits = provider_for(connection.channel, runtime.settings).capabilities
    if delivery.state == "sending":
        # The process that took it died before it could write down the answer: it may have been sent.
        await _close(session, runtime, delivery, "unknown", INTERRUPTED)
    elif delivery.state != "queued":
        return False
    elif conversation.agent_paused_at or conversation.blocked_at:
        await _cancel_rest(session, delivery)
    elif await _has_predecessor(session, delivery):
        await _defer(session, runtime, delivery.id, _TURN_WAIT_SECONDS)
    elif hindrance := await hindrance_to_send(session, connection, conversation, limits):
        await _close(session, runtime, delivery, "failed", hindrance)
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


async def _settle(
    session: AsyncSession, runtime: Runtime, delivery_id: UUID, result: SendResult, used: Credentials
) -> None:
    # The connection is locked first, as everywhere.
    of_delivery = select(Connection).join(Delivery, Delivery.connection_id == Connection.id)
    if result.outcome == "reconnect":
        await session.execute(of_delivery.where(Delivery.id == delivery_id).with_for_update(of=Connection))
    query = of_delivery.add_columns(Delivery, Message).join(Message, _IS_ITS_MESSAGE)
    locked = query.where(Delivery.id == delivery_id).with_for_update(of=Delivery)
    connection, delivery, _ = (await session.execute(locked)).one()
    interrupted = delivery.state == "unknown" and delivery.error_code == INTERRUPTED
    if delivery.state != "sending" and not (interrupted and result.outcome == "ok"):
        return
    delivery.error_code = result.code
    # A refused token that was replaced meanwhile says nothing of the new one.
    renewed = result.outcome == "reconnect" and connection.credentials not in (None, dict(used))
    if result.outcome == "ok":
        stored = await _sent(session, runtime, delivery, result.message_id)
        if delivery.part == 0:
            runtime.metrics.confirmed(connection.channel, 0.0 if stored is None else (now() - stored).total_seconds())
    elif (result.outcome == "retry" or renewed) and delivery.attempts < MAX_SENDS:
        await _try_later(session, runtime, delivery, result.retry_after)
    elif result.outcome == "unknown":
        await _close(session, runtime, delivery, "unknown", result.code)
    else:
        if result.outcome == "reconnect" and connection.state == "active":
            connection.state = "needs_reauthorisation"
        await _close(session, runtime, delivery, "failed", result.code)


async def _sent(
    session: AsyncSession, runtime: Runtime, delivery: Delivery, provider_id: str | None
) -> datetime | None:
    """Note the provider's word and go on with the next part; when the customer's first message was stored."""
    message = await _mark(session, delivery, "sent")
    delivery.sent_at = message.sent_at = now()
    if provider_id is not None:
        hashed = current_keyring().lookup("message", provider_id, delivery.connection_id)
        delivery.provider_message_id = provider_id
        delivery.provider_message_hash = message.provider_message_hash = hashed
    following = select(Delivery.id).where(Delivery.turn_id == delivery.turn_id, Delivery.part == delivery.part + 1)
    first = select(func.min(Message.created_at)).where(Message.turn_id == delivery.turn_id, Message.direction == "in")
    row = await session.execute(select(following.scalar_subquery(), first.scalar_subquery()))
    next_part, stored = row.one()
    if next_part is not None:
        await _defer(session, runtime, next_part)
    return stored


async def _try_later(session: AsyncSession, runtime: Runtime, delivery: Delivery, retry_after: float | None) -> None:
    await _mark(session, delivery, "queued")
    backoff = min(_FIRST_WAIT_SECONDS * 2 ** (delivery.attempts - 1), _LONGEST_WAIT_SECONDS)
    await _defer(session, runtime, delivery.id, backoff if retry_after is None else retry_after)


async def _close(
    session: AsyncSession, runtime: Runtime, delivery: Delivery, state: Literal["failed", "unknown"], code: str | None
) -> None:
    """End a delivery badly: the parts behind it are not sent, and a person is asked to look."""
    await _mark(session, delivery, state)
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


async def _mark(session: AsyncSession, delivery: Delivery, state: str) -> Message:
    delivery.state = state
    message = await session.get(Message, delivery.message_id)
    if message is None:
        raise NotFound("The message of a delivery is gone.")
    message.status = state
    return message


async def _defer(session: AsyncSession, runtime: Runtime, delivery_id: UUID, delay_seconds: float = 0) -> None:
    await runtime.queue.defer(
        session,
        "channels:deliver_message",
        DELIVERIES,
        lock=f"delivery:{delivery_id}",
        delay_seconds=delay_seconds,
        ids={"tenant_id": current_keyring().tenant_id, "delivery_id": delivery_id},
    )
