"""A tenant's use and its limits: reading and setting them."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database
from app.errors import NotFound
from app.models import CustomerUsage, Profile, Usage, now

MICROS_PER_CENT = 10_000
LIMITS = ("spend_limit_micros", "customer_spend_limit_micros", "customer_calls_limit")


@dataclass(frozen=True, kw_only=True)
class Use:
    """What calls of models took this month, and the customer who took most of them today."""

    month: str
    cost_micros: int
    calls: int
    busiest_customer_calls: int
    busiest_customer_micros: int


async def use(session: AsyncSession) -> Use:
    """The tenant's use so far; the session is its own."""
    today = now().date()
    month = select(Usage.cost_micros, Usage.calls).where(Usage.month == today.replace(day=1))
    cost, calls = (await session.execute(month)).one_or_none() or (0, 0)
    most = select(func.max(CustomerUsage.calls), func.max(CustomerUsage.cost_micros)).where(CustomerUsage.day == today)
    busiest_calls, busiest_micros = (await session.execute(most)).one()
    return Use(
        month=f"{today:%Y-%m}",
        cost_micros=cost,
        calls=calls,
        busiest_customer_calls=busiest_calls or 0,
        busiest_customer_micros=busiest_micros or 0,
    )


async def limits(session: AsyncSession) -> Profile:
    """The tenant's profile, which has its limits."""
    return (await session.scalars(select(Profile))).one()


async def set_limits(session: AsyncSession, values: Mapping[str, int | None]) -> Profile:
    """Change some of LIMITS; None lifts one. The next call of a model is held to them."""
    profile = (await session.scalars(select(Profile).with_for_update())).one()
    for name in LIMITS:
        if name in values:
            setattr(profile, name, values[name])
    return profile


async def set_plan(db: Database, tenant_id: UUID, micros: int | None) -> None:
    """What a tenant's plan lets models cost in a month, None for no limit; raises NotFound. For the operator."""
    async with db.session(tenant_id) as session:
        changed = update(Profile).values(plan_spend_micros=micros).returning(Profile.id)
        if await session.scalar(changed) is None:
            raise NotFound("There is no such tenant.")
