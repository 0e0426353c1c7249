"""The limits on what language models cost: asked before each call, told after it.

Three counts are kept: of a tenant's month, of a customer's day, and of everybody's day, which is a breaker against what
nobody thought of. A call is counted with the most that it can cost before it begins, and corrected once it has ended:
calls at the same time cannot pass a limit together, and one whose worker dies counts in full. Days and months are UTC.
"""

import logging
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from app.models import Connection, CustomerUsage, PlatformUsage, Profile, Usage, new_id, now
from app.runtime import Runtime
from graphs.support.context import LimitReached

logger = logging.getLogger(__name__)

_MICROS_PER_CENT = 10_000
# No limit, but nobody is left who waits for an answer: what the turn says is not sent.
_NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom a call answers; `epoch` is that of the connection when the turn began."""

    connection_id: UUID
    contact_id: UUID
    epoch: int


class Spending:
    """What one run may spend. Without a `customer` it is a preview, which counts for the tenant and for all."""

    def __init__(self, runtime: Runtime, tenant_id: UUID, customer: Customer | None = None) -> None:
        self._runtime, self._tenant_id, self._customer = runtime, tenant_id, customer

    async def reserve(self, most_micros: int) -> "Reserved":
        """Count a call that takes at most so much; raises LimitReached, and then nothing is counted."""
        day = now().date()
        try:
            async with self._runtime.db.session(self._tenant_id) as session:
                # In the order in which `settle` takes them; what everybody shares comes last and is held shortest.
                await self._count_customer(session, day, most_micros)
                await self._count_tenant(session, day, most_micros)
                await self._count_all(session, day, most_micros)
        except LimitReached as reached:
            if str(reached) != _NOBODY:
                self._runtime.metrics.spend_limit_reached(str(reached))
                logger.warning("no model is asked: a limit of spending is reached (%s)", reached)
            raise
        except IntegrityError:
            # The customer was erased meanwhile.
            raise LimitReached(_NOBODY) from None
        return Reserved(self._runtime, self._tenant_id, self._customer, day, most_micros)

    async def _count_customer(self, session: AsyncSession, day: date, micros: int) -> None:
        customer = self._customer
        if customer is None:
            return
        locked = select(Connection.epoch).where(Connection.id == customer.connection_id).with_for_update(read=True)
        if await session.scalar(locked) != customer.epoch:
            raise LimitReached(_NOBODY)
        mine = {"connection_id": customer.connection_id, "contact_id": customer.contact_id, "day": day}
        spent = await _add(session, CustomerUsage, micros, id=new_id(), created_at=now(), **self._own, **mine)
        limits = select(Profile.customer_spend_limit_micros, Profile.customer_calls_limit)
        micros_limit, calls_limit = (await session.execute(limits)).one()
        _check("customer", spent.cost_micros, micros_limit)
        _check("customer", spent.calls, calls_limit)

    async def _count_tenant(self, session: AsyncSession, day: date, micros: int) -> None:
        month = day.replace(day=1)
        spent = await _add(session, Usage, micros, id=new_id(), created_at=now(), **self._own, month=month)
        plan, own = (await session.execute(select(Profile.plan_spend_micros, Profile.spend_limit_micros))).one()
        _check("tenant", spent.cost_micros, plan)
        _check("tenant", spent.cost_micros, own)

    async def _count_all(self, session: AsyncSession, day: date, micros: int) -> None:
        spent = await _add(session, PlatformUsage, micros, day=day)
        cents = self._runtime.settings.spend_limit_cents_per_day
        _check("all", spent.cost_micros, None if cents is None else cents * _MICROS_PER_CENT)

    @property
    def _own(self) -> dict[str, Any]:
        return {"tenant_id": self._tenant_id}


@dataclass(frozen=True, slots=True)
class Reserved:
    """What was counted for a call; see `graphs.support.context.Reservation`."""

    runtime: Runtime
    tenant_id: UUID
    customer: Customer | None
    day: date
    micros: int

    async def settle(self, micros: int) -> None:
        """Put what the call took in the place of what it could have."""
        if micros == self.micros:
            return
        month = self.day.replace(day=1)
        async with self.runtime.db.session(self.tenant_id) as session:
            if self.customer is not None:
                its = CustomerUsage.contact_id == self.customer.contact_id, CustomerUsage.day == self.day
                await self._correct(session, update(CustomerUsage).where(*its), CustomerUsage, micros)
            await self._correct(session, update(Usage).where(Usage.month == month), Usage, micros)
            everybody = update(PlatformUsage).where(PlatformUsage.day == self.day)
            await self._correct(session, everybody, PlatformUsage, micros)

    async def _correct(self, session: AsyncSession, rows: Any, counted: Any, micros: int) -> None:
        await session.execute(rows.values(cost_micros=counted.cost_micros + (micros - self.micros)))


async def _add(session: AsyncSession, counted: Any, micros: int, **row: Any) -> Any:
    """Add a call to a count, which is made if it is the first; what the count is then, `cost_micros` and `calls`."""
    made = insert(counted).values(cost_micros=micros, calls=1, **row)
    more = {"cost_micros": counted.cost_micros + micros, "calls": counted.calls + 1}
    statement: ReturningInsert[Any] = made.on_conflict_do_update(index_elements=_KEYS[counted], set_=more).returning(
        counted.cost_micros, counted.calls
    )
    return (await session.execute(statement)).one()


_KEYS: dict[Any, list[str]] = {
    CustomerUsage: ["tenant_id", "contact_id", "day"],
    Usage: ["tenant_id", "month"],
    PlatformUsage: ["day"],
}


def _check(whose: str, spent: int, limit: int | None) -> None:
    if limit is not None and spent > limit:
        raise LimitReached(whose)
