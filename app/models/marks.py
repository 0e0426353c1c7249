"""What people say of the findings of guardrails: right, or a false alarm."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import ConnectionScoped, Encrypted, found_by, in_connection, in_tenant, now, optional_text, sealed


class VerdictMark(ConnectionScoped):
    """Whether what a guardrail found in a turn was `right`, as whoever held the API key `marked_by` says.

    `verdict` is the guardrail's name.
    """

    __tablename__ = "verdict_marks"
    __table_args__ = (
        UniqueConstraint("tenant_id", "turn_id", "verdict"),
        in_connection(),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        in_tenant("turn_id", "turns"),
        {"schema": "tenant"},
    )

    conversation_id: Mapped[UUID]
    turn_id: Mapped[UUID]
    verdict: Mapped[str] = mapped_column(Text)
    right: Mapped[bool] = mapped_column("is_right")
    marked_by: Mapped[UUID]
    marked_at: Mapped[datetime] = mapped_column(default=now)
    note_sealed: Mapped[bytes | None] = sealed()
    note: Encrypted[str | None] = optional_text("note_sealed")
