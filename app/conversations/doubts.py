"""A send in doubt is settled by a person where no echo does (DESIGN, promise 1)."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.delivery import SETTLED, confirm, mark
from app.conversations.memory import forget
from app.errors import Conflict, NotFound
from app.models import Conversation, Delivery, Message, Turn

_SAID = {True: "sent", False: "failed"}


class NotInDoubt(Conflict):
    """It is known what became of this message: only one whose status is unknown is for a person to settle."""

    code = "not_in_doubt"


async def settle(
    session: AsyncSession, conversation_id: UUID, message_id: UUID, *, arrived: bool
) -> tuple[Message, Turn | None]:
    """Note what a person says of a message in doubt; nothing is sent by that. Raises NotFound, NotInDoubt.

    The same said twice is said once. An echo that comes after all is believed more.
    """
    # In the order in which an echo takes them.
    conversation = await session.get(Conversation, conversation_id, with_for_update=True)
    mine = select(Delivery).where(Delivery.message_id == message_id).with_for_update()
    delivery = await session.scalar(mine)
    message = await session.get(Message, message_id)
    if message is None or message.conversation_id != conversation_id:
        raise NotFound("There is no such message.")
    if delivery is None:
        raise NotInDoubt
    if delivery.error_code != SETTLED or delivery.state != _SAID[arrived]:
        await _settle(session, delivery, arrived=arrived)
        if conversation is not None and not arrived:
            # The summary told it as said.
            forget(conversation, message.position)
    return message, None if message.turn_id is None else await session.get(Turn, message.turn_id)


async def _settle(session: AsyncSession, delivery: Delivery, *, arrived: bool) -> None:
    if delivery.state != "unknown":
        raise NotInDoubt
    delivery.error_code = SETTLED
    if arrived:
        await confirm(session, delivery, None)
    else:
        await mark(session, delivery, "failed")
