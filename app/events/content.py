"""What a post says, read from the database when it is made: what was erased by then is not said."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.connections import LIVE
from app.conversations.service import get_conversation, status_of
from app.egress import Data, content_of
from app.egress.destinations import WEBHOOKS
from app.errors import NotFound
from app.events.schemas import (
    ContactTold,
    ConversationTold,
    HandoffTold,
    MessageTold,
    PostBody,
    PostData,
)
from app.models import Connection, Contact, Conversation, Erasure, Handoff, Message, WebhookPost

TEST = "webhook.test"


class NotTold(Exception):
    """What a post was to tell is not told any more; the argument is a code that says why."""


@dataclass(frozen=True, slots=True)
class Content:
    """A post's body (JSON), and the class of the data in it; None for ids alone."""

    body: bytes
    data: Data | None


async def content_for(session: AsyncSession, post: WebhookPost) -> Content:
    """What a post says; raises NotTold.

    Content goes only where its class may go: of TikTok's there are ids (DESIGN, promise 6).
    """
    if post.kind == TEST or post.conversation_id is None:
        return Content(_body(post, PostData()), None)
    connection, conversation = await _told_of(session, post.conversation_id)
    data = PostData(
        conversation_id=conversation.id,
        connection_id=connection.id,
        channel=connection.channel,
        message_id=post.message_id,
        handoff_id=post.handoff_id,
    )
    found = content_of(connection.channel)
    if not WEBHOOKS.may_have(found):
        return Content(_body(post, data), None)
    await _fill(session, post, conversation, data)
    return Content(_body(post, data), found)


async def _told_of(session: AsyncSession, conversation_id: UUID) -> tuple[Connection, Conversation]:
    query = select(Connection, Conversation).join(Conversation, Conversation.connection_id == Connection.id)
    row = (await session.execute(query.where(Conversation.id == conversation_id))).one_or_none()
    if row is None:
        raise NotTold("gone")
    connection, conversation = row
    if connection.state not in LIVE:
        raise NotTold("connection_stopped")
    going = select(Erasure.id).where(
        Erasure.state.in_(("scheduled", "running")), literal(conversation_id) == any_(Erasure.members)
    )
    if await session.scalar(going.limit(1)) is not None:
        raise NotTold("gone")
    return connection, conversation


async def _fill(session: AsyncSession, post: WebhookPost, conversation: Conversation, data: PostData) -> None:
    try:
        _, waiting = await get_conversation(session, conversation.id)
    except NotFound:
        raise NotTold("gone") from None
    data.conversation = ConversationTold(
        id=conversation.id,
        status=status_of(conversation, waiting),
        labels=conversation.labels or [],
        language=conversation.language,
    )
    contact = await session.get(Contact, conversation.contact_id)
    if contact is not None:
        data.contact = ContactTold(id=contact.id, name=contact.name)
    if post.message_id is not None:
        message = await session.get(Message, post.message_id)
        if message is None:
            raise NotTold("gone")
        data.message = MessageTold.model_validate(message, from_attributes=True)
    if post.handoff_id is not None:
        handoff = await session.get(Handoff, post.handoff_id)
        if handoff is None:
            raise NotTold("gone")
        data.handoff = HandoffTold.model_validate(handoff, from_attributes=True)


def _body(post: WebhookPost, data: PostData) -> bytes:
    told = PostBody(type=post.kind, timestamp=post.created_at, data=data)
    return told.model_dump_json(exclude_none=True).encode()
