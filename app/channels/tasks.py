"""The jobs of channels: a delivery that is not sent by its own turn, and the end of a connection."""

import logging
from uuid import UUID

import procrastinate
from procrastinate import JobContext

from app.channels.base import ConnectRefused, Credentials, ProviderUnavailable
from app.channels.connections import LIVE, get_connection, live_connection, note_subscribed, subscribe, webhook_url
from app.channels.delivery import deliver, take
from app.channels.registry import client_for, provider_for
from app.models import Connection, ConnectionKey
from app.queue import DELIVERIES, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job

logger = logging.getLogger(__name__)
blueprint = procrastinate.Blueprint()


@job(blueprint, "channels:deliver_message", DELIVERIES)
async def deliver_message(context: JobContext, tenant_id: UUID, delivery_id: UUID) -> None:
    """Send one part of a reply, unless something came between, and record what the provider said."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        parcel = await take(session, runtime, delivery_id)
    if parcel is not None:
        await deliver(runtime, parcel)


@job(blueprint, "channels:release", DELIVERIES)
async def release(context: JobContext, tenant_id: UUID, connection_id: UUID) -> None:
    """Take a disconnected connection's webhook back at the provider, then forget its credentials."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        connection = await get_connection(session, connection_id)
        if connection.credentials_sealed is None or connection.state != "disconnected":
            return
        credentials = Credentials(connection.credentials)
    url = webhook_url(runtime, connection.channel, connection.id)
    provider = provider_for(connection.channel, runtime.settings)
    try:
        await provider.disconnect(client_for(connection, runtime), credentials, url)
        await _give_back(runtime, tenant_id, connection)
    except (ConnectRefused, ProviderUnavailable):
        if context.job.attempts < MAX_ATTEMPTS - 1:
            raise
    async with runtime.vault.session(tenant_id) as session:
        (await get_connection(session, connection.id, lock=True)).credentials_sealed = None


@job(blueprint, "channels:renew_webhook", DELIVERIES)
async def renew_webhook(context: JobContext, tenant_id: UUID, connection_id: UUID) -> None:
    """Tell the provider the webhook secret of the current master key; until then it sends the previous one's."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id)
        keys = await session.get(ConnectionKey, connection_id)
        if connection is None or keys is None or connection.state not in LIVE or connection.simulated:
            return
        if keys.webhook_master_id == runtime.vault.master.id:
            return
        channel, credentials = connection.channel, Credentials(connection.credentials)
    try:
        await subscribe(runtime, channel, connection_id, credentials)
    except ConnectRefused:
        logger.warning("the webhook of connection %s cannot be renewed: its credentials are refused", connection_id)
        return
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id, with_for_update={"read": True})
        if connection is not None and connection.state in LIVE:
            await note_subscribed(session, runtime, connection_id)
            return
    # Disconnected meanwhile: what was set after it was taken back is taken back again.
    url = webhook_url(runtime, channel, connection_id)
    await provider_for(channel, runtime.settings).disconnect(runtime.provider_http, credentials, url)


async def _give_back(runtime: Runtime, tenant_id: UUID, connection: Connection) -> None:
    """Set the webhook of an account that was connected again meanwhile: it may have just been taken."""
    async with runtime.vault.session(tenant_id) as session:
        successor = await live_connection(session, connection.channel, connection.account_id)
        credentials = None if successor is None else Credentials(successor.credentials)
    if successor is not None and credentials is not None:
        await subscribe(runtime, successor.channel, successor.id, credentials)
        async with runtime.vault.session(tenant_id) as session:
            await note_subscribed(session, runtime, successor.id)
