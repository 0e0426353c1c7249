"""Verified webhook bodies become durable events, once each."""

import logging
from typing import Literal
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from app.channels.base import InboundEvent as ProviderEvent
from app.channels.registry import provider_for
from app.channels.routes import routed
from app.crypto import current_keyring
from app.models import InboundEvent
from app.queue import INBOUND
from app.runtime import Runtime

logger = logging.getLogger(__name__)

Recorded = Literal["recorded", "duplicate", "ignored", "unknown_connection"]
# What a body of several parts counts as: the first of these that one of them is.
_FIRST: tuple[Recorded, ...] = ("recorded", "duplicate", "ignored")


async def record_parts(runtime: Runtime, channel: str, body: bytes) -> Recorded:
    """Store each account's part of a verified body with its connection; what is nobody's is not stored.

    Each part is a transaction: what fails comes again whole, and what was stored is a duplicate then.
    """
    found: set[Recorded] = set()
    for part in provider_for(channel, runtime.settings).parts(body):
        for connection_id in await routed(runtime, channel, part.account_id or ""):
            found.add(await record_event(runtime, channel, connection_id, part.body))
    return next((outcome for outcome in _FIRST if outcome in found), "unknown_connection")


async def record_event(
    runtime: Runtime, channel: str, connection_id: UUID, body: bytes, *, epoch: int | None = None
) -> Recorded:
    """Store a verified body and the job that handles it, in one transaction; a body that came before is a no-op.

    `epoch` is the connection's when the body was asked for; what was asked for before an erasure is not stored.
    Two round trips between begin and commit: how long a provider waits is what they take.
    """
    async with runtime.vault.connection(connection_id) as (session, connection):
        if connection is None or connection.channel != channel:
            return "unknown_connection"
        if connection.state in ("erasing", "disconnected") or epoch not in (None, connection.epoch):
            logger.info("webhook ignored: its connection is %s", connection.state)
            return "ignored"
        events = provider_for(channel, runtime.settings).parse(body, connection.account_id)
        if not events:
            return "ignored"
        key = _dedup_key(connection_id, events)
        event = InboundEvent(connection_id=connection_id, dedup_hash=key, body=body, epoch=connection.epoch)
        added = await runtime.queue.defer(
            session,
            "webhooks:handle_event",
            INBOUND,
            lock=_order_lock(connection_id, events),
            ids={"tenant_id": connection.tenant_id, "event_id": event.id},
            once=insert(InboundEvent).values(event.column_values()).on_conflict_do_nothing().returning(InboundEvent.id),
        )
    return "recorded" if added else "duplicate"


def _order_lock(connection_id: UUID, events: list[ProviderEvent]) -> str:
    """Events of one conversation are handled in the order in which they came; a keyed hash tells nobody whose."""
    conversation = next((event.conversation_id for event in events if event.conversation_id), "")
    return f"inbound:{current_keyring().lookup('order', conversation, connection_id).hex()}"


def _dedup_key(connection_id: UUID, events: list[ProviderEvent]) -> bytes:
    """The ids of the events in the body, of which there is at least one."""
    name = "\0".join(event.dedup_id for event in events)
    return current_keyring().lookup("event", name, connection_id)
