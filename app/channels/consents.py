"""/v1/consents, and the page to which owners come back."""

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.auth.route import CurrentPrincipal, CurrentSession, LongRoute, TenantRoute, needs
from app.channels import consent as consents
from app.channels.consent import ConsentRefused, Place
from app.channels.schemas import AccountChoice, AccountOut, ConsentOut, ConsentStart
from app.models import Consent
from app.runtime import of_request
from app.web import page_of

router = APIRouter(prefix="/v1/consents", tags=["Connections"], route_class=TenantRoute)
choosing = APIRouter(prefix="/v1/consents", tags=["Connections"], route_class=LongRoute)
callbacks = APIRouter(prefix="/oauth", include_in_schema=False)

_WORDS = {
    "connected": "The account is connected. You can close this window.",
    "choose": "Almost done: choose in Jobx which of your accounts are connected. You can close this window.",
}


@choosing.post("", status_code=201, dependencies=[needs("connections:write")])
async def start(body: ConsentStart, principal: CurrentPrincipal, request: Request) -> ConsentOut:
    """Begin to connect an account: its owner opens the `url`, agrees, and comes back to Jobx."""
    runtime = of_request(request)
    async with runtime.vault.session(principal.tenant_id) as session:
        if body.code is None:
            made, url = await consents.start(session, runtime, body.channel, body.agent_id)
            return _out(made, url)
        made = await consents.begin(session, body.channel, body.agent_id)
        consent_id = made.id
    place = Place(principal.tenant_id, consent_id)
    await consents.exchange(runtime, place, body.channel, body.agent_id, body.code.get_secret_value(), "")
    async with runtime.vault.session(principal.tenant_id) as session:
        return _out(await consents.get_consent(session, consent_id))


@router.get("/{consent_id}", dependencies=[needs("connections:read")])
async def get(consent_id: UUID, session: CurrentSession) -> ConsentOut:
    """How far a consent came."""
    return _out(await consents.get_consent(session, consent_id))


@choosing.post("/{consent_id}/accounts", dependencies=[needs("connections:write")])
async def choose(consent_id: UUID, body: AccountChoice, principal: CurrentPrincipal, request: Request) -> ConsentOut:
    """Connect some of the accounts that the owner let us use."""
    runtime = of_request(request)
    await consents.choose(runtime, principal.tenant_id, consent_id, body.account_ids)
    async with runtime.vault.session(principal.tenant_id) as session:
        return _out(await consents.get_consent(session, consent_id))


@callbacks.get("/{channel}/callback")
async def come_back(channel: str, request: Request) -> HTMLResponse:
    """The owner is back from the provider, with a code or a refusal."""
    query, runtime = request.query_params, of_request(request)
    # TikTok calls it auth_code in some answers; Instagram appends #_ to it.
    code = (query.get("code") or query.get("auth_code") or "").removesuffix("#_")
    try:
        done = await consents.finish(runtime, channel, query.get("state", ""), code)
    except ConsentRefused as error:
        return page_of(error.message, error.status_code)
    async with runtime.vault.session(done.tenant_id) as session:
        found = await consents.get_consent(session, done.id)
        words = _WORDS.get(found.state) or f"The account could not be connected. {found.error or ''}"
        return page_of(words, 200 if found.state in _WORDS else ConsentRefused.status_code)


def _out(consent: Consent, url: str | None = None) -> ConsentOut:
    found = [AccountOut(id=each.account_id, name=each.display_name) for each in consents.accounts(consent)]
    return ConsentOut(
        id=consent.id,
        channel=consent.channel,
        state=consent.state,
        url=url,
        expires_at=consent.expires_at,
        accounts=found,
        connection_ids=consent.connection_ids,
        error_code=consent.error_code,
        error=consent.error,
    )
