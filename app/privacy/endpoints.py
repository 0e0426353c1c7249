"""Erasure over HTTP: disconnecting, deleting, closing the account, restoring, and receipts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app.auth.route import CurrentSession, TenantRoute, needs
from app.channels.endpoints import shown
from app.channels.schemas import ConnectionOut
from app.models import Erasure
from app.privacy import erasure, retention, service
from app.privacy.places import TERMS, Retention
from app.privacy.schemas import ErasureList, ErasureOut, RetentionIn, RetentionList, RetentionOut
from app.runtime import of_request
from app.web import Page, next_cursor, page

Preview = Annotated[int | None, Query(description="Show what would go if conversations were kept for so many days.")]

router = APIRouter(prefix="/v1", tags=["Privacy"], route_class=TenantRoute)
Days = Annotated[
    float | None, Query(ge=0, le=30, description="Erase after so many days instead of what is usual; 0 is at once.")
]


@router.delete("/connections/{connection_id}", status_code=202, dependencies=[needs("connections:write")])
async def disconnect(connection_id: UUID, session: CurrentSession, request: Request, days: Days = None) -> ErasureOut:
    """Disconnect: nothing is taken or sent from now on, the provider is told, and what is stored of it is erased.

    That happens at once or after 30 days, by the channel; until then it can be restored. Repeat it with `days` to
    bring the date forward.
    """
    return _out(await erasure.erase_connection(session, of_request(request), connection_id, _keep(days)))


@router.post("/connections/{connection_id}/restore", dependencies=[needs("connections:write")])
async def restore(connection_id: UUID, session: CurrentSession, request: Request) -> ConnectionOut:
    """Take a disconnect back before its date. The token is gone: connect the same account again to go on."""
    return shown(await erasure.restore_connection(session, of_request(request), connection_id))


@router.delete("/contacts/{contact_id}", status_code=202, dependencies=[needs("conversations:write")])
async def erase_contact(contact_id: UUID, session: CurrentSession, request: Request) -> ErasureOut:
    """Erase a customer and every conversation with them, at once."""
    return _out(await erasure.erase_contact(session, of_request(request), contact_id))


@router.delete("/conversations/{conversation_id}", status_code=202, dependencies=[needs("conversations:write")])
async def erase_conversation(conversation_id: UUID, session: CurrentSession, request: Request) -> ErasureOut:
    """Erase a conversation, at once."""
    return _out(await erasure.erase_conversation(session, of_request(request), conversation_id))


@router.delete("/documents/{document_id}", status_code=202, dependencies=[needs("documents:write")])
async def erase_document(document_id: UUID, session: CurrentSession, request: Request) -> ErasureOut:
    """Delete a document: it answers nothing from now on; its vectors, texts, files and quotes are erased at once."""
    return _out(await erasure.erase_document(session, of_request(request), document_id))


@router.delete("/account", status_code=202, dependencies=[needs("privacy:write")])
async def close_account(session: CurrentSession, request: Request, days: Days = None) -> ErasureOut:
    """Close the account: every connection stops now, and all there is of it is erased after 30 days."""
    return _out(await erasure.close_account(session, of_request(request), _keep(days)))


@router.post("/account/restore", status_code=204, dependencies=[needs("privacy:write")])
async def reopen_account(session: CurrentSession, request: Request) -> None:
    """Take the closing of the account back before its date."""
    await erasure.reopen_account(session, of_request(request))


@router.get("/account/retention", dependencies=[needs("privacy:read")])
async def get_retention(session: CurrentSession, conversations_days: Preview = None) -> RetentionList:
    """Show for how long what is kept, and how much of it would go now; with `conversations_days`, if that were set."""
    return _rules(await retention.due(session, conversations_days))


@router.put("/account/retention", dependencies=[needs("privacy:write")])
async def set_retention(body: RetentionIn, session: CurrentSession) -> RetentionList:
    """Set for how long conversations are kept. What is older goes within the hour; look at what that is before."""
    await retention.set_conversation_days(session, body.conversations_days)
    return _rules(await retention.due(session))


@router.get("/erasures", dependencies=[needs("privacy:read")])
async def list_erasures(session: CurrentSession, page: Annotated[Page, Depends(page)]) -> ErasureList:
    """List erasures with their receipts, newest first."""
    found = await service.list_erasures(session, page)
    cursor = next_cursor([one.id for one in found], page.limit)
    return ErasureList(erasures=[_out(one) for one in found[: page.limit]], next_cursor=cursor)


@router.get("/erasures/{erasure_id}", dependencies=[needs("privacy:read")])
async def get_erasure(erasure_id: UUID, session: CurrentSession) -> ErasureOut:
    """Read an erasure: how far it is, or its receipt."""
    return _out(await service.get_erasure(session, erasure_id))


def _rules(found: Mapping[Retention, retention.Due]) -> RetentionList:
    return RetentionList(rules=[_rule(name, due) for name, due in found.items()])


def _rule(name: Retention, due: retention.Due) -> RetentionOut:
    term = TERMS[name]
    return RetentionOut(data=name, days=due.days, least=term.least, most=term.most, due=due.count, oldest=due.oldest)


def _keep(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _out(found: Erasure) -> ErasureOut:
    return ErasureOut(
        id=found.id,
        scope=found.scope,
        target_id=found.target_id,
        state=found.state,
        created_at=found.created_at,
        erase_after=found.erase_after,
        finished_at=found.finished_at,
        revocation=found.revocation,
        receipt=found.receipt,
    )
