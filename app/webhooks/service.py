"""Verified webhook bodies become durable events, once each."""

import hashlib
import logging
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.auth.service import find_tenant
from app.channels.base import InboundEvent as ProviderEvent
from app.channels.registry import provider_for
from app.crypto import current_keyring
from app.models import Connection, InboundEvent
from app.queue import INBOUND
from app.runtime import Runtime

logger = logging.getLogger(__name__)

Recorded = Literal["recorded", "duplicate", "ignored", "unknown_connection"]


async def record_event(runtime: Runtime, channel: str, connection_id: UUID, body: bytes) -> Recorded:
    """Store a verified body and the job that handles it, in one transaction; a body that came before is a no-op."""
    tenant_id = await find_tenant(runtime.db, "connection", connection_id.bytes)
    if tenant_id is None:
        return "unknown_connection"
    async with runtime.vault.session(tenant_id) as session:
        query = select(Connection).where(Connection.id == connection_id, Connection.channel == channel)
        connection = await session.scalar(query.with_for_update(read=True))
        if connection is None:
            return "unknown_connection"
        if connection.state in ("erasing", "disconnected"):
            logger.info("webhook ignored: connection %s is %s", connection_id, connection.state)
            return "ignored"
        events = provider_for(channel, runtime.settings).parse(body, connection.account_id)
        key = _dedup_key(connection, events, body)
        event = InboundEvent(connection_id=connection_id, dedup_hash=key, body=body, epoch=connection.epoch)
        statement = insert(InboundEvent).values(event.column_values()).on_conflict_do_nothing()
        if await session.scalar(statement.returning(InboundEvent.id)) is None:
            return "duplicate"
        await runtime.queue.defer(
            session,
            "webhooks:handle_event",
            INBOUND,
            lock=_order_lock(connection, events),
            ids={"tenant_id": tenant_id, "event_id": event.id},
        )
    return "recorded"


def _order_lock(connection: Connection, events: list[ProviderEvent]) -> str:
    """Events of one conversation are handled in the order in which they came; a keyed hash tells nobody whose."""
    conversation = next((event.conversation_id for event in events if event.conversation_id), "")
    return f"inbound:{current_keyring().lookup('order', conversation, connection.id).hex()}"


def _dedup_key(connection: Connection, events: list[ProviderEvent], body: bytes) -> bytes:
    """The ids of the events in the body; a body without any is known by its own bytes."""
    name = "\0".join(event.dedup_id for event in events) or hashlib.sha256(body).hexdigest()
    return current_keyring().lookup("event", name, connection.id)
