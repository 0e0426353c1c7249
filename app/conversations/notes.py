"""What people of the business keep about conversations: notes among themselves, and who their customers are."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.search import is_customer
from app.conversations.service import get_conversation
from app.errors import NotFound
from app.models import Contact, Note
from app.web import Page


async def add_note(session: AsyncSession, conversation_id: UUID, text: str) -> Note:
    """Keep a note with a conversation, which goes with it; raises NotFound."""
    conversation, _ = await get_conversation(session, conversation_id)
    note = Note(connection_id=conversation.connection_id, conversation_id=conversation.id, text=text)
    session.add(note)
    await session.flush()
    return note


async def list_notes(session: AsyncSession, conversation_id: UUID, page: Page) -> Sequence[Note]:
    """A page of a conversation's notes, newest first, and one more if there is one; raises NotFound."""
    await get_conversation(session, conversation_id)
    query = select(Note).where(Note.conversation_id == conversation_id).order_by(Note.id.desc()).limit(page.limit + 1)
    return list(await session.scalars(query if page.after is None else query.where(Note.id < page.after)))


async def delete_note(session: AsyncSession, note_id: UUID) -> None:
    """Drop a note; raises NotFound."""
    if await session.scalar(delete(Note).where(Note.id == note_id).returning(Note.id)) is None:
        raise NotFound("There is no such note.")


async def list_contacts(
    session: AsyncSession, page: Page, connection_id: UUID | None, words: str | None = None
) -> Sequence[Contact]:
    """A page of customers, newest first, and one more if there is one; raises NoWords and TooManyWords."""
    query = select(Contact).order_by(Contact.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(Contact.id < page.after)
    if connection_id is not None:
        query = query.where(Contact.connection_id == connection_id)
    if words is not None:
        query = query.where(is_customer(words, connection_id))
    return list(await session.scalars(query))


async def get_contact(session: AsyncSession, contact_id: UUID) -> Contact:
    """One customer; raises NotFound."""
    found = await session.get(Contact, contact_id)
    if found is None:
        raise NotFound("There is no such contact.")
    return found
