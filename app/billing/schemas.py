"""Use and limits over HTTP. Money is in micro US dollars: 1,000,000 are one dollar."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_MOST_MICROS = 10**15
Micros = Annotated[int, Field(strict=True, ge=0, le=_MOST_MICROS)]
Calls = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class LimitsIn(BaseModel):
    """Limits to change; absent ones stay, null lifts one, 0 stops every call that costs something."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"spend_micros_per_month": 50_000_000, "customer_calls_per_day": 100}]},
    )

    spend_micros_per_month: Micros | None = None
    customer_spend_micros_per_day: Micros | None = None
    customer_calls_per_day: Calls | None = None


class LimitsOut(BaseModel):
    """What calls of language models may take; null is no limit. `plan_micros_per_month` is set by the operator."""

    plan_micros_per_month: int | None
    spend_micros_per_month: int | None
    customer_spend_micros_per_day: int | None
    customer_calls_per_day: int | None


class UsageOut(BaseModel):
    """What calls of language models took in a month (UTC), and today for the customer with the most.

    A call that is being made counts with the most that it can cost.
    """

    month: str = Field(examples=["2026-11"])
    cost_micros: int
    calls: int
    busiest_customer_calls_today: int
    busiest_customer_micros_today: int
    limits: LimitsOut
