"""Work whose job is gone: found again and given a new one, so that nothing that was acknowledged stays undone.

A job that used up its attempts while the database or the queue was away leaves an event unhandled, a message
unanswered or a delivery open. All three jobs do nothing when there is nothing to do, so a second one is harmless.
"""

import logging
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.connections import LIVE
from app.models import Connection, Delivery, InboundEvent, Message, Tenant, Turn, now
from app.queue import ANSWERS, DELIVERIES, INBOUND
from app.runtime import Runtime

logger = logging.getLogger(__name__)

# Longer than all attempts of a job together take.
QUIET = timedelta(minutes=15)
_AT_ONCE = 100


class _Lost(NamedTuple):
    """A job to be given anew."""

    task: str
    slot: str
    argument: str
    row: UUID
    lock: str


async def rescue(runtime: Runtime, quiet: timedelta = QUIET) -> int:
    """Look through every tenant for work that nothing moved for `quiet`; returns how many jobs were added."""
    async with runtime.db.session() as session:
        tenants = list(await session.scalars(select(Tenant.id)))
    count = 0
    for tenant_id in tenants:
        try:
            count += await _rescue_tenant(runtime, tenant_id, quiet)
        except Exception:
            # One tenant's trouble must not keep the others waiting.
            logger.exception("lost work of tenant %s could not be looked for", tenant_id)
    return count


async def _rescue_tenant(runtime: Runtime, tenant_id: UUID, quiet: timedelta) -> int:
    async with runtime.vault.session(tenant_id) as session:
        found = [
            *[
                _Lost("webhooks:handle_event", INBOUND, "event_id", row, f"event:{row}")
                for row in await _events(session, quiet)
            ],
            *await _messages(session, quiet),
            # Under the delivery's own lock: a live job that waits for its time goes first.
            *[
                _Lost("channels:deliver_message", DELIVERIES, "delivery_id", row, f"delivery:{row}")
                for row in await _deliveries(session, quiet)
            ],
        ]
        without_job = [lost for lost in found if not await _has_job(session, lost)]
        for lost in without_job:
            ids = {"tenant_id": tenant_id, lost.argument: lost.row}
            await runtime.queue.defer(session, lost.task, lost.slot, lock=lost.lock, ids=ids)
    return len(without_job)


async def _has_job(session: AsyncSession, lost: _Lost) -> bool:
    """Whether a job for it is waiting, for its time perhaps, or running."""
    query = text(
        "select 1 from queue.procrastinate_jobs"
        " where task_name = :task and status in ('todo', 'doing') and args ->> :argument = :row limit 1"
    )
    values = {"task": lost.task, "argument": lost.argument, "row": str(lost.row)}
    return await session.scalar(query, values) is not None


async def _events(session: AsyncSession, quiet: timedelta) -> list[UUID]:
    query = select(InboundEvent.id).where(InboundEvent.handled_at.is_(None), InboundEvent.created_at < now() - quiet)
    return list(await session.scalars(query.limit(_AT_ONCE)))


async def _messages(session: AsyncSession, quiet: timedelta) -> list[_Lost]:
    query = (
        select(Message.id, Message.conversation_id)
        .join(Connection, Connection.id == Message.connection_id)
        .outerjoin(Turn, Turn.id == Message.turn_id)
        .where(
            Connection.state.in_(LIVE),
            Message.status == "received",
            Message.created_at < now() - quiet,
            or_(Message.turn_id.is_(None), Turn.state.in_(("running", "superseded"))),
        )
    )
    return [
        _Lost("conversations:answer", ANSWERS, "message_id", row[0], f"conversation:{row[1]}")
        for row in await session.execute(query.limit(_AT_ONCE))
    ]


async def _deliveries(session: AsyncSession, quiet: timedelta) -> list[UUID]:
    query = select(Delivery.id).where(Delivery.state.in_(("queued", "sending")), Delivery.created_at < now() - quiet)
    return list(await session.scalars(query.limit(_AT_ONCE)))
