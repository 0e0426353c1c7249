"""Connecting a channel account, and letting go of it."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Account, Credentials
from app.channels.registry import provider_for
from app.crypto import current_keyring
from app.errors import Conflict, NotFound
from app.models import Agent, Connection, ConnectionKey, new_id
from app.queue import DELIVERIES, Queue
from app.runtime import Runtime
from app.web import Page


async def connect(
    runtime: Runtime, tenant_id: UUID, channel: str, agent_id: UUID, credentials: Credentials
) -> Connection:
    """Check the credentials with the provider, point its webhook at us, and keep the connection.

    No transaction is open while the provider is asked. An account that is connected already keeps its connection,
    with the new credentials and agent: its webhook must not end up at a second one.
    """
    async with runtime.vault.session(tenant_id) as session:
        if await session.get(Agent, agent_id) is None:
            raise NotFound("There is no such agent.")
    connection_id = new_id()
    account = await _subscribe(runtime, channel, credentials, connection_id)
    async with runtime.vault.session(tenant_id) as session:
        known = await session.scalar(
            select(Connection.id).where(Connection.account_hash == account_hash(channel, account.account_id))
        )
        if known is None:
            return await _store_new(session, connection_id, channel, agent_id, account, credentials)
    await _subscribe(runtime, channel, credentials, known)
    async with runtime.vault.session(tenant_id) as session:
        connection = await get_connection(session, known, lock=True)
        connection.credentials = dict(credentials)
        connection.agent_id = agent_id
        connection.state = "active"
        return connection


async def _subscribe(runtime: Runtime, channel: str, credentials: Credentials, connection_id: UUID) -> Account:
    provider = provider_for(channel, runtime.settings)
    url = f"{runtime.settings.base_url}/webhooks/{channel}/{connection_id}"
    secret = runtime.vault.master.webhook_secret(connection_id)
    return await provider.connect(runtime.provider_http, credentials, url, secret)


async def _store_new(
    session: AsyncSession,
    connection_id: UUID,
    channel: str,
    agent_id: UUID,
    account: Account,
    credentials: Credentials,
) -> Connection:
    try:
        return await store(session, connection_id, channel, agent_id, account, dict(credentials), simulated=False)
    except IntegrityError:
        raise Conflict("This account is being connected by another request; try again.") from None


async def store(
    session: AsyncSession,
    connection_id: UUID,
    channel: str,
    agent_id: UUID,
    account: Account,
    credentials: dict[str, Any],
    *,
    simulated: bool,
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
        account_hash=account_hash(channel, account.account_id),
        account_id=account.account_id,
        display_name=account.display_name,
        credentials=credentials,
    )
    session.add(connection)
    await session.flush()
    return connection


async def disconnect(session: AsyncSession, queue: Queue, connection_id: UUID) -> None:
    """Stop a connection at once; a job takes its webhook back at the provider and then forgets its credentials.

    The moved epoch stops work that is under way.
    """
    connection = await get_connection(session, connection_id, lock=True)
    if connection.state == "disconnected":
        return
    connection.state = "disconnected"
    connection.epoch += 1
    connection.account_hash = None
    await queue.defer(
        session,
        "channels:release",
        DELIVERIES,
        ids={"tenant_id": current_keyring().tenant_id, "connection_id": connection_id},
    )


async def get_connection(session: AsyncSession, connection_id: UUID, *, lock: bool = False) -> Connection:
    """One connection; raises NotFound."""
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
