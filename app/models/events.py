"""Changes of conversations as the tenant's own programs are told of them, and the webhooks that tell them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import (
    Encrypted,
    TenantScoped,
    encrypted_text,
    found_by,
    in_tenant,
    known_in_tenant,
    optional_text,
    sealed,
)

WebhookPostState = Literal["pending", "delivered", "failed", "cancelled"]


class Change(TenantScoped):
    """Something that became of a conversation, noted by triggers (app/migrations/telling.py) and by nothing else.

    `position` is the order in which it was noted, `number` its place in the tenant's feed: given once it has been
    committed, when the feed is read next, and without gaps. Its ids are no references: those would lock rows out of
    order.
    """

    __tablename__ = "changes"
    __table_args__ = (
        Index("uq_changes_number", "tenant_id", "number", unique=True),
        Index("ix_changes_unnumbered", "tenant_id", "position", postgresql_where=text("number is null")),
        {"schema": "tenant"},
    )

    kind: Mapped[str] = mapped_column(Text)
    connection_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    message_id: Mapped[UUID | None]
    handoff_id: Mapped[UUID | None]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    number: Mapped[int | None] = mapped_column(BigInteger)


class Webhook(TenantScoped):
    """An address of the tenant's that changes of some kinds are posted to.

    Both secrets sign until `previous_until`. `failures` counts attempts that failed since the last that did not, the
    first of them at `failing_since`; nothing is posted before `resume_at`.
    """

    __tablename__ = "webhooks"
    __table_args__ = (known_in_tenant(), {"schema": "tenant"})
    referred_to = True

    url_sealed: Mapped[bytes] = sealed()
    url: Encrypted[str] = encrypted_text("url_sealed")
    description_sealed: Mapped[bytes | None] = sealed()
    description: Encrypted[str | None] = optional_text("description_sealed")
    secret_sealed: Mapped[bytes] = sealed()
    secret: Encrypted[str] = encrypted_text("secret_sealed")
    previous_secret_sealed: Mapped[bytes | None] = sealed()
    previous_secret: Encrypted[str | None] = optional_text("previous_secret_sealed")
    previous_until: Mapped[datetime | None]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    resume_at: Mapped[datetime | None]


class WebhookPost(TenantScoped):
    """A change on its way to one webhook. What is posted is read when it is: it holds ids only.

    It has a job since `queued_at`; without one it gets one from `next_attempt_at` on. As with changes, ids but the
    webhook's are no references.
    """

    __tablename__ = "webhook_posts"
    __table_args__ = (
        in_tenant("webhook_id", "webhooks"),
        Index("uq_webhook_posts_change", "tenant_id", "webhook_id", "change_id", unique=True),
        Index(
            "ix_webhook_posts_pending",
            "tenant_id",
            "webhook_id",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_webhook_posts_queued",
            "tenant_id",
            "webhook_id",
            postgresql_where=text("state = 'pending' and queued_at is not null"),
        ),
        found_by("conversation_id"),
        {"schema": "tenant"},
    )

    webhook_id: Mapped[UUID]
    change_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    connection_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID | None]
    message_id: Mapped[UUID | None]
    handoff_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(Text, default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    status_code: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(Text)
    next_attempt_at: Mapped[datetime | None]
    queued_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
