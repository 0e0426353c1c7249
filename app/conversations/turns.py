"""Turns: which messages they answer, when, and what is known of each."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import BindParameter, and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.agents.service import profile_of
from app.channels.connections import LIVE
from app.channels.handoffs import open_handoff
from app.channels.outbox import Turning
from app.channels.registry import provider_for
from app.conversations.memory import Memory, recall
from app.conversations.satisfaction import KIND as SATISFACTION
from app.documents.collections import Vectors, in_force
from app.documents.filters import Filters, knowledge_of
from app.hours import is_open
from app.models import Agent, Connection, Contact, Conversation, Delivery, Handoff, Message, Turn, now
from app.queue import Queue
from app.runtime import Runtime
from graphs.spans import trace_id
from graphs.support.context import AgentProfile
from vectorstore.words import language_of

logger = logging.getLogger(__name__)

_ID: BindParameter[UUID] = bindparam("id")
_LOCKED = (
    select(Conversation, Connection, Agent, Contact)
    .join(Message, Message.conversation_id == Conversation.id)
    .join(Contact, Contact.id == Conversation.contact_id)
    .join(Connection, Connection.id == Message.connection_id)
    .join(Agent, Agent.id == Connection.agent_id)
    .where(Message.id == _ID)
    .with_for_update(of=Conversation)
)
# A customer's message that no turn has answered yet; `Turn` is its turn, by an outer join.
WAITS = and_(Message.status == "received", or_(Message.turn_id.is_(None), Turn.state.in_(("running", "superseded"))))
_OWN = aliased(Message)
_WAITING = (
    select(Message, WAITS)
    .outerjoin(Turn, Message.turn_id == Turn.id)
    .where(
        Message.conversation_id == select(_OWN.conversation_id).where(_OWN.id == _ID).scalar_subquery(),
        or_(WAITS, Message.id == _ID),
    )
    # By the provider's clock, which counts whole seconds; within one, as they came.
    .order_by(Message.sent_at, Message.position)
)
_RUNNING = select(Turn).where(Turn.conversation_id == _ID, Turn.state == "running")


@dataclass(frozen=True, slots=True)
class Due:
    """A turn that is to be answered now, with all that the graph needs once no transaction is open."""

    turning: Turning
    profile: AgentProfile
    knowledge: Filters
    vectors: Vectors
    text: str
    memory: Memory
    contact_id: UUID
    customer_name: str
    channel: str
    is_closed: bool


async def burst_wait(session: AsyncSession, message_id: UUID, burst: timedelta, cap: timedelta) -> timedelta | None:
    """How long a message's job has to wait before it answers, or None when it has nothing to do.

    Nothing to do: the message was answered, or a later one's job will answer both. The job of a message that was
    deleted goes on for those before it, which had left their answer to it.
    """
    message, waiting = await _waiting(session, message_id)
    return None if message is None else _wait(message, waiting, burst, cap)


def _wait(message: Message, waiting: list[Message], burst: timedelta, cap: timedelta) -> timedelta | None:
    waits = message in waiting
    if not waiting or not (waits or message.status == "deleted"):
        return None
    latest = waiting[0].created_at + cap
    place = next((number for number, item in enumerate(waiting) if item is message), len(waiting))
    # A later message that a turn has taken up already had its job, which may be over.
    if waits and latest > now() and any(item.turn_id is None for item in waiting[place + 1 :]):
        return None
    left = min(waiting[-1].created_at + burst, latest) - now()
    # More than the cap is left only where the clocks of two hosts disagree; the customer is not to wait for that.
    return left if timedelta() < left <= cap else timedelta()


async def begin_turn(
    session: AsyncSession, runtime: Runtime, message_id: UUID, burst: timedelta, cap: timedelta
) -> Due | None:
    """Put every waiting message into one turn; None when nobody may answer now, or when `burst_wait` is None.

    A turn that a crash left behind goes on if it covers the same messages, else it is superseded.
    """
    found = (await session.execute(_LOCKED, {"id": message_id})).one_or_none()
    # Read behind the lock, where none of them changes any more.
    message, waiting = await _waiting(session, message_id)
    if found is None or message is None or _wait(message, waiting, burst, cap) is None:
        return None
    conversation, connection, agent, contact = found
    if connection.state not in LIVE:
        return None
    turn = await _turn_for(session, conversation, connection, waiting)
    if _pause_is_over(conversation, agent):
        conversation.agent_paused_at = None
    mode = conversation.mode or agent.mode
    if conversation.agent_paused_at is not None or conversation.blocked_at is not None:
        turn.state, turn.reason, turn.finished_at = "skipped", "person_took_over", now()
        return None
    if mode == "off":
        turn.state, turn.reason, turn.finished_at = "skipped", "agent_off", now()
        await open_handoff(session, runtime.queue, connection.id, conversation.id, turn.id, "agent_off")
        return None
    text = "\n".join(item.text for item in waiting if item.text)
    conversation.language = language_of(text) or conversation.language
    capabilities = provider_for(connection.channel, runtime.settings).capabilities
    return Due(
        turning=Turning(
            conversation.tenant_id,
            connection.id,
            conversation.id,
            turn.id,
            connection.epoch,
            min(item.created_at for item in waiting),
        ),
        profile=_unjudged(profile_of(agent, capabilities.max_length, conversation.language, now()), connection),
        knowledge=knowledge_of(agent),
        vectors=await in_force(session, runtime),
        text=text,
        memory=await recall(session, conversation, min(item.position for item in waiting)),
        contact_id=conversation.contact_id,
        customer_name=contact.name or "",
        channel=connection.channel,
        is_closed=agent.when_closed == "hand_off" and not is_open(agent.hours, now()),
    )


def _pause_is_over(conversation: Conversation, agent: Agent) -> bool:
    """Whether the person who took over has been silent for as long as the agent's settings say."""
    since, minutes = conversation.agent_paused_at, agent.resume_after_minutes
    return since is not None and minutes is not None and now() >= since + timedelta(minutes=minutes)


async def hand_off_delivery(session: AsyncSession, queue: Queue, delivery_id: UUID) -> None:
    """Open a handoff for an answer that failed or is unknown, unless the conversation waits for a person already."""
    delivery = await session.get(Delivery, delivery_id)
    if delivery is None or delivery.state not in ("failed", "unknown"):
        return
    conversation = await session.get(Conversation, delivery.conversation_id, with_for_update=True)
    turn = await session.get(Turn, delivery.turn_id)
    if conversation is None or turn is None:
        return
    if turn.reason == SATISFACTION:
        # Nobody waits for a question of ours; one that was not asked has no answer either.
        if delivery.state == "failed":
            conversation.satisfaction_asked_at = None
        return
    reason = f"send_{delivery.state}"
    turn.state, turn.reason = "handed_off", reason
    await open_handoff(session, queue, delivery.connection_id, delivery.conversation_id, delivery.turn_id, reason)


async def escalate(session: AsyncSession, handoff_id: UUID) -> None:
    """Note that a handoff waits for too long, unless somebody took it up."""
    handoff = await session.get(Handoff, handoff_id, with_for_update=True)
    if handoff is None or handoff.resolved_at is not None or handoff.escalated_at is not None:
        return
    handoff.escalated_at = now()
    logger.warning("a handoff waits for too long", extra={"fields": {"reason": handoff.reason}})


async def _waiting(session: AsyncSession, message_id: UUID) -> tuple[Message | None, list[Message]]:
    """A message, and those of its conversation's customer that no finished turn covers, oldest first."""
    found = (await session.execute(_WAITING, {"id": message_id})).all()
    message = next((message for message, _ in found if message.id == message_id), None)
    return message, [message for message, waits in found if waits]


def _unjudged(profile: AgentProfile, connection: Connection) -> AgentProfile:
    """What is written on TikTok goes to the model that answers it and to no judge (DESIGN, promise 6)."""
    return replace(profile, judge="") if connection.channel == "tiktok" else profile


async def _turn_for(
    session: AsyncSession, conversation: Conversation, connection: Connection, waiting: list[Message]
) -> Turn:
    running = await session.scalar(_RUNNING, {"id": conversation.id})
    if running is not None:
        if all(message.turn_id == running.id for message in waiting):
            return running
        running.state, running.finished_at = "superseded", now()
        await session.flush()
    turn = Turn(
        connection_id=connection.id,
        conversation_id=conversation.id,
        agent_id=connection.agent_id,
        # By which an operator finds its lines in the log, which hold no id of a row.
        trace_id=trace_id(),
    )
    session.add(turn)
    await session.flush()
    for message in waiting:
        message.turn_id = turn.id
    return turn
