"""One question after a conversation was resolved, and the number that comes back."""

import re
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.service import texts_of
from app.channels.connections import LIVE
from app.channels.gate import hindrance_to_send
from app.channels.outbox import Turning, queue_reply
from app.channels.registry import provider_for
from app.channels.split import split_text
from app.models import Agent, Connection, Conversation, Turn, now
from app.runtime import Runtime
from graphs.spans import trace_id

KIND = "satisfaction"
BEST = 5
# What comes later is not meant as an answer to it.
_ANSWER_DAYS = 7
_NUMBER = re.compile(r"\s*([1-5])\s*(?:/\s*5|out of 5|stars?|sterne?|estrellas?|⭐️?)?\s*[.!)]*\s*", re.IGNORECASE)
_STARS = re.compile(r"\s*((?:⭐️?|★){1,5})\s*")
_THUMBS = {"👍": BEST, "👎": 1}


def rating_of(text: str) -> int | None:
    """The rating (1 to 5) that a text is and nothing else, None for any other."""
    if number := _NUMBER.fullmatch(text):
        return int(number[1])
    if stars := _STARS.fullmatch(text):
        return sum(character in "⭐★" for character in stars[1])
    # Skin tones and the like follow the thumb.
    return _THUMBS.get(text.strip()[:1]) if len(text.strip()) <= 2 else None  # noqa: PLR2004


async def ask(session: AsyncSession, runtime: Runtime, conversation: Conversation) -> None:
    """Ask how it was, where the agent has a question for that and the channel takes one now."""
    # Not locked, as its conversation is already; the delivery looks at its state and epoch again.
    connection = await session.get(Connection, conversation.connection_id)
    if connection is None or connection.state not in LIVE or conversation.blocked_at is not None:
        return
    agent = await session.get(Agent, connection.agent_id)
    question = None if agent is None else texts_of(agent, conversation.language).get("satisfaction_message")
    if not question:
        return
    limits = provider_for(connection.channel, runtime.settings).capabilities
    parts = split_text(question, limits.max_length, limits.unit)
    if await hindrance_to_send(session, connection, conversation, limits, len(parts)) is not None:
        return
    turn = Turn(
        connection_id=connection.id,
        conversation_id=conversation.id,
        agent_id=connection.agent_id,
        state="written",
        reason=KIND,
        finished_at=now(),
        trace_id=trace_id(),
    )
    session.add(turn)
    await session.flush()
    turning = Turning(turn.tenant_id, connection.id, conversation.id, turn.id, connection.epoch, now())
    await queue_reply(session, runtime, turning, parts, KIND, waits=True)
    conversation.satisfaction_asked_at = conversation.last_message_at = now()


def take_rating(conversation: Conversation, text: str) -> bool:
    """Whether a customer's message is the answer to the question; the first one that is another ends the waiting."""
    asked, conversation.satisfaction_asked_at = conversation.satisfaction_asked_at, None
    rating = rating_of(text)
    if asked is None or rating is None or now() - asked > timedelta(days=_ANSWER_DAYS):
        return False
    conversation.rating = rating
    return True
