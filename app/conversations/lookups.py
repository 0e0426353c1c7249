"""How customers and conversations are known again: by keyed hashes of the ids that their channel gives them."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import InboundEvent
from app.crypto import current_keyring
from app.models import Contact, Conversation, Message


def customer_hash(connection_id: UUID, customer_id: str) -> bytes:
    """By which a customer is known again within a connection."""
    return current_keyring().lookup("customer", customer_id, connection_id)


def conversation_hash(connection_id: UUID, provider_id: str, business_connection_id: str | None = None) -> bytes:
    """By which a conversation is known again within a connection."""
    return current_keyring().lookup("conversation", f"{business_connection_id or ''}\0{provider_id}", connection_id)


def message_hashes(connection_id: UUID, provider_ids: Iterable[str]) -> list[bytes]:
    """By which messages are known again within a connection."""
    return [current_keyring().lookup("message", one, connection_id) for one in provider_ids]


async def find_contact(session: AsyncSession, connection_id: UUID, ids: Iterable[str]) -> Contact | None:
    """The customer who is known by one of these ids."""
    hashes = [customer_hash(connection_id, one) for one in ids]
    known = or_(Contact.customer_hash.in_(hashes), Contact.alias_hash.in_(hashes))
    query = select(Contact).where(Contact.connection_id == connection_id, known).order_by(Contact.id)
    return (await session.scalars(query.limit(1))).one_or_none()


async def find_conversation(session: AsyncSession, connection_id: UUID, event: InboundEvent) -> Conversation | None:
    """The conversation that an event is about, locked.

    Where a conversation is a customer, as on WhatsApp, it is also found under the id that its customer had first.
    """
    if event.conversation_id is None:
        return None
    known_as = event.thread or event.conversation_id
    found = await _locked(session, connection_id, known_as, event.business_connection_id)
    if found is None and event.parents:
        found = await _by_parents(session, connection_id, event)
    if found is not None or event.conversation_id != event.customer_id:
        return found
    contact = await find_contact(session, connection_id, (event.customer_id, *event.aliases))
    if contact is None or contact.customer_id == event.customer_id:
        return None
    return await _locked(session, connection_id, contact.customer_id, event.business_connection_id)


async def _locked(
    session: AsyncSession, connection_id: UUID, provider_id: str, business_connection_id: str | None
) -> Conversation | None:
    hashed = conversation_hash(connection_id, provider_id, business_connection_id)
    mine = Conversation.connection_id == connection_id
    query = select(Conversation).where(mine, Conversation.provider_hash == hashed).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def _by_parents(session: AsyncSession, connection_id: UUID, event: InboundEvent) -> Conversation | None:
    """The newest conversation with the customer that knows one of the mail's parents: programs shorten References."""
    contact = await find_contact(session, connection_id, (event.customer_id or "", *event.aliases))
    if contact is None:
        return None
    hashes = message_hashes(connection_id, event.parents)
    query = (
        select(Conversation)
        .join(Message, Message.conversation_id == Conversation.id)
        .where(
            Conversation.contact_id == contact.id,
            Message.connection_id == connection_id,
            Message.provider_message_hash.in_(hashes),
        )
        .order_by(Conversation.id.desc())
        .limit(1)
        .with_for_update(of=Conversation)
    )
    return (await session.scalars(query)).one_or_none()
