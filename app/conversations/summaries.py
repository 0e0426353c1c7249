"""What a person who takes a conversation over has to know, made of what is stored anyway: nothing new to erase."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.marks import SHADOW, is_finding
from app.conversations.service import get_conversation
from app.errors import NotFound
from app.models import Contact, Conversation, Message, Turn

_ASKED, _LONGEST = 5, 500


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of a conversation that waits for a person; texts are cut to some hundred characters, `asked` is oldest first."""

    customer: str | None
    language: str | None
    asked: list[str]
    last_answer: str | None
    reason: str
    findings: list[str]
    messages: int


async def of_handoff(session: AsyncSession, conversation_id: UUID) -> Summary:
    """The summary of a conversation's open handoff; raises NotFound, also where no person is asked for."""
    conversation, handoff = await get_conversation(session, conversation_id)
    if handoff is None:
        raise NotFound("Nobody is asked for in this conversation.")
    contact = await session.get(Contact, conversation.contact_id)
    turn = None if handoff.turn_id is None else await session.get(Turn, handoff.turn_id)
    return Summary(
        customer=None if contact is None else contact.name,
        language=conversation.language,
        asked=await _asked(session, conversation, turn),
        last_answer=await _last_answer(session, conversation, turn),
        reason=handoff.reason,
        findings=_findings({} if turn is None else turn.record or {}),
        messages=await session.scalar(_count(conversation_id)) or 0,
    )


async def _asked(session: AsyncSession, conversation: Conversation, turn: Turn | None) -> list[str]:
    """What the customer wrote in the turn that was handed over, or else last."""
    mine = select(Message).where(Message.conversation_id == conversation.id, Message.direction == "in")
    if turn is not None:
        mine = mine.where(Message.turn_id == turn.id)
    newest = await session.scalars(mine.order_by(Message.position.desc()).limit(_ASKED))
    return [message.text[:_LONGEST] for message in reversed(list(newest)) if message.text]


async def _last_answer(session: AsyncSession, conversation: Conversation, turn: Turn | None) -> str | None:
    """What we said last before it."""
    said = select(Message).where(
        Message.conversation_id == conversation.id,
        Message.direction == "out",
        Message.status.in_(("sent", "delivered", "read")),
    )
    if turn is not None:
        said = said.where(Message.turn_id.is_distinct_from(turn.id))
    message = await session.scalar(said.order_by(Message.position.desc()).limit(1))
    return None if message is None else message.text[:_LONGEST]


def _findings(record: dict[str, Any]) -> list[str]:
    # What a guardrail found in shadow mode is no reason for anything.
    failed = (one for one in record.get("verdicts", []) if is_finding(one) and one["action"] != SHADOW)
    # Evidence is gone where a document that it may quote was erased.
    return list(dict.fromkeys(str(one["evidence"])[:_LONGEST] for one in failed if one["evidence"]))


def _count(conversation_id: UUID) -> Any:
    return select(func.count()).select_from(Message).where(Message.conversation_id == conversation_id)
