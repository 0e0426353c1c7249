"""Mailboxes: what is new is fetched, stored as any webhook's event, and only then is the position moved on.

Each is looked at every few minutes; at once when Gmail pushes, or when IMAP's IDLE tells. One fetch of a mailbox runs
at a time in all of Jobx, by its lock; one worker watches it, by a lease.
"""

import asyncio
import logging
from typing import cast
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.channels.base import ConnectRefused, Credentials, ProviderUnavailable
from app.channels.care import defer_care
from app.channels.connections import LIVE
from app.channels.mail import dump_event
from app.channels.polling import Fetched, Mailbox, Mailboxes
from app.channels.registry import POLLED, client_for, provider_for
from app.models import Connection
from app.queue import DELIVERIES
from app.runtime import Runtime
from app.webhooks.service import record_event

logger = logging.getLogger(__name__)

_DUE = text("select tenant_id, connection_id from platform.take_due_mailboxes()")
_WATCHED = text("select tenant_id, connection_id from platform.watch_mailboxes(:mine, :more)")
_IS_WAITING = text(
    "select 1 from queue.procrastinate_jobs where task_name = 'webhooks:poll_mailbox' and status = 'todo'"
    " and args ->> 'connection_id' = :connection limit 1"
)
# A lease lasts for a minute (app/migrations/access.py).
_LEASE_ROUND_SECONDS = 5.0
_MOST_WATCHED = 200
# RFC 2177 wants a new IDLE before 29 minutes; many home routers forget a silent connection after five.
_IDLE_SECONDS = 280.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 300.0
# In so long an IDLE has begun; what came before it is looked for then.
_SETTLING_SECONDS = 2.0


async def poll_due(runtime: Runtime) -> None:
    """Add a job for each mailbox that was not looked at for some minutes."""
    async with runtime.db.session() as session:
        due = (await session.execute(_DUE)).all()
    for tenant_id, connection_id in due:
        async with runtime.vault.session(tenant_id) as session:
            await defer_poll(session, runtime, tenant_id, connection_id)


async def defer_poll(session: AsyncSession, runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> None:
    """Add the job of one mailbox, unless one waits."""
    if await session.scalar(_IS_WAITING, {"connection": str(connection_id)}) is None:
        await runtime.queue.defer(
            session,
            "webhooks:poll_mailbox",
            DELIVERIES,
            lock=f"poll:{connection_id}",
            ids={"tenant_id": tenant_id, "connection_id": connection_id},
        )


async def poll(runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> None:
    """Fetch what is new in a mailbox and store it; what is cut in between is fetched again, and known again."""
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id)
        if connection is None or connection.state != "active" or connection.channel not in POLLED:
            return
        client, credentials, epoch = (
            client_for(connection, runtime),
            Credentials(connection.credentials),
            connection.epoch,
        )
        mailbox = Mailbox(
            account_id=connection.account_id,
            own_addresses=await _own_addresses(session),
            position=connection.position,
        )
        channel = connection.channel
    provider = cast("Mailboxes", provider_for(channel, runtime.settings))
    try:
        fetched = await provider.fetch(client, credentials, mailbox)
    except ConnectRefused:
        await _needs_owner(runtime, tenant_id, connection_id, credentials)
        return
    except ProviderUnavailable:
        logger.info("a mailbox on %s does not answer; it is tried again", channel)
        return
    await _store(runtime, channel, connection_id, epoch, fetched)
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id, with_for_update=True)
        if connection is not None and connection.epoch == epoch and connection.state in LIVE:
            connection.position = fetched.position
            if fetched.more:
                await defer_poll(session, runtime, tenant_id, connection_id)


async def _store(runtime: Runtime, channel: str, connection_id: UUID, epoch: int, fetched: Fetched) -> None:
    for event in fetched.events:
        outcome = await record_event(runtime, channel, connection_id, dump_event(event), epoch=epoch)
        runtime.metrics.webhook(channel, outcome)


async def _own_addresses(session: AsyncSession) -> frozenset[str]:
    """Every address of the tenant's that is connected: what comes from one of them is no customer's."""
    query = select(Connection).where(Connection.channel.in_(POLLED), Connection.state.in_(LIVE))
    return frozenset([connection.account_id.lower() for connection in await session.scalars(query)])


async def _needs_owner(runtime: Runtime, tenant_id: UUID, connection_id: UUID, credentials: Credentials) -> None:
    """Refused credentials: a fresh token decides where there can be one, else the owner has to come."""
    async with runtime.vault.session(tenant_id) as session:
        connection = await session.get(Connection, connection_id, with_for_update=True)
        if connection is None or connection.state != "active" or connection.credentials != dict(credentials):
            return
        if credentials.get("refresh_token"):
            await defer_care(session, runtime, tenant_id, connection_id, refresh=True)
        else:
            connection.state = "needs_reauthorisation"
            logger.warning("a connection on %s needs its owner: its credentials are refused", connection.channel)


async def watch(runtime: Runtime) -> None:
    """Hold mailboxes in IDLE, those that no other worker watches, for as long as this runs."""
    watching: dict[UUID, asyncio.Task[None]] = {}
    try:
        while True:
            try:
                await _share(runtime, watching)
            except Exception:
                # The database may be away; the next round tries again.
                logger.exception("mailboxes to watch could not be looked for")
            await asyncio.sleep(_LEASE_ROUND_SECONDS)
    finally:
        for task in watching.values():
            task.cancel()
        await asyncio.gather(*watching.values(), return_exceptions=True)


async def _share(runtime: Runtime, watching: dict[UUID, asyncio.Task[None]]) -> None:
    """Renew the leases of what is watched here, take others, and let go of what is watched no more."""
    async with runtime.db.session() as session:
        limits = {"mine": list(watching), "more": _MOST_WATCHED - len(watching)}
        ours = {row.connection_id: row.tenant_id for row in await session.execute(_WATCHED, limits)}
    for connection_id in watching.keys() - ours.keys():
        watching.pop(connection_id).cancel()
    for connection_id, tenant_id in ours.items():
        task = watching.get(connection_id)
        if task is None or task.done():
            watching[connection_id] = asyncio.create_task(_watch_one(runtime, tenant_id, connection_id))


async def _watch_one(runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> None:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        async with runtime.vault.session(tenant_id) as session:
            connection = await session.get(Connection, connection_id)
            if connection is None or connection.state != "active":
                return
            channel, credentials = connection.channel, Credentials(connection.credentials)
        provider = cast("Mailboxes", provider_for(channel, runtime.settings))
        waiting = asyncio.create_task(provider.wait(credentials, _IDLE_SECONDS))
        try:
            await asyncio.wait({waiting}, timeout=_SETTLING_SECONDS)
            await _look_into(runtime, tenant_id, connection_id)
            if await waiting:
                await _look_into(runtime, tenant_id, connection_id)
            pause = _FIRST_PAUSE_SECONDS
        except Exception as error:
            if not isinstance(error, ConnectRefused | ProviderUnavailable):
                logger.exception("a mailbox on %s cannot be watched", channel)
            # Its next fetch finds out what is wrong.
            await _sleep_unless_renewed(runtime, tenant_id, connection_id, credentials, pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        finally:
            waiting.cancel()


async def _sleep_unless_renewed(
    runtime: Runtime, tenant_id: UUID, connection_id: UUID, credentials: Credentials, seconds: float
) -> None:
    """Wait for so long, or until the owner has connected the mailbox anew."""
    for _ in range(round(seconds / _FIRST_PAUSE_SECONDS)):
        await asyncio.sleep(_FIRST_PAUSE_SECONDS)
        async with runtime.vault.session(tenant_id) as session:
            connection = await session.get(Connection, connection_id)
            if connection is None or connection.credentials != dict(credentials):
                return


async def _look_into(runtime: Runtime, tenant_id: UUID, connection_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        await defer_poll(session, runtime, tenant_id, connection_id)
