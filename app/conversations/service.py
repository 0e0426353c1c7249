"""Rules and queries of conversations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.handoffs import DRAFT
from app.conversations.people import stop_agent
from app.conversations.satisfaction import ask
from app.conversations.search import written_in
from app.crypto import current_keyring
from app.errors import NotFound
from app.models import Conversation, Handoff, Message, Turn, now
from app.models.labels import folded, label_hash
from app.runtime import Runtime
from app.web import Page

Status = Literal["open", "waiting", "handed_off", "resolved"]
_NOBODY_ASKED = Handoff.id.is_(None)
_STATUS: Mapping[Status, tuple[ColumnElement[bool], ...]] = {
    "handed_off": (Handoff.id.is_not(None),),
    "resolved": (_NOBODY_ASKED, Conversation.resolved_at.is_not(None)),
    "waiting": (_NOBODY_ASKED, Conversation.resolved_at.is_(None), Conversation.waiting_since.is_not(None)),
    "open": (_NOBODY_ASKED, Conversation.resolved_at.is_(None), Conversation.waiting_since.is_(None)),
}
Listed = tuple[Conversation, Handoff | None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which conversations are listed: None for any. Times are those of the last message; `words` were all written."""

    status: Status | None = None
    contact_id: UUID | None = None
    connection_id: UUID | None = None
    label: str | None = None
    assignee: str | None = None
    escalated: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str | None = None


def assignee_hash(assignee: str) -> bytes:
    """By which the conversations of a colleague are found."""
    return current_keyring().lookup("assignee", folded(assignee))


def status_of(conversation: Conversation, handoff: Handoff | None) -> Status:
    """How a conversation stands: a person is asked for, it is resolved, its customer waits, or it is open."""
    if handoff is not None:
        return "handed_off"
    if conversation.resolved_at is not None:
        return "resolved"
    return "open" if conversation.waiting_since is None else "waiting"


async def list_conversations(session: AsyncSession, page: Page, wanted: Wanted) -> list[Listed]:
    """A page of conversations with their open handoffs, newest first, and one more if there is one.

    Raises NoWords and TooManyWords.
    """
    query = _with_handoff().order_by(Conversation.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(Conversation.id < page.after)
    if wanted.status is not None:
        query = query.where(*_STATUS[wanted.status])
    for column, value in (
        (Conversation.contact_id, wanted.contact_id),
        (Conversation.connection_id, wanted.connection_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.label is not None:
        query = query.where(Conversation.label_hashes.contains([label_hash(wanted.label)]))
    if wanted.assignee is not None:
        query = query.where(Conversation.assignee_hash == assignee_hash(wanted.assignee))
    if wanted.escalated is not None:
        query = query.where(Handoff.escalated_at.is_not(None) if wanted.escalated else Handoff.escalated_at.is_(None))
    if wanted.since is not None:
        query = query.where(Conversation.last_message_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Conversation.last_message_at < wanted.until)
    if wanted.words is not None:
        query = query.where(*written_in(wanted.words, wanted.connection_id))
    return [(row[0], row[1]) for row in await session.execute(query)]


async def get_conversation(session: AsyncSession, conversation_id: UUID) -> Listed:
    """One conversation and its open handoff; raises NotFound."""
    query = _with_handoff().where(Conversation.id == conversation_id)
    found = (await session.execute(query)).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    return found[0], found[1]


async def update_conversation(
    session: AsyncSession,
    runtime: Runtime,
    conversation_id: UUID,
    *,
    agent_paused: bool | None,
    handoff_resolved: bool | None,
    modes: Mapping[str, str | None],
    resolved: bool | None,
    labels: Sequence[str] | None,
    assignee: str | None,
) -> Listed:
    """Pause or resume the agent, close the open handoff, resolve or reopen, and set its own mode if `modes` has one.

    `labels` are all that it has from now on; an `assignee` of no letters is nobody.
    """
    await session.get(Conversation, conversation_id, with_for_update=True)
    conversation, handoff = await get_conversation(session, conversation_id)
    if agent_paused is not None:
        conversation.agent_paused_at = (conversation.agent_paused_at or now()) if agent_paused else None
        if agent_paused:
            # A draft of an agent that may not speak could be approved, but not sent.
            await stop_agent(session, conversation)
            if handoff is not None and handoff.reason == DRAFT:
                handoff.reason = "person_took_over"
    conversation.mode = modes.get("mode", conversation.mode)
    if labels is not None:
        conversation.labels = list(labels)
    if assignee is not None:
        conversation.assignee = assignee or None
        conversation.assignee_hash = assignee_hash(assignee) if assignee else None
    ends = bool(resolved) and conversation.resolved_at is None
    if resolved is not None:
        conversation.resolved_at = (conversation.resolved_at or now()) if resolved else None
    if resolved:
        # What comes next is another matter: the agent may answer that.
        await stop_agent(session, conversation)
        conversation.agent_paused_at, conversation.waiting_since = None, None
    if (handoff_resolved or resolved) and handoff is not None:
        handoff.resolved_at = now()
        handoff = None
    if ends:
        await ask(session, runtime, conversation)
    return conversation, handoff


def _with_handoff() -> Select[Conversation, Handoff | None]:
    waits = and_(Handoff.conversation_id == Conversation.id, Handoff.resolved_at.is_(None))
    return select(Conversation, Handoff).outerjoin(Handoff, waits)


async def list_messages(session: AsyncSession, conversation_id: UUID, page: Page) -> list[tuple[Message, Turn | None]]:
    """The newest messages before the cursor, newest first, with their turns, and one more if there is one."""
    await get_conversation(session, conversation_id)
    query = (
        select(Message, Turn)
        .outerjoin(Turn, Message.turn_id == Turn.id)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.position.desc())
        .limit(page.limit + 1)
    )
    if page.after is not None:
        before = select(Message.position).where(Message.id == page.after).scalar_subquery()
        query = query.where(Message.position < before)
    return [(message, turn) for message, turn in await session.execute(query)]
