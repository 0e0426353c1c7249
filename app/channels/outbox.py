"""From a decision to a delivery: one transaction that checks again and ends the turn, then the provider call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from langchain.tools import BaseTool, tool
from sqlalchemy import BindParameter, bindparam, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import SendResult
from app.channels.delivery import Parcel, call, defer, note, pack, settle
from app.channels.gate import hindrance_to_send, lock_connection
from app.channels.handoffs import DRAFT, open_handoff
from app.channels.registry import provider_for
from app.channels.split import split_text
from app.crypto import current_keyring
from app.models import Agent, Connection, Conversation, Delivery, Message, Turn, now
from app.runtime import Runtime
from graphs.spans import trace_id
from graphs.support.context import ChannelInput

QUEUED, SUPERSEDED, SKIPPED = "queued", "superseded", "skipped"
_STOPPED = ("skipped", "connection_stopped", SKIPPED)
_ID: BindParameter[UUID] = bindparam("id")
_LOCKED = (
    select(Conversation, Turn, Agent.mode)
    .join(Turn, Turn.conversation_id == Conversation.id)
    .outerjoin(Agent, Agent.id == Turn.agent_id)
    .where(Turn.id == _ID)
    .with_for_update(of=(Conversation, Turn))
)
# Whether a customer's message waits that no turn has taken up, and whether a reply that was given before is not
# delivered yet. Asked behind the lock: the statement that waits for it would not see what its holder did.
_SURROUNDINGS = select(
    exists().where(Message.conversation_id == _ID, Message.status == "received", Message.turn_id.is_(None)),
    exists().where(Delivery.conversation_id == _ID, Delivery.state.in_(("queued", "sending"))),
)
_ADD_MESSAGES, _ADD_DELIVERIES = insert(Message.__table__), insert(Delivery.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Turning:
    """The turn that a reply belongs to, the connection's epoch when its work began, and since when a customer waits."""

    tenant_id: UUID
    connection_id: UUID
    conversation_id: UUID
    turn_id: UUID
    epoch: int
    since: datetime


class Outbox:
    """The way out of one turn: it ends the turn once, makes the provider call, and notes what the provider said.

    `ended` says that this one ended the turn, and no twin of it.
    """

    def __init__(self, runtime: Runtime, turning: Turning) -> None:
        self._runtime = runtime
        self._turning = turning
        self._called: tuple[Parcel, SendResult] | None = None
        self.ended = False

    @property
    def tool(self) -> BaseTool:
        """The LangChain tool through which the graph reaches the customer: it can do nothing but end this turn."""

        @tool("reply", args_schema=ChannelInput)
        async def reply(
            text: str, citations: list[dict[str, Any]] | None = None, handoff_reason: str | None = None
        ) -> str:
            """Send the reply to the customer, or hand the conversation over to a person with a fixed message."""
            return await self.send(text, handoff_reason, citations or [])

        return reply

    async def send(self, text: str, handoff_reason: str | None, citations: Sequence[Mapping[str, Any]] = ()) -> str:
        """End the turn by its reply or a handoff, unless a person, a newer message, a disconnect or a twin came first.

        The first part is sent at once, marked `sending` by the transaction that looked for all of these; while an
        older reply of its conversation is not delivered, it gets a job that waits. `settle` has to follow. Returns
        "queued", "superseded" (a newer message will be answered together with this one) or "skipped".
        """
        runtime, turning = self._runtime, self._turning
        async with runtime.vault.session(turning.tenant_id) as session:
            connection = await lock_connection(session, turning.connection_id, turning.epoch)
            found = (await session.execute(_LOCKED, {"id": turning.turn_id})).one_or_none()
            if found is None:
                # Erased meanwhile.
                return SKIPPED
            conversation, turn, agent_mode = found
            if turn.state != "running":
                return SUPERSEDED if turn.state == "superseded" else SKIPPED
            newer, behind = (await session.execute(_SURROUNDINGS, {"id": conversation.id})).one()
            known = connection or await session.get(Connection, turning.connection_id)
            mode = conversation.mode or agent_mode
            obstacle = _obstacle(connection, conversation, mode, newer=newer)
            waited: float | None = None
            parcel: Parcel | None = None
            if connection is None or obstacle is not None:
                answer = _finish(turn, *(obstacle or _STOPPED))
                if turn.reason == "agent_off":
                    # As where a turn begins: the customer waits for a person.
                    await self._hand_off(session, "agent_off")
            else:
                limits = provider_for(connection.channel, runtime.settings).capabilities
                parts = split_text(text, limits.max_length, limits.unit)
                hindrance = await hindrance_to_send(session, connection, conversation, limits, len(parts))
                reason = hindrance or handoff_reason or (None if parts else "internal_error")
                drafts = mode == "copilot" and reason is None
                promised = reason is not None and not await self._hand_off(session, reason)
                kind = "text"
                if hindrance == "window_closed" and limits.templates and connection.template is not None:
                    # What may go at any time: it asks the customer to write again.
                    hindrance, kind, parts = None, "template", [connection.template["name"]]
                if drafts:
                    await self._hand_off(session, DRAFT)
                    await _add_drafts(session, turning, parts)
                    turn.record = {"citations": list(citations)}
                # A promise that stands is not made again; where a person reads along, the agent makes none.
                elif parts and hindrance is None and not promised and mode != "copilot":
                    first = await queue_reply(session, runtime, turning, parts, kind, waits=behind)
                    if not behind:
                        parcel = pack(runtime, connection, conversation, *first)
                    turn.record = {"citations": list(citations)}
                    conversation.last_message_at = now()
                    waited = (now() - turning.since).total_seconds()
                state = "handed_off" if reason else "drafted" if drafts else "replied"
                if state == "replied":
                    conversation.waiting_since = None
                answer = _finish(turn, state, reason, QUEUED)
        self.ended = True
        runtime.metrics.turn(known.channel if known else "other", turn.state, turn.reason, waited)
        if parcel is not None:
            self._called = parcel, await call(runtime, parcel)
        return answer

    async def _hand_off(self, session: AsyncSession, reason: str) -> bool:
        turning = self._turning
        ids = turning.connection_id, turning.conversation_id, turning.turn_id
        return await open_handoff(session, self._runtime.queue, *ids, reason)

    async def settle(self, session: AsyncSession) -> None:
        """Note what the provider said, if it was called."""
        if self._called is not None:
            await settle(session, self._runtime, *self._called)

    async def note(self) -> None:
        """`settle` in a transaction of its own."""
        if self._called is not None:
            await note(self._runtime, *self._called)


def _obstacle(
    connection: Connection | None, conversation: Conversation, mode: str | None, *, newer: bool
) -> tuple[str, str | None, str] | None:
    """What ends a turn without a word of ours: its state, reason and the answer to the graph."""
    if connection is None:
        return _STOPPED
    if conversation.agent_paused_at or conversation.blocked_at:
        return "skipped", "person_took_over", SKIPPED
    if mode == "off":
        return "skipped", "agent_off", SKIPPED
    if newer:
        return "superseded", None, SUPERSEDED
    return None


async def queue_reply(
    session: AsyncSession,
    runtime: Runtime,
    turning: Turning,
    parts: list[str],
    kind: str = "text",
    *,
    waits: bool,
    author: str = "agent",
) -> tuple[UUID, Message]:
    """Store a reply's parts; the first is `sending`, or has a job if it `waits`. Returns the first delivery's id, and
    its message."""
    messages = [_message(turning, number, part, kind, author) for number, part in enumerate(parts)]
    deliveries = [_delivery(turning, number, message.id) for number, message in enumerate(messages)]
    first = deliveries[0]
    if not waits:
        messages[0].status, first.state, first.attempts, first.trace_id = "sending", "sending", 1, trace_id()
    # Plain statements: a unit of work would take twice the time.
    await session.execute(_ADD_MESSAGES, [message.column_values() for message in messages])
    await session.execute(_ADD_DELIVERIES, [delivery.column_values() for delivery in deliveries])
    if waits:
        await defer(session, runtime, first.id)
    return first.id, messages[0]


async def _add_drafts(session: AsyncSession, turning: Turning, parts: list[str]) -> None:
    """Store a reply that waits for a person's word."""
    messages = [_message(turning, number, part, "text", "agent") for number, part in enumerate(parts)]
    for message in messages:
        message.status = "draft"
    await session.execute(_ADD_MESSAGES, [message.column_values() for message in messages])


async def queue_drafts(session: AsyncSession, runtime: Runtime, turning: Turning, drafts: Sequence[Message]) -> None:
    """Let a reply go that a person has approved."""
    deliveries = [_delivery(turning, number, message.id) for number, message in enumerate(drafts)]
    for message in drafts:
        message.status = "queued"
    await session.execute(_ADD_DELIVERIES, [delivery.column_values() for delivery in deliveries])
    await defer(session, runtime, deliveries[0].id)


def _message(turning: Turning, number: int, text: str, kind: str, author: str) -> Message:
    return Message(
        connection_id=turning.connection_id,
        conversation_id=turning.conversation_id,
        turn_id=turning.turn_id,
        direction="out",
        author=author,
        kind=kind,
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
        state="queued",
        attempts=0,
        trace_id=None,
    )


def _finish(turn: Turn, state: str, reason: str | None, answer: str) -> str:
    turn.state = state
    turn.reason = reason
    turn.finished_at = now()
    return answer
