"""The job behind every stored webhook."""

from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import Credentials, InboundEvent
from app.channels.gate import lock_connection
from app.channels.registry import client_for, provider_for
from app.conversations import inbound
from app.conversations.statuses import STATUSES, note_status
from app.models import Connection, now
from app.models import InboundEvent as StoredEvent
from app.privacy.erasure import erase_connection
from app.queue import DELIVERIES, INBOUND, job
from app.runtime import Runtime, of_job
from app.webhooks.mailboxes import defer_poll, poll

blueprint = procrastinate.Blueprint()


@job(blueprint, "webhooks:handle_event", INBOUND)
async def handle_event(context: JobContext, tenant_id: UUID, event_id: UUID) -> None:
    """Turn a stored body into messages, edits and jobs; the body is dropped once that is done."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        stored = await session.get(StoredEvent, event_id, with_for_update=True)
        if stored is None or stored.handled_at is not None:
            return
        connection = await lock_connection(session, stored.connection_id, stored.epoch)
        if connection is None:
            stored.body_sealed, stored.handled_at = None, now()
            return
        provider = provider_for(connection.channel, runtime.settings)
        events = provider.parse(stored.body, connection.account_id)
        about = [await _apply(session, runtime, connection, event) for event in events]
        tapped = [event for event in events if event.callback_id is not None]
        stored.body_sealed, stored.handled_at = None, now()
        stored.conversation_ids = sorted({one for one in about if one is not None})
        if any(event.kind == "account_removed" for event in events):
            await erase_connection(session, runtime, connection.id)
        # None once it was disconnected, and not connected again since it was restored.
        credentials = Credentials(connection.credentials or {})
        if any(event.kind == "mailbox_changed" for event in events):
            await defer_poll(session, runtime, tenant_id, connection.id)
    for event in tapped if credentials else ():
        await provider.acknowledge(client_for(connection, runtime), credentials, event)


@job(blueprint, "webhooks:poll_mailbox", DELIVERIES)
async def poll_mailbox(context: JobContext, tenant_id: UUID, connection_id: UUID) -> None:
    """Fetch what is new in a mailbox."""
    await poll(of_job(context), tenant_id, connection_id)


async def _apply(session: AsyncSession, runtime: Runtime, connection: Connection, event: InboundEvent) -> UUID | None:
    if event.kind in STATUSES:
        return await note_status(session, runtime, connection, event)
    return await inbound.take(session, runtime.queue, connection, event)
