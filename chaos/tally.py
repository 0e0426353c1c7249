"""What became of every message: from the simulator's log, and for what was not said, from the database."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select

from app.keys.service import Vault
from app.models import Conversation, Delivery, Handoff, Message, Turn
from bench.load import quantile
from chaos.customers import Asked, Talk, lamps_in, question

BY_PERSON = "I am a person and look after this myself."
_SENT = frozenset({"sent", "delivered", "read"})


@dataclass
class Record:
    """What the database holds of a chat."""

    conversation_id: UUID
    messages: dict[str, Message] = field(default_factory=dict)
    turns: dict[UUID, Turn] = field(default_factory=dict)
    deliveries: dict[UUID, list[Delivery]] = field(default_factory=dict)
    handoffs: int = 0


async def records(vault: Vault, tenant_id: UUID) -> dict[int, Record]:
    """Every chat's record; a customer's messages by what they ask."""
    async with vault.session(tenant_id) as session:
        chats = {row.id: int(row.provider_id) for row in await session.scalars(select(Conversation))}
        found = {chat: Record(conversation_id) for conversation_id, chat in chats.items()}
        for message in await session.scalars(select(Message).where(Message.direction == "in")):
            found[chats[message.conversation_id]].messages[message.text] = message
        for turn in await session.scalars(select(Turn)):
            found[chats[turn.conversation_id]].turns[turn.id] = turn
        for delivery in await session.scalars(select(Delivery)):
            found[chats[delivery.conversation_id]].deliveries.setdefault(delivery.turn_id, []).append(delivery)
        for handoff in await session.scalars(select(Handoff)):
            found[chats[handoff.conversation_id]].handoffs += 1
    return found


def fate(asked: Asked, talk: Talk, record: Record | None) -> str:
    """What became of a message: confirmed, handed over, flagged, a person's, or else "lost" with the reason."""
    message = None if record is None else record.messages.get(question(asked.lamp))
    turn = None if record is None or message is None or message.turn_id is None else record.turns.get(message.turn_id)
    if record is None or message is None or turn is None:
        return "lost: never stored" if message is None else "lost: no turn"
    states = {delivery.state for delivery in record.deliveries.get(turn.id, [])}
    if turn.state == "replied" and states and states <= _SENT:
        return "confirmed"
    if states & {"unknown", "failed"}:
        # A person who took over has closed the handoff; the mark at the message stays.
        return "flagged" if record.handoffs else "lost: not flagged"
    if turn.state == "handed_off" and record.handoffs:
        return "handed over"
    if talk.taken_over and (turn.state == "skipped" or "cancelled" in states):
        return "person"
    return f"lost: {turn.state}, {', '.join(sorted(states)) or 'nothing sent'}"


def doubled(talk: Talk, said: Sequence[str]) -> int:
    """How often an answer was given again; `said` are the automatic messages that the chat got, in order."""
    prices = Counter(lamp for text in said for lamp in lamps_in(text))
    others = Counter(text for text in said if not lamps_in(text))
    return sum(count - 1 for count in (*prices.values(), *others.values()))


def out_of_order(talk: Talk, said: Sequence[str]) -> int:
    """How many answers came before one to an earlier question; a chat whose webhooks were reordered tells nothing."""
    if talk.reordered:
        return 0
    place = {asked.lamp: number for number, asked in enumerate(talk.asked)}
    order = [place[lamp] for text in said for lamp in lamps_in(text)[:1] if lamp in place]
    return sum(later < earlier for earlier, later in pairwise(order))


def doubts(found: Iterable[Record]) -> Counter[str]:
    """Why sends failed or are in doubt."""
    deliveries = (one for record in found for several in record.deliveries.values() for one in several)
    return Counter(f"{one.state}: {one.error_code}" for one in deliveries if one.state in ("unknown", "failed"))


def recoveries(found: Iterable[Record], kills: Sequence[float]) -> list[float]:
    """Seconds from a kill to the end of each turn whose message was stored before and which ended after it."""
    spent = []
    for record in found:
        for message in record.messages.values():
            turn = None if message.turn_id is None else record.turns.get(message.turn_id)
            if turn is None or turn.finished_at is None:
                continue
            begun, ended = message.created_at.timestamp(), turn.finished_at.timestamp()
            between = [kill for kill in kills if begun < kill < ended]
            spent += [ended - between[0]] if between else []
    return spent


def spread(spent: Sequence[float]) -> dict[str, float | None]:
    """p50 and p99 in seconds, None where nothing had to recover."""
    return {name: round(quantile(spent, share), 2) if spent else None for name, share in (("p50", 0.5), ("p99", 0.99))}
