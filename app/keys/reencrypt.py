"""Giving a tenant new keys, and sealing everything it has with them, while its service goes on.

A generation of keys is made in steps, and after each of the first two every transaction is waited for that may still
go by the keys as they were (docs/decisions/0009-keys.md):

    1. the new keys are stored: everybody can open what they will seal
    2. they become the active ones: everybody seals with them
    3. rows and files are walked until nothing older is left
    4. the old keys are removed, which nothing brings back

Where a tenant is in this is in its keys, so a run that was cut is taken up by the next one, and two runs at once do
the same work twice and no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from sqlalchemy import LargeBinary, func, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import LAST_GENERATION, Keyring, SealBroken, current_keyring, header
from app.errors import NotFound, Unavailable
from app.keys.service import ENTER_TENANT, Vault
from app.models import ConnectionKey, Row, TenantKey, sealed_models

# Rows of one transaction, locked for as long as it takes to seal them; and ids that are looked up at once.
_ROWS = 200
_IDS = 10_000
_POLL_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 900.0
# A transaction that has read keys holds a lock on their table to its end, which tells who may go by old ones.
# CREATE INDEX CONCURRENTLY waits for others in the same way.
_READERS = text(
    "select virtualtransaction from pg_locks where locktype = 'relation' and pid <> pg_backend_pid()"
    " and relation = 'keys.tenant_keys'::regclass"
    " and database = (select oid from pg_database where datname = current_database())"
)

_UNDER_WAY = text("select tenants_being_renewed from keys.tenants_being_renewed()")
_ASK = text(
    "update keys.tenant_keys set next_generation = generation % :last + 1"
    " where tenant_id = :id and next_generation is null"
)

# What is only sealed anew is no change to anybody (app/migrations/telling.py).
_UNTOLD = text("select set_config('app.resealing', 'on', true)")

Progress = Callable[[str], None]
# Seals anew what a tenant has elsewhere than in rows, such as its files; returns how many.
Walk = Callable[[UUID], Awaitable[int]]


class KeysBusy(Unavailable):
    """A transaction that began before the new keys does not end; run `jobx keys rotate` again."""

    code = "keys_busy"


class ReencryptionIncomplete(Unavailable):
    """Some values could not be encrypted anew, so the old keys were kept; run it again."""

    code = "reencryption_incomplete"


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """What a run did for one tenant: the generation that seals now, and what was sealed anew."""

    generation: int
    rows: int
    elsewhere: int


async def reencrypt(vault: Vault, tenant_id: UUID, walks: Sequence[Walk], progress: Progress) -> Reencrypted:
    """Make new keys for a tenant and its connections, seal everything with them and remove the old ones.

    Taken up where an earlier run was cut. Raises NotFound, KeysBusy, ReencryptionIncomplete.
    """
    progress("making new keys")
    made = True
    while made:
        made = await _store(vault, tenant_id)
        # Also when another run has stored them: it may be waiting here. Whoever began before may still bring a
        # connection without a new key, hence the loop.
        await _await_others(vault, progress)
    progress("sealing with them")
    generation = await _activate(vault, tenant_id)
    await _await_others(vault, progress)
    rows = sum([await _walk_rows(vault, tenant_id, model, progress) for model in sealed_models()])
    elsewhere = sum([await walk(tenant_id) for walk in walks])
    progress("removing the old keys")
    await _retire(vault, tenant_id, generation)
    return Reencrypted(generation, rows, elsewhere)


async def under_way(vault: Vault) -> Sequence[UUID]:
    """The tenants that a run has begun with, or was asked for and did not get to."""
    async with vault.db.session() as session:
        return list(await session.scalars(_UNDER_WAY))


async def ask_for(vault: Vault, tenants: Iterable[UUID]) -> None:
    """Note that tenants are to be given new keys, all of them or none: what a run that is cut leaves is then known."""
    async with vault.db.session() as session:
        for tenant_id in tenants:
            await session.execute(ENTER_TENANT, {"id": tenant_id})
            await session.execute(_ASK, {"id": tenant_id, "last": LAST_GENERATION})


async def _store(vault: Vault, tenant_id: UUID) -> bool:
    """Store keys of the next generation, for the tenant and each connection that has none; False when all have."""
    async with vault.session(tenant_id) as session:
        row = await _lock_keys(session, tenant_id)
        keyring = await _keyring(vault, session, row)
        row.next_generation = row.next_generation or keyring.next_generation()
        if all(row.next_generation in keys.keys for keys in (keyring.tenant, *keyring.connections.values())):
            return False
        await _write(vault, session, row, keyring.with_next())
        return True


async def _activate(vault: Vault, tenant_id: UUID) -> int:
    """Seal with the next generation from now on; returns its number."""
    async with vault.session(tenant_id) as session:
        row = await _lock_keys(session, tenant_id)
        if row.next_generation not in (None, row.generation):
            row.generation = row.next_generation
            await _write(vault, session, row, (await _keyring(vault, session, row)).with_active(row.generation))
        return row.generation


async def _retire(vault: Vault, tenant_id: UUID, generation: int) -> None:
    """Remove what is older than the generation that was walked for, unless a later run has begun with a newer one."""
    async with vault.session(tenant_id) as session:
        row = await _lock_keys(session, tenant_id)
        if row.next_generation == row.generation == generation:
            row.next_generation = None
            await _write(vault, session, row, (await _keyring(vault, session, row)).retired())


async def _lock_keys(session: AsyncSession, tenant_id: UUID) -> TenantKey:
    row = await session.get(TenantKey, tenant_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such tenant.")
    return row


async def _keyring(vault: Vault, session: AsyncSession, row: TenantKey) -> Keyring:
    """The keys as they are stored now; those of the session are older than the lock."""
    keyring = Keyring.read(row.tenant_id, vault.master.unwrap(row.wrapped, row.tenant_id))
    for connection in await session.scalars(select(ConnectionKey).order_by(ConnectionKey.connection_id)):
        keyring.open_connection(connection.connection_id, connection.wrapped)
    return keyring


async def _write(vault: Vault, session: AsyncSession, row: TenantKey, keyring: Keyring) -> None:
    row.wrapped, row.master_id = vault.master.wrap(keyring.stored(), row.tenant_id), vault.master.id
    for connection_id in keyring.connections:
        wrapped = keyring.wrap_connection(connection_id)
        mine = ConnectionKey.connection_id == connection_id
        await session.execute(update(ConnectionKey).where(mine).values(wrapped=wrapped))


async def _await_others(vault: Vault, progress: Progress) -> None:
    """Return when no transaction is left that has read keys before this moment; raises KeysBusy."""
    before, deadline = await _readers(vault), monotonic() + _LONGEST_WAIT_SECONDS
    while before:
        progress(f"waiting for {len(before)} transactions that began earlier")
        if monotonic() > deadline:
            raise KeysBusy
        await asyncio.sleep(_POLL_SECONDS)
        before &= await _readers(vault)


async def _readers(vault: Vault) -> set[str]:
    async with vault.db.session() as session:
        return set(await session.scalars(_READERS))


async def _walk_rows(vault: Vault, tenant_id: UUID, model: type[Row], progress: Progress) -> int:
    """Seal a table's rows anew; rows that others hold are come back to, so that no lock is waited for."""
    done, broken, deadline = 0, set[UUID](), monotonic() + _LONGEST_WAIT_SECONDS
    pause = _POLL_SECONDS
    while True:
        left, beyond, before = 0, None, done
        while ids := await _old(vault, tenant_id, model, beyond):
            left, beyond = left + len(ids), ids[-1]
            for at in range(0, len(ids), _ROWS):
                done += await _reseal(vault, tenant_id, model, ids[at : at + _ROWS], broken)
                progress(f"{model.__table__}: {done} rows")
        if not left:
            return done
        if done > before:  # the wait is for rows that others hold, however long the walk itself takes
            deadline = monotonic() + _LONGEST_WAIT_SECONDS
        elif left == len(broken) or monotonic() > deadline:
            raise ReencryptionIncomplete(
                f"{left} rows of {model.__table__} do not open or stay locked; the old keys were kept."
            )
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _old(vault: Vault, tenant_id: UUID, model: type[Row], beyond: UUID | None) -> Sequence[UUID]:
    """Ids of rows with a value of another generation, ascending; what has lost its connection's key is left out."""
    async with vault.session(tenant_id) as session:
        keyring = current_keyring()
        wanted = header(keyring.active)
        query = select(model.id).where(
            or_(
                *[
                    func.substring(column, 1, len(wanted), type_=LargeBinary) != literal(wanted)
                    for column in model.sealed_columns().values()
                ]
            )
        )
        connection = model.scope_column()
        if connection is not None:
            # What belongs to a connection only if it was taken from one of its conversations may have none.
            query = query.where(or_(connection.is_(None), connection.in_(list(keyring.connections))))
        if beyond is not None:
            query = query.where(model.id > beyond)
        return list(await session.scalars(query.order_by(model.id).limit(_IDS)))


async def _reseal(vault: Vault, tenant_id: UUID, model: type[Row], ids: Sequence[UUID], broken: set[UUID]) -> int:
    async with vault.session(tenant_id) as session:
        await session.execute(_UNTOLD)
        query = select(model).where(model.id.in_(ids)).with_for_update(key_share=True, skip_locked=True)
        done = 0
        for row in await session.scalars(query.order_by(model.id)):
            try:
                row.reseal()
                done += 1
            except SealBroken:
                broken.add(row.id)
        return done
