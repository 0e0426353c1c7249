"""From a decision to deliveries: one transaction that checks again and queues a turn's only reply."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from langchain.tools import BaseTool, tool
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Capabilities
from app.channels.connections import LIVE
from app.channels.registry import provider_for
from app.channels.split import split_text
from app.crypto import current_keyring
from app.models import Connection, Conversation, Delivery, Handoff, Message, Turn, now
from app.queue import DELIVERIES
from app.runtime import Runtime
from graphs.support.context import ChannelInput

_WINDOW_MARGIN = timedelta(minutes=5)
QUEUED, SUPERSEDED, SKIPPED = "queued", "superseded", "skipped"
_STOPPED = ("skipped", "connection_stopped", SKIPPED)


@dataclass(frozen=True, slots=True)
class Turning:
    """The turn that a reply belongs to, the connection's epoch when its work began, and since when a customer waits."""

    tenant_id: UUID
    connection_id: UUID
    conversation_id: UUID
    turn_id: UUID
    epoch: int
    since: datetime


def channel_tool(runtime: Runtime, turning: Turning) -> BaseTool:
    """The LangChain tool through which the graph reaches the customer: it can do nothing but end this turn."""

    @tool("reply", args_schema=ChannelInput)
    async def reply(text: str, citations: list[dict[str, Any]] | None = None, handoff_reason: str | None = None) -> str:
        """Send the reply to the customer, or hand the conversation over to a person with a fixed message."""
        return await send(runtime, turning, text, handoff_reason, citations or [])

    return reply


async def send(
    runtime: Runtime, turning: Turning, text: str, handoff_reason: str | None, citations: list[dict[str, Any]]
) -> str:
    """Queue a turn's reply or handoff, unless a person, a newer message, a disconnect or a twin came first.

    Returns "queued", "superseded" (a newer message will be answered together with this one) or "skipped".
    """
    async with runtime.vault.session(turning.tenant_id) as session:
        connection = await lock_connection(session, turning.connection_id, turning.epoch)
        conversation, turn = await _lock_turn(session, turning)
        if turn.state != "running":
            return SUPERSEDED if turn.state == "superseded" else SKIPPED
        known = connection or await session.get(Connection, turning.connection_id)
        obstacle = await _obstacle(session, connection, conversation)
        waited: float | None = None
        if connection is None or obstacle is not None:
            answer = _finish(turn, *(obstacle or _STOPPED))
        else:
            limits = provider_for(connection.channel, runtime.settings).capabilities
            parts = split_text(text, limits.max_length, limits.unit)
            hindrance = await hindrance_to_send(session, connection, conversation, limits)
            reason = hindrance or handoff_reason or (None if parts else "internal_error")
            promised = reason is not None and not await _open_handoff(session, turning, reason)
            # A promise that stands is not made again.
            if parts and hindrance is None and not promised:
                await _queue_reply(session, runtime, turning, parts)
                turn.record = {"citations": citations}
                waited = (now() - turning.since).total_seconds()
            answer = _finish(turn, "handed_off" if reason else "replied", reason, QUEUED)
    runtime.metrics.turn(known.channel if known else "other", turn.state, turn.reason, waited)
    return answer


async def _lock_turn(session: AsyncSession, turning: Turning) -> tuple[Conversation, Turn]:
    """A turn and its conversation, which is locked first."""
    query = select(Conversation, Turn).join(Turn, Turn.conversation_id == Conversation.id)
    locked = query.where(Turn.id == turning.turn_id).with_for_update(of=(Conversation, Turn))
    conversation, turn = (await session.execute(locked)).one()
    return conversation, turn


async def _obstacle(
    session: AsyncSession, connection: Connection | None, conversation: Conversation
) -> tuple[str, str | None, str] | None:
    """What ends a turn without a word of ours: its state, reason and the answer to the graph."""
    if connection is None:
        return _STOPPED
    if conversation.agent_paused_at or conversation.blocked_at:
        return "skipped", "person_took_over", SKIPPED
    if await _newer_message(session, conversation.id):
        return "superseded", None, SUPERSEDED
    return None


async def lock_connection(session: AsyncSession, connection_id: UUID, epoch: int) -> Connection | None:
    """The connection, locked against a disconnect, or None when it was stopped since `epoch`."""
    query = select(Connection).where(Connection.id == connection_id).with_for_update(read=True)
    connection = await session.scalar(query)
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


async def _newer_message(session: AsyncSession, conversation_id: UUID) -> bool:
    """Whether a customer's message waits that no turn has taken up."""
    query = select(Message.id).where(
        Message.conversation_id == conversation_id, Message.status == "received", Message.turn_id.is_(None)
    )
    return await session.scalar(query.limit(1)) is not None


async def _open_handoff(session: AsyncSession, turning: Turning, reason: str) -> bool:
    """Open a handoff; False when the conversation waits for a person already."""
    waiting = select(Handoff.id).where(
        Handoff.conversation_id == turning.conversation_id, Handoff.resolved_at.is_(None)
    )
    if await session.scalar(waiting) is not None:
        return False
    session.add(
        Handoff(
            connection_id=turning.connection_id,
            conversation_id=turning.conversation_id,
            turn_id=turning.turn_id,
            reason=reason,
        )
    )
    return True


async def _queue_reply(session: AsyncSession, runtime: Runtime, turning: Turning, parts: list[str]) -> None:
    messages = [_message(turning, number, part) for number, part in enumerate(parts)]
    first, *rest = [_delivery(turning, number, message.id) for number, message in enumerate(messages)]
    # Plain statements: a unit of work would take twice the time.
    await session.execute(insert(Message).values([message.column_values() for message in messages]))
    if rest:
        await session.execute(insert(Delivery).values([delivery.column_values() for delivery in rest]))
    await runtime.queue.defer(
        session,
        "channels:deliver_message",
        DELIVERIES,
        lock=f"delivery:{first.id}",
        ids={"tenant_id": turning.tenant_id, "delivery_id": first.id},
        once=insert(Delivery).values(first.column_values()).returning(Delivery.id),
    )


def _message(turning: Turning, number: int, text: str) -> Message:
    return Message(
        connection_id=turning.connection_id,
        conversation_id=turning.conversation_id,
        turn_id=turning.turn_id,
        direction="out",
        author="agent",
        status="queued",
        text=text,
        # Unique per turn and part: a second run of the same turn cannot add a second reply.
        dedup_hash=current_keyring().lookup("reply", f"{turning.turn_id} {number}", turning.connection_id),
        sent_at=now(),
    )


def _delivery(turning: Turning, number: int, message_id: UUID) -> Delivery:
    return Delivery(
        connection_id=turning.connection_id,
        conversation_id=turning.conversation_id,
        turn_id=turning.turn_id,
        message_id=message_id,
        part=number,
        epoch=turning.epoch,
    )


def _finish(turn: Turn, state: str, reason: str | None, answer: str) -> str:
    turn.state = state
    turn.reason = reason
    turn.finished_at = now()
    return answer
