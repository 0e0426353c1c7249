"""What an event does to a conversation."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from app.channels.attachments import references
from app.channels.base import InboundEvent
from app.channels.gate import MESSAGE_ID
from app.channels.handoffs import DRAFT, resolve_handoff
from app.conversations.lookups import (
    conversation_hash,
    customer_hash,
    find_contact,
    find_conversation,
    message_hashes,
)
from app.conversations.memory import drop_samples, forget
from app.conversations.people import drop_drafts, stop_agent, supersede_draft
from app.conversations.satisfaction import take_rating
from app.conversations.statuses import settle_echo
from app.crypto import current_keyring
from app.errors import NotFound
from app.models import Connection, Contact, Conversation, Message, Turn, now
from app.queue import ANSWERS, Queue

Made = TypeVar("Made", Contact, Conversation)
# Events that begin no conversation: what is not a customer's, and what one did without a word.
_WITHOUT_WORDS = frozenset(
    {"referral", "reaction", "stripped", "system", "thread_control", "account_removed", "mailbox_changed"}
)
_WRITTEN = frozenset({"text", "media", "share", "button", "unsupported", "auto"})


async def take(session: AsyncSession, queue: Queue, connection: Connection, event: InboundEvent) -> UUID | None:
    """Apply one event: a message becomes a row and a job, an echo of a person pauses the agent, and so on.

    Statuses and kinds that change nothing here are passed over; an event that came before changes nothing. Returns
    the id of the conversation that it was about.
    """
    if event.conversation_id is None or event.customer_id is None or event.kind in _WITHOUT_WORDS:
        known = await find_conversation(session, connection.id, event)
        return None if known is None else known.id
    conversation = await ensure_conversation(session, connection.id, event)
    if event.kind == "edit":
        await _edit(session, queue, conversation, event)
    elif event.kind == "delete":
        await _delete(session, queue, conversation, event)
    elif event.kind == "blocked":
        conversation.blocked_at = now()
    elif event.kind == "echo":
        await _echo(session, conversation, event)
    elif event.may_reply or (event.kind == "unsupported" and event.direction == "in" and not event.standby):
        # What a customer wrote in a form we cannot read is for a person to read.
        await _message(session, queue, conversation, event)
    elif event.direction == "in" and (event.standby or event.kind == "auto"):
        # For a person to see; nobody waits for an answer.
        await _insert(session, conversation, _row(conversation, event, "in", "customer", "noted"))
    return conversation.id


async def ensure_conversation(session: AsyncSession, connection_id: UUID, event: InboundEvent) -> Conversation:
    """The conversation that an event is about, and its contact, made if they are new; the conversation is locked."""
    contact = await _ensure_contact(session, connection_id, event)
    found = await find_conversation(session, connection_id, event)
    provider_id = event.conversation_id or ""
    new = Conversation(
        connection_id=connection_id,
        contact_id=contact,
        provider_hash=conversation_hash(connection_id, event.thread or provider_id, event.business_connection_id),
        provider_id=provider_id,
        business_connection_id=event.business_connection_id,
    )
    # A row of our own making is locked as well.
    found = found or await _insert_once(session, new) or await find_conversation(session, connection_id, event)
    if found is None:
        raise NotFound("A conversation went while a message of it came.")
    if event.direction == "in" and event.message_id is not None and event.kind in _WRITTEN:
        found.address = {**event.address, MESSAGE_ID: event.message_id}
    return found


async def _ensure_contact(session: AsyncSession, connection_id: UUID, event: InboundEvent) -> UUID:
    customer_id, name = event.customer_id or "", event.sender_name if event.direction == "in" else None
    new = Contact(connection_id=connection_id, customer_hash=customer_hash(connection_id, customer_id))
    new.customer_id, new.name = customer_id, name
    ids = (customer_id, *event.aliases)
    contact = await find_contact(session, connection_id, ids) or await _insert_once(session, new)
    contact = contact or await find_contact(session, connection_id, ids)
    if contact is None:
        raise NotFound("A customer went while a message of theirs came.")
    if name and contact.name != name:
        contact.name = name
    others = [hashed for one in ids if (hashed := customer_hash(connection_id, one)) != contact.customer_hash]
    if others and contact.alias_hash not in others:
        contact.alias_hash = others[0]
    return contact.id


async def _insert_once(session: AsyncSession, new: Made) -> Made | None:
    """The row if it was not there yet, else None."""
    statement = insert(type(new)).values(new.column_values()).on_conflict_do_nothing().returning(type(new))
    return (await session.scalars(statement)).one_or_none()


async def _message(session: AsyncSession, queue: Queue, conversation: Conversation, event: InboundEvent) -> None:
    message = _row(conversation, event, "in", "customer", "received")
    conversation.blocked_at = None
    if await _is_known(session, message):
        return
    if conversation.satisfaction_asked_at is not None and take_rating(conversation, event.text or ""):
        # Nothing was asked of us, and nothing is begun anew.
        message.status = "noted"
        await _insert(session, conversation, message)
        return
    if await _defer_answer(session, queue, message, once=_insertion(message)):
        await supersede_draft(session, conversation)
        conversation.waiting_since = conversation.waiting_since or message.created_at
        # Who writes again has not been served yet.
        conversation.resolved_at = None
        conversation.last_message_at = now()


async def _echo(session: AsyncSession, conversation: Conversation, event: InboundEvent) -> None:
    """A message of the business: our own send is known already; a person's means that they took over."""
    if await settle_echo(session, conversation.connection_id, conversation, event):
        return
    if event.echo_origin in ("human", "unknown") and await _insert(
        session, conversation, _row(conversation, event, "out", "person", "sent")
    ):
        conversation.agent_paused_at, conversation.waiting_since = now(), None
        await stop_agent(session, conversation)
        await resolve_handoff(session, conversation.id)


async def _insert(session: AsyncSession, conversation: Conversation, message: Message) -> bool:
    """Store a message unless it is known."""
    if await _is_known(session, message) or await session.scalar(_insertion(message)) is None:
        return False
    conversation.last_message_at = now()
    return True


async def _is_known(session: AsyncSession, message: Message) -> bool:
    """Whether there is a message with its provider's id, from an edit that came first; its event is looked at later."""
    query = select(Message.id).where(
        Message.conversation_id == message.conversation_id,
        Message.provider_message_hash == message.provider_message_hash,
    )
    return message.provider_message_hash is not None and await session.scalar(query) is not None


def _insertion(message: Message) -> ReturningInsert[Any]:
    """Stores a message unless its event did so before."""
    return insert(Message).values(message.column_values()).on_conflict_do_nothing().returning(Message.id)


def _row(conversation: Conversation, event: InboundEvent, direction: str, author: str, status: str) -> Message:
    keyring = current_keyring()
    sent_at = now() if event.timestamp_ms is None else datetime.fromtimestamp(event.timestamp_ms / 1000, UTC)
    provider_id = event.message_id
    return Message(
        connection_id=conversation.connection_id,
        conversation_id=conversation.id,
        direction=direction,
        author=author,
        kind=event.kind,
        status=status,
        text=_written(event),
        attachments=references(event) or None,
        dedup_hash=keyring.lookup("event", event.dedup_id, conversation.connection_id),
        provider_message_hash=provider_id and keyring.lookup("message", provider_id, conversation.connection_id),
        sent_at=sent_at,
    )


def _written(event: InboundEvent) -> str:
    """What was written; a thread's first mail begins with its subject, which often says what it is about."""
    text = event.text or event.payload or ""
    begins = event.direction == "in" and not event.parents and event.kind in ("text", "media")
    # Who wrote nothing else said it there: then it is the text already.
    return f"{event.subject}\n\n{text}".strip() if begins and event.subject and event.subject != text else text


async def _edit(session: AsyncSession, queue: Queue, conversation: Conversation, event: InboundEvent) -> None:
    """A message that was not answered yet is answered as it reads now.

    Events come in any order: an edit that overtakes its message stands in for it.
    """
    if event.target_id is None:
        return
    found, came = await _find(session, conversation, [event.target_id]), references(event)
    for message in found:
        if message.status == "deleted":
            continue
        # No channel takes away all that came with a message: an edit that tells of none is about the text.
        if came and came != message.attachments:
            message.attachments = came
        # A live location, for one, is edited again and again without a word.
        if message.text != (event.text or ""):
            message.text = event.text or ""
            forget(conversation, message.position)
            await drop_samples(session, message)
            await _start_over(session, queue, message)
    if not found and event.direction == "in":
        await _message(session, queue, conversation, replace(event, message_id=event.target_id))


async def _delete(session: AsyncSession, queue: Queue, conversation: Conversation, event: InboundEvent) -> None:
    """A message that was taken back is answered no more; one that comes after its removal is not, either."""
    for target in event.target_ids or (event.target_id or "",):
        found = await _find(session, conversation, [target])
        for message in found:
            message.text, message.attachments, message.status = "", None, "deleted"
            forget(conversation, message.position)
            await drop_samples(session, message)
            await _start_over(session, queue, message)
        if not found and target and event.direction == "in":
            gone = replace(event, message_id=target, dedup_id=f"{event.dedup_id} {target}", text=None)
            await _insert(session, conversation, _row(conversation, gone, "in", "customer", "deleted"))
    if conversation.waiting_since is not None and not await _still_asks(session, conversation):
        conversation.waiting_since = None


async def _still_asks(session: AsyncSession, conversation: Conversation) -> bool:
    """Whether anything is left of what its customer waits for an answer to."""
    query = select(Message.id).where(
        Message.conversation_id == conversation.id,
        Message.status == "received",
        Message.created_at >= conversation.waiting_since,
    )
    return await session.scalar(query.limit(1)) is not None


async def _start_over(session: AsyncSession, queue: Queue, message: Message) -> None:
    """A turn that is being answered does not know of the change: it ends here, and its messages get another."""
    turn = None if message.turn_id is None else await session.get(Turn, message.turn_id, with_for_update=True)
    if turn is not None and turn.state in ("running", "drafted"):
        await drop_drafts(session, turn, "superseded")
        await resolve_handoff(session, message.conversation_id, DRAFT)
        await _defer_answer(session, queue, message)


async def _defer_answer(
    session: AsyncSession, queue: Queue, message: Message, once: ReturningInsert[Any] | None = None
) -> bool:
    return await queue.defer(
        session,
        "conversations:answer",
        ANSWERS,
        lock=f"conversation:{message.conversation_id}",
        ids={"tenant_id": message.tenant_id, "message_id": message.id},
        once=once,
    )


async def _find(session: AsyncSession, conversation: Conversation, ids: list[str]) -> list[Message]:
    hashes = message_hashes(conversation.connection_id, ids)
    query = select(Message).where(Message.conversation_id == conversation.id, Message.provider_message_hash.in_(hashes))
    return list(await session.scalars(query))
