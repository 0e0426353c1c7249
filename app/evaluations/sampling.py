"""Samples of real turns: what a customer asked, what was said before, and what they were answered, masked.

Of TikTok no text leaves the conversation that it was written in (DESIGN, promise 6). What is being erased, or may be
soon, gives no sample either. A sample goes with its conversation, and with each message that it was made of.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.connections import LIVE
from app.errors import Conflict, Unprocessable
from app.evaluations import service
from app.models import Connection, Contact, Conversation, Erasure, EvalSample, Message, Turn, VerdictMark
from evals.datasets import Sample
from evals.datasets import Turn as Said
from graphs.support.personal import masked_text
from vectorstore.words import language_of

_ENDED = ("replied", "handed_off", "rejected", "skipped")
_SENT = ("sent", "delivered", "read")
_HISTORY = 20
_MARKED = 1000
_NOT_SAID = ("deleted", "draft", "cancelled", "failed")


class TikTokStays(Conflict):
    """What was written on TikTok is for answering it only: it never becomes a sample."""

    code = "tiktok_stays"


class BeingErased(Conflict):
    """This conversation is being erased, or its connection was stopped."""

    code = "being_erased"


class NotEnded(Conflict):
    """This turn has not ended, or was overtaken by another."""

    code = "turn_not_ended"


class NothingAsked(Unprocessable):
    """In this turn a customer asked nothing in words."""

    code = "nothing_asked"


class UnknownTurn(Unprocessable):
    """The request names a turn that does not exist."""

    code = "unknown_turn"


@dataclass(frozen=True, slots=True)
class Taken:
    """How many samples a dataset got of turns, how many it had already, and how many turns could give none."""

    added: int
    known: int
    left_out: int


async def take_turns(session: AsyncSession, dataset_id: UUID, turn_ids: Sequence[UUID]) -> Taken:
    """Add samples of turns, all or none; raises NotFound, TooManySamples and, where one cannot be had, why."""
    await service.get(session, dataset_id)
    return await _take(session, dataset_id, [await _sampled(session, dataset_id, one) for one in _once(turn_ids)], 0)


async def take_false_alarms(session: AsyncSession, dataset_id: UUID) -> Taken:
    """Add samples of the newest turns in which people marked a finding as a false alarm; others are left out.

    Raises NotFound, TooManySamples.
    """
    await service.get(session, dataset_id)
    marked = select(VerdictMark.turn_id).where(VerdictMark.right.is_(False)).distinct()
    rows, left_out = [], 0
    for turn_id in await session.scalars(marked.order_by(VerdictMark.turn_id.desc()).limit(_MARKED)):
        try:
            rows.append(await _sampled(session, dataset_id, turn_id))
        except (TikTokStays, BeingErased, NotEnded, NothingAsked):
            left_out += 1
    return await _take(session, dataset_id, rows, left_out)


def _once(turn_ids: Sequence[UUID]) -> list[UUID]:
    # In order, so that two requests at once wait for each other and do not stop each other.
    return sorted(set(turn_ids))


async def _sampled(session: AsyncSession, dataset_id: UUID, turn_id: UUID) -> EvalSample:
    turn = await session.get(Turn, turn_id)
    if turn is None:
        raise UnknownTurn
    conversation = await _open_conversation(session, turn)
    if turn.state not in _ENDED:
        raise NotEnded
    talk = await _talk(session, turn)
    asked = [one for one in talk if one.turn_id == turn_id and one.direction == "in"]
    if not asked:
        raise NothingAsked
    answer = _answer(talk, asked, turn)
    before = [one for one in talk if one.position < asked[0].position][-_HISTORY:]
    contact = await session.get_one(Contact, conversation.contact_id)
    names = [name for name in (contact.name, contact.customer_id) if name]
    question = "\n".join(one.text for one in asked)
    said = "\n".join(one.text for one in answer)
    # In a thread: what finds personal data is loaded at its first use.
    masked = await asyncio.to_thread(_masked, [question, said, *(one.text for one in before)], names)
    cited = [str(one["document_id"]) for one in (turn.record or {}).get("citations", ())]
    sample = Sample(
        id=f"turn-{turn_id}",
        question=masked[0],
        history=tuple(_said(one, text) for one, text in zip(before, masked[2:], strict=True)),
        expected=masked[1] or None,
        relevant=tuple(dict.fromkeys(cited)),
        answerable=turn.state == "replied" or await _stopped_in_error(session, turn),
        language=language_of(question),
    )
    return service.sample_row(
        dataset_id,
        sample,
        message_ids=[one.id for one in (*before, *asked, *answer)],
        connection_id=turn.connection_id,
        conversation_id=turn.conversation_id,
        turn_id=turn_id,
    )


async def _open_conversation(session: AsyncSession, turn: Turn) -> Conversation:
    """The turn's conversation, which nobody begins to erase before this transaction ends."""
    connection = await session.get_one(Connection, turn.connection_id, with_for_update={"read": True})
    if connection.channel == "tiktok":
        raise TikTokStays
    conversation = await session.get(Conversation, turn.conversation_id, with_for_update={"read": True})
    members = Erasure.members.any_() == turn.conversation_id
    erased = select(exists().where(and_(Erasure.state == "running", members)))
    if conversation is None or connection.state not in LIVE or await session.scalar(erased):
        raise BeingErased
    return conversation


async def _talk(session: AsyncSession, turn: Turn) -> Sequence[Message]:
    """What was said in the turn's conversation, in its order."""
    query = select(Message).where(Message.conversation_id == turn.conversation_id, Message.status.not_in(_NOT_SAID))
    return [one for one in await session.scalars(query.order_by(Message.position)) if one.text]


def _answer(talk: Sequence[Message], asked: Sequence[Message], turn: Turn) -> Sequence[Message]:
    """The reply that was sent, or else what a person wrote before the customer wrote again.

    The fixed text that goes with a handoff is no answer.
    """
    sent = [one for one in talk if one.direction == "out" and one.status in _SENT]
    if turn.state == "replied":
        return [one for one in sent if one.turn_id == turn.id]
    last = asked[-1].position
    until = min((one.position for one in talk if one.direction == "in" and one.position > last), default=None)
    return [
        one
        for one in sent
        if one.author == "person" and one.position > last and (until is None or one.position < until)
    ]


async def _stopped_in_error(session: AsyncSession, turn: Turn) -> bool:
    """Whether people say that what kept the agent from answering was a false alarm."""
    mine = (VerdictMark.turn_id == turn.id, VerdictMark.right.is_(False), VerdictMark.verdict.in_(turn.findings))
    return bool(await session.scalar(select(exists().where(*mine))))


def _masked(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    return [masked_text(text, names=names) for text in texts]


def _said(message: Message, text: str) -> Said:
    role: Literal["customer", "agent"] = "customer" if message.direction == "in" else "agent"
    return Said(role, text)


async def _take(session: AsyncSession, dataset_id: UUID, rows: Sequence[EvalSample], left_out: int) -> Taken:
    await service.check_room(session, dataset_id, len(rows))
    added = await service.insert_new(session, rows)
    return Taken(len(added), len(rows) - len(added), left_out)
