"""/v1/account/usage and /v1/account/limits."""

from fastapi import APIRouter

from app.auth.route import CurrentSession, TenantRoute, needs
from app.billing import service
from app.billing.schemas import LimitsIn, LimitsOut, UsageOut
from app.models import Profile

router = APIRouter(prefix="/v1/account", tags=["Billing"], route_class=TenantRoute)
_NAMES = {
    "spend_micros_per_month": "spend_limit_micros",
    "customer_spend_micros_per_day": "customer_spend_limit_micros",
    "customer_calls_per_day": "customer_calls_limit",
}


@router.get("/usage", dependencies=[needs("billing:read")])
async def usage(session: CurrentSession) -> UsageOut:
    """Show what language models cost this month, and the limits."""
    found = await service.use(session)
    return UsageOut(
        month=found.month,
        cost_micros=found.cost_micros,
        calls=found.calls,
        busiest_customer_calls_today=found.busiest_customer_calls,
        busiest_customer_micros_today=found.busiest_customer_micros,
        limits=_limits(await service.limits(session)),
    )


@router.patch("/limits", dependencies=[needs("billing:write")])
async def set_limits(body: LimitsIn, session: CurrentSession) -> LimitsOut:
    """Limit what language models may cost. Beyond a limit no model is asked: the message goes to a person."""
    told = body.model_dump(exclude_unset=True)
    return _limits(await service.set_limits(session, {_NAMES[name]: value for name, value in told.items()}))


def _limits(profile: Profile) -> LimitsOut:
    return LimitsOut(
        plan_micros_per_month=profile.plan_spend_micros,
        spend_micros_per_month=profile.spend_limit_micros,
        customer_spend_micros_per_day=profile.customer_spend_limit_micros,
        customer_calls_per_day=profile.customer_calls_limit,
    )
