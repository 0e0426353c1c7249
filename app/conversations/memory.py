"""What a model reads of a conversation: its newest messages, and one summary of what was said before them.

A summary is made by the graph when the history has become too long, and kept with the conversation under its
connection's key, so that no later turn pays for it again. It is forgotten when a message that it covers changes.
"""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from langchain.messages import AIMessage, AnyMessage, HumanMessage
from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.gate import lock_connection
from app.channels.outbox import Turning
from app.models import Conversation, EvalSample, Message
from app.runtime import Runtime

# Of what no summary covers yet so many of the newest are read: more than fit into a prompt, and a bound all the same.
HISTORY_MESSAGES = 60
_SAID = ("received", "noted", "queued", "sending", "sent", "delivered", "read", "unknown")
_HISTORY = (
    select(Message)
    .where(
        Message.conversation_id == bindparam("id"),
        Message.position > bindparam("after"),
        Message.position < bindparam("before"),
        Message.status.in_(_SAID),
    )
    .order_by(Message.position.desc())
    .limit(HISTORY_MESSAGES)
)


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the history as it was read: its place, and a digest of what is stored, which any change changes."""

    position: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a conversation: `history` is oldest first, with a `said` for each message; `summary` came before
    it, up to the position `until` (None: there is none)."""

    history: tuple[AnyMessage, ...]
    said: tuple[Said, ...]
    summary: str
    until: int | None


async def recall(session: AsyncSession, conversation: Conversation, before: int) -> Memory:
    """What was said before a position."""
    until = conversation.summary_until
    found = await session.scalars(_HISTORY, {"id": conversation.id, "after": until or 0, "before": before})
    told = [message for message in reversed(list(found)) if message.text]
    return Memory(
        history=tuple(map(_as_said, told)),
        said=tuple(Said(message.position, _digest(message)) for message in told),
        summary=conversation.summary or "",
        until=until,
    )


class Remembering:
    """Keeps the summary that a turn makes, in place of the oldest messages of the memory that it was made from."""

    def __init__(self, runtime: Runtime, turning: Turning, memory: Memory) -> None:
        self._runtime, self._turning, self._memory = runtime, turning, memory

    async def __call__(self, summary: str, messages: int) -> None:
        """Keep it unless the connection was stopped, or something that it covers changed, since the turn began."""
        covered, turning = self._memory.said[:messages], self._turning
        if not covered:
            return
        async with self._runtime.vault.session(turning.tenant_id) as session:
            if await lock_connection(session, turning.connection_id, turning.epoch) is None:
                return
            conversation = await session.get(Conversation, turning.conversation_id, with_for_update=True)
            if conversation is None or conversation.summary_until != self._memory.until:
                return
            if await _as_it_was(session, conversation.id, covered):
                conversation.summary, conversation.summary_until = summary, covered[-1].position


def forget(conversation: Conversation, position: int) -> None:
    """Drop the summary of a conversation if it covers a message that has changed; the conversation is locked."""
    if conversation.summary_until is not None and position <= conversation.summary_until:
        conversation.summary, conversation.summary_until = None, None


async def drop_samples(session: AsyncSession, message: Message) -> None:
    """Remove the eval samples that were made of a message which was changed or taken back."""
    mine = delete(EvalSample).where(EvalSample.conversation_id == message.conversation_id)
    await session.execute(mine.where(EvalSample.message_ids.any_() == message.id))


async def _as_it_was(session: AsyncSession, conversation_id: UUID, covered: tuple[Said, ...]) -> bool:
    """Whether messages are as they were read. Those that edits and removals change are locked with the conversation."""
    places = [said.position for said in covered]
    query = select(Message).where(Message.conversation_id == conversation_id, Message.position.in_(places))
    now_said = {message.position: _digest(message) for message in await session.scalars(query)}
    return now_said == {said.position: said.digest for said in covered}


def _digest(message: Message) -> bytes:
    # The ciphertext, which is another each time it is written; a message that was never sent is not said.
    state = b"said" if message.status in _SAID else b"not"
    return sha256(state + message.text_sealed).digest()


def _as_said(message: Message) -> AnyMessage:
    return HumanMessage(message.text) if message.direction == "in" else AIMessage(message.text)
