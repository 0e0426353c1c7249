"""Whether the master key is the one of this database: asked at start-up, instead of at the first webhook."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import MasterKey, SealBroken
from app.db import Database, DatabaseUnavailable
from app.errors import ConfigurationError
from app.keys.service import ENTER_TENANT
from app.models import SeenMaster, now

logger = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_CENSUS = text("select * from keys.census()")
# Two processes of a first start with different keys: the second one must see the first one's.
_IN_TURN = text("select pg_advisory_xact_lock(hashtext('jobx master key'))")


@dataclass(frozen=True, slots=True)
class KeyCount:
    """How many tenants' keys are wrapped by one master key (None: an id was not kept) and of one generation."""

    master_id: bytes | None
    generation: int
    next_generation: int | None
    tenants: int
    example: UUID


async def census(session: AsyncSession) -> list[KeyCount]:
    """All tenants' keys, counted."""
    return [KeyCount(*row) for row in await session.execute(_CENSUS)]


async def await_check(db: Database, master: MasterKey) -> None:
    """`check`, once the database is there."""
    while True:
        try:
            return await check(db, master)
        except DatabaseUnavailable:
            logger.warning("waiting for the database: it went away while the master key was checked")
        await asyncio.sleep(_RETRY_SECONDS)


async def check(db: Database, master: MasterKey) -> None:
    """Raise ConfigurationError when the key, with the previous one, does not open what this database holds.

    The database knows its masters by their ids only: 64 bits that are derived from 256 random ones.
    """
    async with db.session() as session:
        await session.execute(_IN_TURN)
        counts = await census(session)
        unknown: Counter[bytes | None] = Counter()
        for count in counts:
            if count.master_id not in master.ids:
                unknown[count.master_id] += count.tenants
        older = next((count.example for count in counts if count.master_id is None), None)
        if older is not None and await _opens(session, master, older):
            del unknown[None]
        seen = set(await session.scalars(select(SeenMaster.id)))
        if unknown or (seen and seen.isdisjoint(master.ids)):
            raise ConfigurationError(_explained(master, seen, unknown, sum(count.tenants for count in counts)))
        seen_now = [{"id": each, "created_at": now()} for each in master.ids]
        await session.execute(insert(SeenMaster).values(seen_now).on_conflict_do_nothing())


async def forget_others(session: AsyncSession, master: MasterKey) -> None:
    """Leave the current key as the only one that this database is known to work with."""
    await session.execute(delete(SeenMaster).where(SeenMaster.id != master.id))


async def _opens(session: AsyncSession, master: MasterKey, tenant_id: UUID) -> bool:
    found = (await session.execute(ENTER_TENANT, {"id": tenant_id})).one_or_none()
    try:
        return found is None or bool(master.unwrap(found.tenant_key, tenant_id))
    except SealBroken:
        return False


def _explained(master: MasterKey, seen: set[bytes], unknown: Counter[bytes | None], tenants: int) -> str:
    theirs = ", ".join(sorted(key.hex() if key else "unknown" for key in unknown or seen))
    ours = " and ".join(key.hex() for key in master.ids)
    if unknown and sum(unknown.values()) < tenants:
        return (
            f"The keys of {sum(unknown.values())} of {tenants} tenants are wrapped by another master key (id {theirs}) "
            f"than this process holds (id {ours}): set JOBX_MASTER_KEY_PREVIOUS to it and run `jobx keys rotate`."
        )
    return (
        f"The master key (id {ours}) is not the one of this database (id {theirs}): set JOBX_MASTER_KEY or "
        "JOBX_MASTER_KEY_FILE to the key that it was made with. Nothing was changed."
    )
