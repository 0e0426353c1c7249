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

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.billing.service import MICROS_PER_CENT
from app.models import new_id, now
from app.runtime import Runtime
from graphs.support.context import LimitReached

logger = logging.getLogger(__name__)

# No limit, but nobody is left who waits for an answer: what the turn says is not sent.
_NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom a call answers; `epoch` is that of the connection when the turn began."""

    connection_id: UUID
    contact_id: UUID
    epoch: int


# One statement each: what a turn waits for is round trips. The counts are read in the order in which they are to be
# locked, everybody's last, which is held shortest; the sub-selects of a list are run in its order.
_RESERVE = text("""
with locked as (select epoch from tenant.connections where id = :connection_id for share),
customer as (
    insert into tenant.customer_usages as had
           (id, created_at, tenant_id, connection_id, contact_id, day, cost_micros, calls)
    select :its_id, :moment, :tenant_id, :connection_id, :contact_id, :day, :micros, 1 from locked where epoch = :epoch
        on conflict (tenant_id, contact_id, day)
        do update set cost_micros = had.cost_micros + excluded.cost_micros, calls = had.calls + 1
    returning cost_micros, calls
), tenant as (
    insert into tenant.usages as had (id, created_at, tenant_id, month, cost_micros, calls)
    values (:id, :moment, :tenant_id, :month, :micros, 1)
        on conflict (tenant_id, month)
        do update set cost_micros = had.cost_micros + excluded.cost_micros, calls = had.calls + 1
    returning cost_micros
), everybody as (
    insert into platform.usages as had (day, cost_micros, calls) values (:day, :micros, 1)
        on conflict (day) do update set cost_micros = had.cost_micros + excluded.cost_micros, calls = had.calls + 1
    returning cost_micros
)
select (select cost_micros from customer) customer_micros, (select calls from customer) customer_calls,
       (select cost_micros from tenant) tenant_micros, (select cost_micros from everybody) all_micros,
       plan_spend_micros, spend_limit_micros, customer_spend_limit_micros, customer_calls_limit
  from tenant.profiles
""")
_SETTLE = text("""
with customer as (
    update tenant.customer_usages set cost_micros = cost_micros + :change
     where contact_id = :contact_id and day = :day returning 1
), tenant as (
    update tenant.usages set cost_micros = cost_micros + :change where month = :month returning 1
), everybody as (
    update platform.usages set cost_micros = cost_micros + :change where day = :day returning 1
)
select (select count(*) from customer), (select count(*) from tenant), (select count(*) from everybody)
""")


class Spending:
    """What one run may spend. Without a `customer` it is a preview, which counts for the tenant and for all."""

    def __init__(self, runtime: Runtime, tenant_id: UUID, customer: Customer | None = None) -> None:
        self._runtime, self._tenant_id, self._customer = runtime, tenant_id, customer

    async def reserve(self, most_micros: int) -> "Reserved":
        """Count a call that takes at most so much; raises LimitReached, and then nothing is counted."""
        day = now().date()
        try:
            async with self._runtime.db.session(self._tenant_id) as session:
                spent = (await session.execute(_RESERVE, self._values(day, most_micros))).one()
                self._check(spent)
        except LimitReached as reached:
            if str(reached) != _NOBODY:
                self._runtime.metrics.spend_limit_reached(str(reached))
                logger.warning("no model is asked: a limit of spending is reached (%s)", reached)
            raise
        except IntegrityError:
            # The customer was erased meanwhile.
            raise LimitReached(_NOBODY) from None
        return Reserved(self._runtime, self._tenant_id, self._customer, day, most_micros)

    def _values(self, day: date, micros: int) -> dict[str, Any]:
        customer = self._customer
        return {
            "its_id": new_id(),
            "id": new_id(),
            "moment": now(),
            "tenant_id": self._tenant_id,
            "connection_id": None if customer is None else customer.connection_id,
            "contact_id": None if customer is None else customer.contact_id,
            "epoch": None if customer is None else customer.epoch,
            "day": day,
            "month": day.replace(day=1),
            "micros": micros,
        }

    def _check(self, spent: Any) -> None:
        if self._customer is not None:
            if spent.customer_calls is None:
                # The connection was stopped since the turn began.
                raise LimitReached(_NOBODY)
            _check("customer", spent.customer_micros, spent.customer_spend_limit_micros)
            _check("customer", spent.customer_calls, spent.customer_calls_limit)
        _check("tenant", spent.tenant_micros, spent.plan_spend_micros)
        _check("tenant", spent.tenant_micros, spent.spend_limit_micros)
        cents = self._runtime.settings.spend_limit_cents_per_day
        _check("all", spent.all_micros, None if cents is None else cents * MICROS_PER_CENT)


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
        values = {
            "contact_id": None if self.customer is None else self.customer.contact_id,
            "day": self.day,
            "month": self.day.replace(day=1),
            "change": micros - self.micros,
        }
        async with self.runtime.db.session(self.tenant_id) as session:
            await session.execute(_SETTLE, values)


def _check(whose: str, spent: int, limit: int | None) -> None:
    if limit is not None and spent > limit:
        raise LimitReached(whose)
