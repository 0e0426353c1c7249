"""Which connections an id in a shared webhook means: found by a hash that only who has the master key can compute."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import MasterKey
from app.models import ConnectionRoute
from app.runtime import Runtime

_ROUTED = text("select * from platform.connections_routed(:hashes)")


async def routed(runtime: Runtime, channel: str, name: str) -> Sequence[UUID]:
    """The connections of any tenant that an account's id, or another id that came with it, means."""
    hashes = runtime.vault.master.route_hashes(channel, name)
    async with runtime.vault.db.session() as session:
        return list(await session.scalars(_ROUTED, {"hashes": hashes}))


async def write_routes(
    session: AsyncSession,
    master: MasterKey,
    channel: str,
    connection_id: UUID,
    account_id: str,
    others: Iterable[str],
    *,
    mailbox: bool = False,
) -> None:
    """Have events of an account come to a connection from now on; IntegrityError if they go to another one.

    A mailbox is connected once by whichever channel: it would be answered twice.
    """
    await session.execute(delete(ConnectionRoute).where(ConnectionRoute.connection_id == connection_id))
    routes = [(channel, name, name == account_id) for name in (account_id, *others)]
    for kind, name, exclusive in (*routes, ("mailbox", account_id, True)) if mailbox else routes:
        hashed = master.route_hash(kind, name)
        session.add(ConnectionRoute(connection_id=connection_id, route_hash=hashed, exclusive=exclusive))
    await session.flush()


async def release_account(session: AsyncSession, connection_id: UUID) -> None:
    """Let an account be connected anew; that a person connected it is known until the connection is erased."""
    mine = delete(ConnectionRoute).where(ConnectionRoute.connection_id == connection_id)
    await session.execute(mine.where(ConnectionRoute.exclusive))
