"""Retention: what is older than its rule allows goes by itself. A job does it every hour; `due` only counts.

Conversations go as an erasure does, with a receipt; what belongs to no person any more (hashes of handled events,
failed jobs, answers kept for repeated requests) is deleted where it is. After a restore the same rules find it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.db import Database
from app.errors import Unprocessable
from app.keys.service import Vault
from app.models import Change, Connection, Conversation, Profile, Tenant, now
from app.privacy.erasure import Means, erase_expired
from app.privacy.places import TERMS, Retention

_BATCH = 2000
# What is deleted where it is: the table and which of its rows have had their time.
_ENDED = (
    "status in ('failed', 'cancelled', 'aborted') and not exists"
    " (select 1 from queue.procrastinate_events e where e.job_id = procrastinate_jobs.id and e.at >= :before)"
)
_OLD: Mapping[Retention, tuple[str, str]] = {
    # Without a number it is still to be told; readers notice by the gap that numbered ones are gone.
    "changes": ("tenant.changes", "created_at < :before and number is not null"),
    "consents": ("tenant.consents", "created_at < :before"),
    "events": ("tenant.inbound_events", "created_at < :before"),
    "posts": ("tenant.webhook_posts", "created_at < :before"),
    "replays": ("tenant.stored_responses", "created_at < :before"),
    "usages": ("tenant.customer_usages", "created_at < :before"),
    "jobs": ("queue.procrastinate_jobs", f"args ->> 'tenant_id' = :tenant and {_ENDED}"),
}
_OF_NOBODY = text(f"delete from queue.procrastinate_jobs where not args ? 'tenant_id' and {_ENDED}")  # noqa: S608


class RetentionOutOfBounds(Unprocessable):
    """Conversations can be kept from 1 to 1095 days after their last message."""

    code = "retention_out_of_bounds"


@dataclass(frozen=True, slots=True)
class Due:
    """How much of a kind of data has had its time: the rule in days, how many there are, and since when the oldest."""

    days: int
    count: int
    oldest: datetime | None


async def conversation_days(session: AsyncSession) -> int:
    """How long the tenant keeps a conversation after its last message."""
    own = await session.scalar(select(Profile.conversation_days))
    return TERMS["conversations"].days if own is None else own


async def set_conversation_days(session: AsyncSession, days: int | None) -> None:
    """Keep conversations for so many days, or as long as usual; raises RetentionOutOfBounds."""
    if days is not None and not _allowed(days):
        raise RetentionOutOfBounds
    (await session.scalars(select(Profile).with_for_update())).one().conversation_days = days


async def due(session: AsyncSession, days: int | None = None) -> dict[Retention, Due]:
    """What would go now, or would if conversations were kept for `days`; raises RetentionOutOfBounds. Changes nothing.

    The session is the tenant's.
    """
    if days is not None and not _allowed(days):
        raise RetentionOutOfBounds
    kept = await conversation_days(session) if days is None else days
    since = func.coalesce(Conversation.last_message_at, Conversation.created_at)
    expired = select(func.count(), func.min(since)).where(since < now() - timedelta(days=kept))
    count, oldest = (await session.execute(expired)).one()
    found: dict[Retention, Due] = {"conversations": Due(kept, count, oldest)}
    for name, (table, condition) in _OLD.items():
        query = text(f"select count(*) from {table} where {condition}")  # noqa: S608 - the words above
        found[name] = Due(TERMS[name].days, int(await session.scalar(query, _values(name, condition)) or 0), None)
    return found


async def _number_what_goes(session: AsyncSession) -> None:
    """A change that goes before anybody read it still takes its place in the feed, so that readers notice the gap."""
    before = now() - timedelta(days=TERMS["changes"].days)
    unread = select(Change.id).where(Change.number.is_(None), Change.created_at < before).limit(1)
    if await session.scalar(unread) is not None:
        await session.execute(select(func.tenant.number_changes()))


async def retain(vault: Vault, means: Means, tenant_id: UUID) -> None:
    """Let go of what a tenant has had for long enough: erasures are begun, the rest is deleted."""
    async with vault.session(tenant_id) as session:
        before = now() - timedelta(days=await conversation_days(session))
        connections = list(await session.scalars(select(Connection.id)))
        await _number_what_goes(session)
    for connection_id in connections:
        begun = True
        while begun:
            async with vault.session(tenant_id) as session:
                begun = await erase_expired(session, means, connection_id, before) is not None
    for name, (table, condition) in _OLD.items():
        statement = text(
            f"delete from {table} where ctid = any(array("  # noqa: S608
            f"select ctid from {table} where {condition} limit {_BATCH}))"
        )
        gone = _BATCH
        while gone == _BATCH:
            async with vault.session(tenant_id) as session:
                result = await session.execute(statement, _values(name, condition))
                gone = getattr(result, "rowcount", 0)


async def retain_jobs_of_nobody(db: Database) -> None:
    """Let go of the ended jobs that name no tenant: erasures', and this one's own."""
    async with db.session() as session:
        await session.execute(_OF_NOBODY, {"before": now() - timedelta(days=TERMS["jobs"].days)})


async def tenants(db: Database) -> list[UUID]:
    """Every tenant."""
    async with db.session() as session:
        return list(await session.scalars(select(Tenant.id).order_by(Tenant.id)))


def _allowed(days: int) -> bool:
    term = TERMS["conversations"]
    return term.least is not None and term.most is not None and term.least <= days <= term.most


def _values(name: Retention, condition: str) -> dict[str, object]:
    values: dict[str, object] = {"before": now() - timedelta(days=TERMS[name].days)}
    return values | ({"tenant": str(current_keyring().tenant_id)} if ":tenant" in condition else {})
