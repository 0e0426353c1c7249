"""/v1/contacts, and notes of conversations."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.auth.route import CurrentSession, TenantRoute, needs, repeatable
from app.conversations import notes
from app.conversations.schemas import ContactList, ContactOut, NoteIn, NoteList, NoteOut
from app.models import Contact, Note
from app.web import CleanText, Page, next_cursor, page

_WORDS = (
    "Only those whose name has each of these words (10 at most), or whose `customer_id` this is. Whole words; case and"
    " accents do not matter. A name that was stored by a version before this search is found once it changes."
)
contacts = APIRouter(prefix="/v1", tags=["Contacts"], route_class=TenantRoute)
router = APIRouter(prefix="/v1/conversations/{conversation_id}/notes", tags=["Conversations"], route_class=TenantRoute)


@contacts.get("/contacts", dependencies=[needs("conversations:read")])
async def list_contacts(
    session: CurrentSession,
    page: Annotated[Page, Depends(page)],
    connection_id: Annotated[UUID | None, Query(description="Only those of one connection.")] = None,
    words: Annotated[CleanText | None, Query(description=_WORDS, max_length=200)] = None,
) -> ContactList:
    """List customers, newest first."""
    found = await notes.list_contacts(session, page, connection_id, words)
    cursor = next_cursor([contact.id for contact in found], page.limit)
    return ContactList(contacts=[_contact(each) for each in found[: page.limit]], next_cursor=cursor)


@contacts.get("/contacts/{contact_id}", dependencies=[needs("conversations:read")])
async def get_contact(contact_id: UUID, session: CurrentSession) -> ContactOut:
    """Read one customer; their conversations are listed by `?contact_id=`."""
    return _contact(await notes.get_contact(session, contact_id))


@router.post("", status_code=201, dependencies=[needs("conversations:write"), repeatable])
async def add(conversation_id: UUID, body: NoteIn, session: CurrentSession) -> NoteOut:
    """Note something for colleagues; the customer never sees it."""
    return _note(await notes.add_note(session, conversation_id, body.text))


@router.get("", dependencies=[needs("conversations:read")])
async def list_notes(conversation_id: UUID, session: CurrentSession, page: Annotated[Page, Depends(page)]) -> NoteList:
    """List a conversation's notes, newest first."""
    found = await notes.list_notes(session, conversation_id, page)
    cursor = next_cursor([note.id for note in found], page.limit)
    return NoteList(notes=[_note(each) for each in found[: page.limit]], next_cursor=cursor)


@contacts.delete("/notes/{conversation_note_id}", status_code=204, dependencies=[needs("conversations:write")])
async def delete(conversation_note_id: UUID, session: CurrentSession) -> None:
    """Drop a note of a conversation."""
    await notes.delete_note(session, conversation_note_id)


def _contact(contact: Contact) -> ContactOut:
    return ContactOut(
        id=contact.id,
        connection_id=contact.connection_id,
        name=contact.name,
        customer_id=contact.customer_id,
        created_at=contact.created_at,
    )


def _note(note: Note) -> NoteOut:
    return NoteOut(id=note.id, text=note.text, created_at=note.created_at)
