"""Staying connected: tokens are refreshed ahead of their end, and once a day events are asked for again.

A connection's care is one job at a time in all of Jobx, by its lock: a refresh token that rotates is used once.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import ConnectRefused, Credentials, ProviderUnavailable
from app.channels.connections import note_subscribed, renew_credentials, subscribe
from app.channels.registry import provider_for
from app.models import Connection, now
from app.queue import DELIVERIES
from app.runtime import Runtime

logger = logging.getLogger(__name__)

_DUE = text("select tenant_id, connection_id from platform.connections_due()")
_IS_CARED_FOR = text(
    "select 1 from queue.procrastinate_jobs where task_name = 'channels:care' and status in ('todo', 'doing')"
    " and args ->> 'connection_id' = :connection limit 1"
)
_EVERY = timedelta(days=1)
_AGAIN = timedelta(minutes=5)


async def care_for_due(runtime: Runtime) -> None:
    """Add a job for each connection whose token is near its end or whose events were not asked for today."""
    async with runtime.db.session() as session:
        due = (await session.execute(_DUE)).all()
    for tenant_id, connection_id in due:
        async with runtime.vault.session(tenant_id) as session:
            await defer_care(session, runtime, tenant_id, connection_id)


async def defer_care(
    session: AsyncSession, runtime: Runtime, tenant_id: UUID, connection_id: UUID, *, refresh: bool = False
) -> None:
    """Add the job of one connection, unless it has one; with `refresh` its token is due whatever its date says."""
    if refresh:
        mine = update(Connection).where(Connection.id == connection_id)
        await session.execute(mine.values(refresh_at=now()))
    if await session.scalar(_IS_CARED_FOR, {"connection": str(connection_id)}) is None:
        ids = {"tenant_id": tenant_id, "connection_id": connection_id}
        await runtime.queue.defer(session, "channels:care", DELIVERIES, lock=f"care:{connection_id}", ids=ids)


async def care(runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> None:
    """Do for a connection what is due; one whose owner has to let us in again says so, and loses nothing."""
    due = await _look(runtime, tenant_id, connection_id)
    try:
        if due is not None and due.refresh:
            await _refresh(runtime, tenant_id, due)
            due = await _look(runtime, tenant_id, connection_id)
        if due is not None and due.check:
            await _subscribe_again(runtime, tenant_id, due)
    except ConnectRefused:
        await _give_up(runtime, tenant_id, due)
    except ProviderUnavailable:
        logger.info("a connection could not be cared for: its provider does not answer; it is tried again")
        await _put_off(runtime, tenant_id, due)


@dataclass(frozen=True, slots=True)
class _Due:
    """What is due for a connection, and the credentials that it has."""

    id: UUID
    channel: str
    credentials: Credentials
    refresh: bool
    check: bool


async def _look(runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> _Due | None:
    async with runtime.vault.session(tenant_id) as session:
        found = await session.get(Connection, connection_id)
        if found is None or found.state != "active" or found.simulated:
            return None
        refresh = found.refresh_at is not None and found.refresh_at <= now()
        check = found.checked_at is not None and found.checked_at <= now() - _EVERY
        return _Due(found.id, found.channel, Credentials(found.credentials), refresh, check)


@asynccontextmanager
async def _unchanged(runtime: Runtime, tenant_id: UUID, due: _Due | None) -> AsyncIterator[Connection | None]:
    """The connection, locked, if it was neither stopped nor connected anew since it was looked at."""
    async with runtime.vault.session(tenant_id) as session:
        found = None if due is None else await session.get(Connection, due.id, with_for_update=True)
        if due is None or found is None or found.state != "active" or found.credentials != dict(due.credentials):
            yield None
        else:
            yield found


async def _refresh(runtime: Runtime, tenant_id: UUID, due: _Due) -> None:
    """What comes back is written down before anything else: the token that was used may be of no use any more."""
    fresh = await provider_for(due.channel, runtime.settings).refresh(
        runtime.provider_http[due.channel], due.credentials
    )
    async with _unchanged(runtime, tenant_id, due) as connection:
        if connection is not None:
            renew_credentials(connection, fresh)


async def _subscribe_again(runtime: Runtime, tenant_id: UUID, due: _Due) -> None:
    await subscribe(runtime, due.channel, due.id, due.credentials)
    async with runtime.vault.session(tenant_id) as session:
        found = await session.get(Connection, due.id, with_for_update=True)
        if found is not None and found.state == "active":
            await note_subscribed(session, runtime, found)


async def _give_up(runtime: Runtime, tenant_id: UUID, due: _Due | None) -> None:
    async with _unchanged(runtime, tenant_id, due) as connection:
        if connection is not None:
            connection.state, connection.refresh_at = "needs_reauthorisation", None
            logger.warning("a connection on %s needs its owner: its credentials are refused", connection.channel)


async def _put_off(runtime: Runtime, tenant_id: UUID, due: _Due | None) -> None:
    async with _unchanged(runtime, tenant_id, due) as connection:
        if connection is None or due is None:
            return
        if due.refresh:
            connection.refresh_at = now() + _AGAIN
        if due.check:
            connection.checked_at = now() - _EVERY + _AGAIN
