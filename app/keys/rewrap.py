"""Wrapping every tenant's keys with the current master key, beside processes that hold both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import MasterKey, SealBroken
from app.db import Database
from app.keys.service import ENTER_TENANT

# Tenants of one transaction: their rows are locked for some 0.1 s, in which nothing but another rotation wants them.
BATCH = 200
_NOT_UNDER = text("select tenants_not_under from keys.tenants_not_under(:master, :beyond, :most)")
# Compared, not locked: whoever came between has wrapped it anew, or replaced the keys in it.
_REPLACE = text(
    "update keys.tenant_keys set wrapped = :new, master_id = :master"
    " where tenant_id = :tenant and wrapped = :old and master_id is distinct from :master"
)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a run did: keys wrapped anew, those that no key we hold opens, and how long it took."""

    tenants: int
    unopened: int
    seconds: float

    @property
    def a_minute(self) -> int:
        """Keys a minute."""
        return round(60 * self.tenants / self.seconds)


async def rewrap(db: Database, master: MasterKey, progress: Callable[[int], None], *, batch: int = BATCH) -> Rewrapped:
    """Wrap with the current master key what is not; safe to stop, to run again and to run twice at once.

    `progress` is told after each batch how many are done. Tenants whose keys do not open are left and counted.
    """
    started, done, unopened = perf_counter(), 0, 0
    beyond: UUID | None = None
    while tenants := await _next(db, master, beyond, batch):
        async with db.session() as session:
            for tenant_id in tenants:
                try:
                    done += await _rewrap(session, master, tenant_id)
                except SealBroken:
                    unopened += 1
        beyond = tenants[-1]
        progress(done)
    return Rewrapped(done, unopened, perf_counter() - started)


async def _next(db: Database, master: MasterKey, beyond: UUID | None, batch: int) -> Sequence[UUID]:
    async with db.session() as session:
        values = {"master": master.id, "beyond": beyond, "most": batch}
        return list(await session.scalars(_NOT_UNDER, values))


async def _rewrap(session: AsyncSession, master: MasterKey, tenant_id: UUID) -> int:
    found = (await session.execute(ENTER_TENANT, {"id": tenant_id})).one_or_none()
    if found is None:
        return 0
    new = master.wrap(master.unwrap(found.tenant_key, tenant_id), tenant_id)
    values = {"new": new, "master": master.id, "tenant": tenant_id, "old": found.tenant_key}
    return int((await session.execute(_REPLACE, values)).rowcount)  # type: ignore[attr-defined]
