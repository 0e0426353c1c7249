"""Erasures over HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class ErasureOut(BaseModel):
    """An erasure; `state` is scheduled, running, done or restored, `scope` what kind of thing it is about.

    `target_id` is known until it is erased. `erase_after` is the date of a scheduled one, until which it can be
    taken back. `revocation` is confirmed, or unconfirmed when the provider did not answer in time. `receipt` is
    there once nothing is left; it is signed and names nobody.
    """

    id: UUID
    scope: str
    target_id: UUID | None
    state: str
    created_at: datetime
    erase_after: datetime
    finished_at: datetime | None
    revocation: str | None
    receipt: dict[str, Any] | None


class RetentionOut(BaseModel):
    """A retention rule: what is kept for how many `days`, and how much of it is older now and goes within the hour.

    `least` and `most` are the days that you can choose, where you can. `oldest` is when the oldest of it last changed.
    """

    data: str
    days: int
    least: int | None
    most: int | None
    due: int
    oldest: datetime | None


class RetentionList(BaseModel):
    """All retention rules that go by time."""

    rules: list[RetentionOut]


class RetentionIn(BaseModel):
    """For how many days after their last message conversations are kept; null for as long as usual."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"conversations_days": 365}]})

    # Strict: `true` would be a day.
    conversations_days: int | None = Field(strict=True)


class ErasureList(BaseModel):
    """A page of erasures, newest first."""

    erasures: list[ErasureOut]
    next_cursor: str | None
