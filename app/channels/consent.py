"""Connecting an account by its owner's consent (OAuth 2, RFC 6749, with PKCE, RFC 7636): there, back, and connected.

The state that travels through the browser names a tenant and a consent, signed by the master key; it is used once.
"""

import base64
import binascii
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Account, Credentials, Grant
from app.channels.connections import check_agent, connect_account
from app.channels.registry import provider_for
from app.crypto import MasterKey
from app.errors import Conflict, JobxError, NotFound, Unprocessable
from app.models import Consent, now
from app.runtime import Runtime

logger = logging.getLogger(__name__)
_LIFETIME = timedelta(hours=1)
_IDS = 32
_PURPOSE = "consent state"


class ConsentRefused(Unprocessable):
    """The consent is unknown, was used already, or took longer than an hour; start again."""

    code = "consent_refused"


class NothingToChoose(Conflict):
    """There is nothing to choose: the consent is not waiting for a choice of accounts."""

    code = "nothing_to_choose"


@dataclass(frozen=True, slots=True)
class Place:
    """Which consent of which tenant a state names."""

    tenant_id: UUID
    consent_id: UUID


async def start(session: AsyncSession, runtime: Runtime, channel: str, agent_id: UUID) -> tuple[Consent, str]:
    """Begin a consent; returns it with the address that the owner has to open. Raises ConnectRefused, NotFound."""
    verifier = secrets.token_urlsafe(48)
    consent = await begin(session, channel, agent_id, "waiting", verifier)
    state = _sign(runtime.vault.master, Place(consent.tenant_id, consent.id))
    return consent, provider_for(channel, runtime.settings).authorise_url(
        state, redirect_uri(runtime, channel), verifier
    )


async def begin(
    session: AsyncSession, channel: str, agent_id: UUID, state: str = "exchanging", verifier: str | None = None
) -> Consent:
    """Write down that an owner is on the way; NotFound if there is no such agent."""
    await check_agent(session, agent_id)
    consent = Consent(agent_id=agent_id, channel=channel, state=state, expires_at=now() + _LIFETIME, connection_ids=[])
    consent.verifier = verifier
    session.add(consent)
    await session.flush()
    return consent


async def finish(runtime: Runtime, channel: str, state: str, code: str | None) -> Consent:
    """Take what the provider sent back: connect the one account that was granted, or keep several to choose from.

    Without a code the owner refused. Raises ConsentRefused; other failures are kept with the consent, in words.
    """
    place = read_state(runtime.vault.master, state)
    async with runtime.vault.session(place.tenant_id) as session:
        consent = await session.get(Consent, place.consent_id, with_for_update=True)
        if consent is None or consent.state != "waiting" or consent.channel != channel or consent.expires_at < now():
            raise ConsentRefused
        consent.state, verifier, consent.verifier = "exchanging", consent.verifier or "", None
        agent_id = consent.agent_id
    return await exchange(runtime, place, channel, agent_id, code, verifier)


async def exchange(
    runtime: Runtime, place: Place, channel: str, agent_id: UUID, code: str | None, verifier: str
) -> Consent:
    """Get what was granted for a code, and connect it if there is nothing to choose."""
    try:
        if not code:
            raise ConsentRefused("The owner did not agree.", code="consent_denied")
        provider = provider_for(channel, runtime.settings)
        client = runtime.provider_http[channel]
        granted = list(await provider.grants(client, code, redirect_uri(runtime, channel), verifier))
        if len(granted) == 1:
            made = await connect_account(runtime, place.tenant_id, channel, agent_id, granted[0])
            return await _end(runtime, place, "connected", connection_ids=[made.id])
        return await _end(runtime, place, "choose", grants=granted)
    except JobxError as error:
        logger.info("a consent on %s failed: %s", channel, error.code)
        return await _end(runtime, place, "failed", error=error)


async def choose(runtime: Runtime, tenant_id: UUID, consent_id: UUID, account_ids: Sequence[str]) -> Consent:
    """Connect some of the accounts that were granted; raises NothingToChoose, NotFound, and what `connect` raises."""
    place = Place(tenant_id, consent_id)
    async with runtime.vault.session(tenant_id) as session:
        consent = await get_consent(session, consent_id)
        if consent.state != "choose" or consent.expires_at < now():
            raise NothingToChoose
        channel, agent_id = consent.channel, consent.agent_id
        granted = {grant.account.account_id: grant for grant in map(_read, consent.grants or [])}
    unknown = [one for one in account_ids if one not in granted]
    if unknown:
        raise NotFound("There is no such account among those that were granted.")
    made = [await connect_account(runtime, tenant_id, channel, agent_id, granted[one]) for one in account_ids]
    return await _end(runtime, place, "connected", connection_ids=[connection.id for connection in made])


async def get_consent(session: AsyncSession, consent_id: UUID) -> Consent:
    """One consent; raises NotFound."""
    consent = await session.get(Consent, consent_id)
    if consent is None:
        raise NotFound("There is no such consent.")
    return consent


def accounts(consent: Consent) -> list[Account]:
    """The accounts that there are to choose from."""
    return [_read(one).account for one in consent.grants or []]


def redirect_uri(runtime: Runtime, channel: str) -> str:
    """Where providers send owners back to; it has to be registered with each of them."""
    return f"{runtime.settings.base_url}/oauth/{channel}/callback"


def read_state(master: MasterKey, state: str) -> Place:
    """What a state names; raises ConsentRefused for one that we did not make."""
    try:
        raw = base64.urlsafe_b64decode(state.encode() + b"=" * (-len(state) % 4))
    except (ValueError, binascii.Error):
        raise ConsentRefused from None
    ids, signature = raw[:_IDS], raw[_IDS:]
    if len(ids) != _IDS or not master.signed(_PURPOSE, ids, signature):
        raise ConsentRefused
    return Place(UUID(bytes=ids[:16]), UUID(bytes=ids[16:]))


def _sign(master: MasterKey, place: Place) -> str:
    ids = place.tenant_id.bytes + place.consent_id.bytes
    return base64.urlsafe_b64encode(ids + master.sign(_PURPOSE, ids)).rstrip(b"=").decode()


async def _end(
    runtime: Runtime,
    place: Place,
    state: str,
    *,
    connection_ids: Sequence[UUID] = (),
    grants: Sequence[Grant] = (),
    error: JobxError | None = None,
) -> Consent:
    """Write down how far a consent came; what was granted is forgotten once it is connected."""
    async with runtime.vault.session(place.tenant_id) as session:
        consent = await get_consent(session, place.consent_id)
        consent.state, consent.connection_ids = state, list(connection_ids)
        consent.grants = [_written(grant) for grant in grants] or None
        if error is not None:
            consent.error_code, consent.error = error.code, error.message
        return consent


def _written(grant: Grant) -> dict[str, object]:
    account = grant.account
    return {
        "id": account.account_id,
        "name": account.display_name,
        "routes": list(account.routes),
        "credentials": dict(grant.credentials),
    }


def _read(kept: dict[str, object]) -> Grant:
    routes, credentials = kept["routes"], kept["credentials"]
    names = tuple(map(str, routes)) if isinstance(routes, list) else ()
    secrets_of = credentials if isinstance(credentials, dict) else {}
    return Grant(Account(str(kept["id"]), str(kept["name"]), {}, names), Credentials(secrets_of))
