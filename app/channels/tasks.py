"""The jobs of channels: a delivery that is not sent by its own turn, and a webhook secret that is to be renewed."""

import logging
from uuid import UUID

import procrastinate
from procrastinate import JobContext

from app.channels.base import ConnectRefused, Credentials
from app.channels.care import care
from app.channels.connections import LIVE, note_subscribed, subscribe, webhook_url
from app.channels.delivery import deliver, take
from app.channels.registry import provider_for
from app.models import Connection, ConnectionKey
from app.queue import DELIVERIES, job
from app.runtime import of_job

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


@job(blueprint, "channels:care", DELIVERIES)
async def care_for(context: JobContext, tenant_id: UUID, connection_id: UUID) -> None:
    """Refresh a connection's token, or ask for its events again, as is due."""
    await care(of_job(context), tenant_id, connection_id)


@job(blueprint, "channels:renew_webhook", DELIVERIES)
async def renew_webhook(context: JobContext, tenant_id: UUID, connection_id: UUID) -> None:
    """Tell the provider the webhook secret of the current master key; until then it sends the previous one's."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id)
        keys = await session.get(ConnectionKey, connection_id)
        if connection is None or keys is None or connection.state not in LIVE or connection.simulated:
            return
        if connection.credentials_sealed is None:
            # It was restored; connecting it again sets its webhook.
            return
        if keys.webhook_master_id == runtime.vault.master.id:
            return
        channel, credentials = connection.channel, Credentials(connection.credentials)
    try:
        await subscribe(runtime, channel, connection_id, credentials)
    except ConnectRefused:
        logger.warning("the webhook of a connection cannot be renewed: its credentials are refused")
        return
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id, with_for_update={"read": True})
        if connection is not None and connection.state in LIVE:
            await note_subscribed(session, runtime, connection)
            return
    # Disconnected meanwhile: what was set after it was taken back is taken back again.
    url = webhook_url(runtime, channel, connection_id)
    await provider_for(channel, runtime.settings).disconnect(runtime.provider_http[channel], credentials, url)
