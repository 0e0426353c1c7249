"""Connecting a channel account. Letting go of one is an erasure (app/privacy)."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Account, Credentials, Grant, Retention
from app.channels.polling import Mailbox, Mailboxes
from app.channels.registry import provider_for
from app.channels.routes import write_routes
from app.crypto import current_keyring
from app.errors import Conflict, NotFound
from app.models import Agent, Connection, ConnectionKey, new_id, now
from app.runtime import Runtime
from app.web import Page

# A connection that is being made takes messages already: its webhook may call before the connect has ended.
LIVE = ("connecting", "active", "needs_reauthorisation")
# Among a connection's credentials: the other ids by which its events name it.
ROUTES = "routes"
_REFRESH_AHEAD_SECONDS = 600


class AccountTaken(Conflict):
    """This account is connected already, or is being connected just now. Disconnect it where it is connected first."""

    code = "account_taken"


async def connect(
    runtime: Runtime, tenant_id: UUID, channel: str, agent_id: UUID, credentials: Credentials
) -> Connection:
    """Check the credentials of a form with the provider, and connect the account that they are for."""
    async with runtime.vault.session(tenant_id) as session:
        await check_agent(session, agent_id)
    account = await provider_for(channel, runtime.settings).identify(runtime.provider_http[channel], credentials)
    return await connect_account(runtime, tenant_id, channel, agent_id, Grant(account, credentials))


async def connect_account(runtime: Runtime, tenant_id: UUID, channel: str, agent_id: UUID, grant: Grant) -> Connection:
    """Keep a connection to an account, and have the account's events sent to us.

    No transaction is open while the provider is asked. An account that is connected already keeps its connection,
    with the new credentials and agent, and goes on working with the old ones if the provider refuses.
    """
    account, credentials = grant.account, Credentials(grant.credentials | {ROUTES: " ".join(grant.account.routes)})
    connection_id, is_new = await _reserve(runtime, tenant_id, channel, agent_id, account, credentials)
    try:
        await subscribe(runtime, channel, connection_id, credentials)
        position = await _position(runtime, channel, grant)
        async with runtime.vault.session(tenant_id) as session:
            connection = await session.get(Connection, connection_id, with_for_update=True)
            if connection is None or connection.state not in LIVE:
                raise Conflict("The connection was removed meanwhile; connect again.")
            await check_agent(session, agent_id)
            connection.agent_id, connection.state = agent_id, "active"
            renew_credentials(connection, credentials)
            # One that is connected anew goes on where it was.
            connection.position = connection.position or position
            if position is not None:
                # At once, as something may wait since it worked last.
                connection.polled_at = datetime.fromtimestamp(0, UTC)
            await note_subscribed(session, runtime, connection)
            return connection
    except Exception as error:
        if is_new:
            await _drop(runtime, tenant_id, connection_id)
        if isinstance(error, IntegrityError):
            raise AccountTaken from None
        raise


async def _position(runtime: Runtime, channel: str, grant: Grant) -> str | None:
    """Where a mailbox is read from: what is in it already is left alone, what comes from now on is not missed."""
    provider = provider_for(channel, runtime.settings)
    if not provider.capabilities.polled:
        return None
    mailbox = Mailbox(account_id=grant.account.account_id, own_addresses=frozenset())
    fetch = cast("Mailboxes", provider).fetch
    return (await fetch(runtime.provider_http[channel], grant.credentials, mailbox)).position


def renew_credentials(connection: Connection, credentials: Credentials) -> None:
    """Keep new credentials, and when they are to be refreshed: well before they expire."""
    connection.credentials = dict(credentials)
    expires = credentials.get("expires_at", "")
    due = credentials.get("refresh_at") or (str(int(expires) - _REFRESH_AHEAD_SECONDS) if expires.isdigit() else "")
    connection.refresh_at = datetime.fromtimestamp(int(due), UTC) if due else None


async def subscribe(runtime: Runtime, channel: str, connection_id: UUID, credentials: Credentials) -> None:
    """Point the provider's webhook at a connection, with the secret that only the two know."""
    url = webhook_url(runtime, channel, connection_id)
    secret = runtime.vault.master.webhook_secret(connection_id)
    await provider_for(channel, runtime.settings).subscribe(runtime.provider_http[channel], credentials, url, secret)


async def note_subscribed(session: AsyncSession, runtime: Runtime, connection: Connection) -> None:
    """Keep that events come to a connection by what the current master key says: its webhook's secret, its routes."""
    master, mine = runtime.vault.master, ConnectionKey.connection_id == connection.id
    await session.execute(update(ConnectionKey).where(mine).values(webhook_master_id=master.id))
    connection.checked_at = now()
    limits = provider_for(connection.channel, runtime.settings).capabilities
    if limits.polled and connection.polled_at is None:
        connection.polled_at = now()
    if limits.shared_webhook or limits.polled:
        others = str(connection.credentials.get(ROUTES, "")).split()
        place = connection.channel, connection.id, connection.account_id
        await write_routes(session, master, *place, others, mailbox=limits.polled)


def webhook_url(runtime: Runtime, channel: str, connection_id: UUID) -> str:
    """Where the provider sends a connection's events: one address for all, or one for each."""
    base = f"{runtime.settings.base_url}/webhooks/{channel}"
    shared = provider_for(channel, runtime.settings).capabilities.shared_webhook
    return base if shared else f"{base}/{connection_id}"


async def live_connection(session: AsyncSession, channel: str, account_id: str) -> Connection | None:
    """The tenant's connection of an account that is not disconnected, if there is one."""
    return await session.scalar(select(Connection).where(Connection.account_hash == account_hash(channel, account_id)))


async def _reserve(
    runtime: Runtime, tenant_id: UUID, channel: str, agent_id: UUID, account: Account, credentials: Credentials
) -> tuple[UUID, bool]:
    """The id of the account's connection, and whether it was made now: the webhook is set once, for the right one."""
    try:
        async with runtime.vault.session(tenant_id) as session:
            known = await live_connection(session, channel, account.account_id)
            if known is not None:
                return known.id, False
            await check_agent(session, agent_id)
            retention = provider_for(channel, runtime.settings).capabilities.retention
            made = await store(
                session, new_id(), channel, agent_id, account, dict(credentials), simulated=False, retention=retention
            )
            made.state = "connecting"
            await note_subscribed(session, runtime, made)
            return made.id, True
    except IntegrityError:
        raise AccountTaken from None


async def _drop(runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> None:
    """Remove a connection that could not be made, unless another request has made it meanwhile."""
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id, with_for_update=True)
        if connection is not None and connection.state == "connecting":
            await session.delete(connection)
            await session.execute(delete(ConnectionKey).where(ConnectionKey.connection_id == connection_id))


async def check_agent(session: AsyncSession, agent_id: UUID) -> None:
    """Raise NotFound if there is no such agent, and keep it from being deleted until the transaction ends."""
    # Shared with other connects, but not with a deletion of the agent.
    if await session.get(Agent, agent_id, with_for_update={"read": True}) is None:
        raise NotFound("There is no such agent.")


async def store(
    session: AsyncSession,
    connection_id: UUID,
    channel: str,
    agent_id: UUID,
    account: Account,
    credentials: dict[str, Any],
    *,
    simulated: bool,
    retention: Retention = "30 days",
) -> Connection:
    """Write a connection with a data key of its own."""
    keyring = current_keyring()
    wrapped = keyring.add_connection(connection_id)
    session.add(ConnectionKey(connection_id=connection_id, tenant_id=keyring.tenant_id, wrapped=wrapped))
    connection = Connection(
        id=connection_id,
        channel=channel,
        agent_id=agent_id,
        simulated=simulated,
        retention=retention,
        account_hash=account_hash(channel, account.account_id),
        account_id=account.account_id,
        display_name=account.display_name,
        credentials=credentials,
    )
    session.add(connection)
    await session.flush()
    return connection


async def get_connection(session: AsyncSession, connection_id: UUID, *, lock: bool = False) -> Connection:
    """One connection; raises NotFound. While it is locked, no webhook is taken or handled."""
    query = select(Connection).where(Connection.id == connection_id)
    connection = await session.scalar(query.with_for_update() if lock else query)
    if connection is None:
        raise NotFound("There is no such connection.")
    return connection


async def list_connections(session: AsyncSession, page: Page) -> list[Connection]:
    """A page of connections, newest first, and one more if there is one."""
    query = select(Connection).order_by(Connection.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        query = query.where(Connection.id < page.after)
    return list(await session.scalars(query))


def account_hash(channel: str, account_id: str) -> bytes:
    """By which an account is recognised within its tenant, without its id in clear."""
    return current_keyring().lookup("account", f"{channel}\0{account_id}")
