"""Meta's callbacks for a person who connected an account: data deletion and deauthorisation, and the status page.

Source: Meta, "Data Deletion Request Callback" (shared reference, section 2). The person is found by the app-scoped id
that was kept, as a hash, when they connected.
"""

import base64
import binascii
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse

from app.channels.meta_graph import signed_user
from app.channels.routes import routed
from app.crypto import MasterKey
from app.errors import NotFound, Unauthorized
from app.models import Connection
from app.privacy.erasure import erase_connection
from app.privacy.service import erasure_anywhere
from app.runtime import Runtime, of_request
from app.web import page_of

router = APIRouter(include_in_schema=False)
SignedRequest = Annotated[str, Form(max_length=20_000)]

_CHANNELS = ("messenger", "instagram", "whatsapp")
_PURPOSE = "deletion code"
_SALT, _ID, _SIGNATURE = 8, 16, 32


@router.post("/callbacks/meta/data-deletion")
async def delete_data(signed_request: SignedRequest, request: Request) -> dict[str, str]:
    """Erase at once what came by accounts that a person connected; answers where its status can be read."""
    runtime = of_request(request)
    user = await _person(request, signed_request)
    begun = await _stop_all(runtime, user, timedelta())
    code = _code(runtime.vault.master, begun)
    return {"url": f"{runtime.settings.base_url}/deletions/{code}", "confirmation_code": code}


@router.post("/callbacks/meta/deauthorise")
async def deauthorise(signed_request: SignedRequest, request: Request) -> Response:
    """Disconnect every account that a person connected: tokens go now, data at its date."""
    await _stop_all(of_request(request), await _person(request, signed_request), None)
    return Response(status_code=200)


@router.get("/deletions/{code}")
async def status(code: str, request: Request) -> HTMLResponse:
    """How far a deletion is, for the person who asked for it."""
    runtime = of_request(request)
    ids = _read_code(runtime.vault.master, code)
    found = [await erasure_anywhere(runtime, one) for one in ids]
    open_ones = [one for one in found if one is not None and one.state not in ("done", "restored")]
    if not ids:
        return page_of("Nothing was stored for this request.")
    if open_ones:
        return page_of("The deletion is under way. It takes a minute as a rule; load this page again.")
    return page_of("Everything that was asked for has been deleted.")


async def _person(request: Request, signed_request: str) -> str:
    """The app-scoped id in a callback; raises Unauthorized unless one of our apps' secrets signed it."""
    known = await request.app.state.webhook_secret("instagram", None)
    found = [signed_user(signed_request, secret) for secret in known]
    user = next((one for one in found if one is not None), None)
    if user is None:
        raise Unauthorized("The signed_request is missing or wrong.")
    return user


async def _stop_all(runtime: Runtime, user: str, keep: timedelta | None) -> list[UUID]:
    """Stop every connection that a person made, in whichever tenant; returns the erasures."""
    begun: list[UUID] = []
    for channel in _CHANNELS:
        for connection_id in await routed(runtime, channel, f"user:{user}"):
            async with runtime.vault.connection(connection_id) as (_, entered):
                tenant_id = None if entered is None else entered.tenant_id
            if tenant_id is None:
                continue
            async with runtime.vault.session(tenant_id) as session:
                if await session.get(Connection, connection_id) is not None:
                    begun.append((await erase_connection(session, runtime, connection_id, keep)).id)
    return begun


def _code(master: MasterKey, ids: Sequence[UUID]) -> str:
    """A code that names erasures to us and nothing to others."""
    named = secrets.token_bytes(_SALT) + b"".join(one.bytes for one in ids)
    return base64.urlsafe_b64encode(named + master.sign(_PURPOSE, named)).rstrip(b"=").decode()


def _read_code(master: MasterKey, code: str) -> list[UUID]:
    try:
        raw = base64.urlsafe_b64decode(code.encode() + b"=" * (-len(code) % 4))
    except (ValueError, binascii.Error):
        raise NotFound("There is no such deletion.") from None
    named, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
    if not master.signed(_PURPOSE, named, signature):
        raise NotFound("There is no such deletion.")
    ids = named[_SALT:]
    return [UUID(bytes=ids[at : at + _ID]) for at in range(0, len(ids), _ID)]
