"""The jobs of channels: a delivery that is not sent by its own turn, and the end of a connection."""

from uuid import UUID

import procrastinate
from procrastinate import JobContext

from app.channels.base import ConnectRefused, Credentials, ProviderUnavailable
from app.channels.connections import get_connection, live_connection, subscribe, webhook_url
from app.channels.delivery import deliver, take
from app.channels.registry import client_for, provider_for
from app.models import Connection
from app.queue import DELIVERIES, MAX_ATTEMPTS, job
from app.runtime import Runtime, of_job

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


async def _give_back(runtime: Runtime, tenant_id: UUID, connection: Connection) -> None:
    """Set the webhook of an account that was connected again meanwhile: it may have just been taken."""
    async with runtime.vault.session(tenant_id) as session:
        successor = await live_connection(session, connection.channel, connection.account_id)
        credentials = None if successor is None else Credentials(successor.credentials)
    if successor is not None and credentials is not None:
        await subscribe(runtime, successor.channel, successor.id, credentials)
