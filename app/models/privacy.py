"""Erasures: what was asked to go, how far it is, and the receipt that is left of it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, Text
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, now

ErasureState = Literal["scheduled", "running", "done", "restored"]


class Erasure(Base):
    """One erasure. Schema `platform`, because it outlives its tenant: what is left of it names nobody.

    `target_id` and `members` (conversations of a contact, versions of a document) are there until they are erased,
    `tenant_id` until the tenant is. The id is random: one of time and chance would tell when.
    """

    __tablename__ = "erasures"
    __table_args__ = {"schema": "platform"}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID | None] = mapped_column(index=True)
    scope: Mapped[str] = mapped_column(Text)
    target_id: Mapped[UUID | None] = mapped_column(index=True)
    members: Mapped[list[UUID]] = mapped_column(ARRAY(UuidType), default=list)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
    erase_after: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    revocation: Mapped[str | None] = mapped_column(Text)
    counts: Mapped[dict[str, int]] = mapped_column(JSONB, default=dict)
    receipt: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
