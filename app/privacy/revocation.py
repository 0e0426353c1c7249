"""Taking a connection back at its provider: tried for a while, and then its token goes all the same."""

import asyncio
from contextlib import suppress
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update

from app.channels.base import ConnectRefused, Credentials, ProviderUnavailable
from app.channels.connections import LIVE, live_connection, note_subscribed, subscribe, webhook_url
from app.channels.registry import client_for, provider_for
from app.models import Connection
from app.runtime import Runtime

SECONDS = 20.0
_PAUSE_SECONDS = 1.0
Revocation = Literal["confirmed", "unconfirmed"]


async def revoke(runtime: Runtime, tenant_id: UUID, connection_ids: list[UUID]) -> Revocation | None:
    """Revoke connections at their providers, side by side, and forget their tokens; None if there were none.

    A provider that does not confirm within 20 seconds does not hold the erasure up: the answer is `unconfirmed`.
    """
    async with runtime.vault.session(tenant_id) as session:
        mine = select(Connection).where(Connection.id.in_(connection_ids), Connection.credentials_sealed.is_not(None))
        connections = [(row, Credentials(row.credentials)) for row in await session.scalars(mine)]
    if not connections:
        return None
    done = await asyncio.gather(*(_confirmed(runtime, tenant_id, *each) for each in connections))
    async with runtime.vault.session(tenant_id) as session:
        # One that was restored meanwhile may have a new token already.
        stopped = Connection.id.in_(connection_ids), Connection.state.in_(("disconnected", "erasing"))
        await session.execute(update(Connection).where(*stopped).values(credentials_sealed=None))
    return "confirmed" if all(done) else "unconfirmed"


async def _confirmed(runtime: Runtime, tenant_id: UUID, connection: Connection, credentials: Credentials) -> bool:
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    await _take_back(runtime, tenant_id, connection, credentials)
                except (ConnectRefused, ProviderUnavailable):
                    await asyncio.sleep(_PAUSE_SECONDS)
                else:
                    return True
    except TimeoutError:
        return False


async def _take_back(runtime: Runtime, tenant_id: UUID, connection: Connection, credentials: Credentials) -> None:
    url = webhook_url(runtime, connection.channel, connection.id)
    provider = provider_for(connection.channel, runtime.settings)
    await provider.disconnect(client_for(connection, runtime), credentials, url)
    # An account that was connected again meanwhile may have just lost its webhook with this one's.
    async with runtime.vault.session(tenant_id) as session:
        successor = await live_connection(session, connection.channel, connection.account_id)
        sealed = successor is not None and successor.credentials_sealed is not None
        renewed = Credentials(successor.credentials) if successor is not None and sealed else credentials
    if successor is not None and not sealed:
        # It was restored. If it is being connected again just now, its new token is kept once its webhook is set.
        with suppress(ConnectRefused):
            await subscribe(runtime, successor.channel, successor.id, renewed)
    elif successor is not None:
        await subscribe(runtime, successor.channel, successor.id, renewed)
        async with runtime.vault.session(tenant_id) as session:
            still = await session.get(Connection, successor.id, with_for_update={"read": True})
            if still is not None and still.state in LIVE:
                await note_subscribed(session, runtime, still)
