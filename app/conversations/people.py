"""People in conversations: what they write themselves, and what they say to a draft (DESIGN, promise 2)."""

from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.connections import LIVE
from app.channels.gate import hindrance_to_send
from app.channels.handoffs import DRAFT, resolve_handoff
from app.channels.outbox import Turning, queue_drafts, queue_reply
from app.channels.registry import provider_for
from app.channels.split import split_text
from app.errors import Conflict, NotFound
from app.models import Connection, Conversation, Delivery, Handoff, Message, Turn, now
from app.runtime import Runtime
from graphs.spans import trace_id

_WORDS = {
    "connection_needs_reauthorisation": "The channel refuses our access; connect it again first.",
    "window_closed": "The channel takes no message now: the customer has to write again first.",
}


class NothingDrafted(Conflict):
    """There is no draft to decide on: it was sent, rejected, or a newer message of the customer made it void."""

    code = "no_draft"


async def write(session: AsyncSession, runtime: Runtime, conversation_id: UUID, text: str) -> list[Message]:
    """Send what a person wrote, and pause the agent: nothing of it that is not on its way yet is sent.

    Raises NotFound, and Conflict where the channel takes nothing now. The messages are sent by a job.
    """
    connection, conversation = await _locked(session, conversation_id)
    parts = await _parts(session, runtime, connection, conversation, text, by_person=True)
    conversation.agent_paused_at, conversation.waiting_since = now(), None
    conversation.last_message_at = now()
    await stop_agent(session, conversation)
    await resolve_handoff(session, conversation.id)
    turn = Turn(
        connection_id=connection.id,
        conversation_id=conversation.id,
        state="written",
        finished_at=now(),
        trace_id=trace_id(),
    )
    session.add(turn)
    await session.flush()
    await queue_reply(session, runtime, _turning(connection, turn), parts, author="person", waits=True)
    return await _of_turn(session, turn.id)


async def approve(
    session: AsyncSession, runtime: Runtime, conversation_id: UUID, text: str | None = None
) -> list[Message]:
    """Send a draft as it is, or with a person's words in its place; raises NothingDrafted, NotFound, Conflict."""
    connection, conversation = await _locked(session, conversation_id)
    turn = await _drafted(session, conversation)
    drafts = await _of_turn(session, turn.id)
    drafts = [message for message in drafts if message.status == "draft"]
    words = "\n".join(message.text for message in drafts) if text is None else text
    # Only what a person wrote may use a person's window.
    parts = await _parts(session, runtime, connection, conversation, words, by_person=text is not None)
    turning = _turning(connection, turn)
    if text is None:
        await queue_drafts(session, runtime, turning, drafts)
    else:
        await session.execute(delete(Message).where(Message.turn_id == turn.id, Message.status == "draft"))
        await queue_reply(session, runtime, turning, parts, author="person", waits=True)
    turn.state, turn.finished_at = "replied", now()
    conversation.waiting_since, conversation.last_message_at = None, now()
    await resolve_handoff(session, conversation.id, DRAFT)
    return await _of_turn(session, turn.id)


async def reject(session: AsyncSession, conversation_id: UUID) -> None:
    """Drop a draft; the customer still waits for a person. Raises NothingDrafted, NotFound."""
    _, conversation = await _locked(session, conversation_id)
    turn = await _drafted(session, conversation)
    await drop_drafts(session, turn, "rejected")
    turn.reason = "draft_rejected"
    mine = update(Handoff).where(Handoff.conversation_id == conversation.id, Handoff.resolved_at.is_(None))
    await session.execute(mine.where(Handoff.reason == DRAFT).values(reason="draft_rejected"))


async def supersede_draft(session: AsyncSession, conversation: Conversation) -> None:
    """A customer wrote more: the draft is void, and its question is answered together with the new one."""
    turn = await session.scalar(_draft_of(conversation.id))
    if turn is not None:
        await drop_drafts(session, turn, "superseded")
        await resolve_handoff(session, conversation.id, DRAFT)


async def drop_drafts(session: AsyncSession, turn: Turn, state: str) -> None:
    """End a drafted turn; its messages are never sent."""
    drafts = update(Message).where(Message.turn_id == turn.id, Message.status == "draft")
    await session.execute(drafts.values(status="cancelled"))
    turn.state, turn.finished_at = state, now()


async def _locked(session: AsyncSession, conversation_id: UUID) -> tuple[Connection, Conversation]:
    """A conversation and its live connection, locked in the order in which all lock them."""
    known = await session.get(Conversation, conversation_id)
    if known is None:
        raise NotFound("There is no such conversation.")
    connection = await session.get(Connection, known.connection_id, with_for_update={"read": True})
    if connection is None or connection.state not in LIVE:
        raise Conflict("The connection of this conversation was stopped.", code="connection_stopped")
    conversation = await session.get_one(Conversation, conversation_id, with_for_update=True, populate_existing=True)
    return connection, conversation


async def _parts(
    session: AsyncSession,
    runtime: Runtime,
    connection: Connection,
    conversation: Conversation,
    text: str,
    *,
    by_person: bool,
) -> list[str]:
    """A text in messages that the channel takes now; raises Conflict where it takes none."""
    if conversation.blocked_at is not None:
        raise Conflict("The customer has blocked this account.", code="customer_blocked")
    limits = provider_for(connection.channel, runtime.settings).capabilities
    parts = split_text(text, limits.max_length, limits.unit)
    hindrance = await hindrance_to_send(session, connection, conversation, limits, len(parts), by_person=by_person)
    if hindrance is not None:
        raise Conflict(_WORDS.get(hindrance, "The channel takes no message now."), code=hindrance)
    return parts


async def stop_agent(session: AsyncSession, conversation: Conversation) -> None:
    """What the agent has begun ends here; what is on its way to the provider cannot be called back."""
    open_turns = select(Turn).where(Turn.conversation_id == conversation.id, Turn.state.in_(("running", "drafted")))
    for turn in list(await session.scalars(open_turns.with_for_update())):
        await drop_drafts(session, turn, "skipped")
        turn.reason = "person_took_over"
    queued = select(Delivery).where(Delivery.conversation_id == conversation.id, Delivery.state == "queued")
    mine = queued.join(Message, Message.id == Delivery.message_id).where(Message.author == "agent")
    for delivery in list(await session.scalars(mine.with_for_update(of=Delivery))):
        delivery.state = "cancelled"
        await session.execute(update(Message).where(Message.id == delivery.message_id).values(status="cancelled"))


async def _drafted(session: AsyncSession, conversation: Conversation) -> Turn:
    turn = await session.scalar(_draft_of(conversation.id))
    if turn is None:
        raise NothingDrafted
    return turn


def _draft_of(conversation_id: UUID) -> Select[Turn]:
    return select(Turn).where(Turn.conversation_id == conversation_id, Turn.state == "drafted").with_for_update()


async def _of_turn(session: AsyncSession, turn_id: UUID) -> list[Message]:
    mine = select(Message).where(Message.turn_id == turn_id, Message.direction == "out").order_by(Message.position)
    return list(await session.scalars(mine.execution_options(populate_existing=True)))


def _turning(connection: Connection, turn: Turn) -> Turning:
    return Turning(turn.tenant_id, connection.id, turn.conversation_id, turn.id, connection.epoch, now())
