"""Work whose job is gone: found again and given a new one, so that nothing that was acknowledged stays undone.

A job that used up its attempts while the database or the queue was away leaves an event unhandled, a message
unanswered, a delivery open or an eval run undone. These jobs do nothing when there is nothing to do, so a second one is
harmless.
"""

import logging
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, column, exists, or_, select, table, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.channels.connections import LIVE
from app.evaluations.runs import OPEN
from app.evaluations.runs import TASK as EVALUATION
from app.models import Connection, Delivery, EvalRun, InboundEvent, Message, Tenant, Turn, WebhookPost, now
from app.queue import ANSWERS, DELIVERIES, INBOUND, INGESTION
from app.runtime import Runtime

logger = logging.getLogger(__name__)

# Longer than all attempts of a job together take.
QUIET = timedelta(minutes=15)
_AT_ONCE = 100
_JOBS = table(
    "procrastinate_jobs", column("task_name", Text), column("status", Text), column("args", JSONB), schema="queue"
)


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
            logger.exception("lost work of a tenant could not be looked for")
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
            *[
                _Lost(EVALUATION, INGESTION, "eval_run_id", row, f"evaluations:{tenant_id}")
                for row in await _evaluations(session, quiet)
            ],
        ]
        for lost in found:
            ids = {"tenant_id": tenant_id, lost.argument: lost.row}
            await runtime.queue.defer(session, lost.task, lost.slot, lock=lost.lock, ids=ids)
        return len(found) + len(await _posts(session, quiet))


def _without_job(task: str, argument: str, row: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    """That no job for a row is waiting, for its time perhaps, or running."""
    alive = _JOBS.c.task_name == task, cast(_JOBS.c.status, Text).in_(("todo", "doing"))
    return ~exists().where(*alive, _JOBS.c.args[argument].astext == cast(row, Text))


async def _events(session: AsyncSession, quiet: timedelta) -> list[UUID]:
    query = select(InboundEvent.id).where(InboundEvent.handled_at.is_(None), InboundEvent.created_at < now() - quiet)
    lost = query.where(_without_job("webhooks:handle_event", "event_id", InboundEvent.id))
    return list(await session.scalars(lost.order_by(InboundEvent.id).limit(_AT_ONCE)))


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
            _without_job("conversations:answer", "message_id", Message.id),
        )
        .order_by(Message.id)
    )
    return [
        _Lost("conversations:answer", ANSWERS, "message_id", row[0], f"conversation:{row[1]}")
        for row in await session.execute(query.limit(_AT_ONCE))
    ]


async def _evaluations(session: AsyncSession, quiet: timedelta) -> list[UUID]:
    query = select(EvalRun.id).where(EvalRun.status.in_(OPEN), EvalRun.created_at < now() - quiet)
    lost = query.where(_without_job(EVALUATION, "eval_run_id", EvalRun.id))
    return list(await session.scalars(lost.order_by(EvalRun.id).limit(_AT_ONCE)))


async def _posts(session: AsyncSession, quiet: timedelta) -> list[UUID]:
    """Posts get their jobs with others that are due (app/events/posting.py)."""
    lost = update(WebhookPost).where(WebhookPost.state == "pending", WebhookPost.queued_at < now() - quiet)
    mine = lost.where(_without_job("events:post", "webhook_post_id", WebhookPost.id))
    return list(await session.scalars(mine.values(queued_at=None).returning(WebhookPost.id)))


async def _deliveries(session: AsyncSession, quiet: timedelta) -> list[UUID]:
    query = select(Delivery.id).where(Delivery.state.in_(("queued", "sending")), Delivery.created_at < now() - quiet)
    lost = query.where(_without_job("channels:deliver_message", "delivery_id", Delivery.id))
    return list(await session.scalars(lost.order_by(Delivery.id).limit(_AT_ONCE)))
