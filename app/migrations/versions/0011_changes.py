"""Changes of conversations, noted by triggers, and webhooks that are told of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from app.migrations import access, telling

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def _shared(table: str) -> tuple[SchemaItem, ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    op.create_table(
        "changes",
        *_shared("changes"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("handoff_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        schema="tenant",
    )
    op.create_table(
        "webhooks",
        *_shared("webhooks"),
        sa.Column("url_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("description_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resume_at", sa.DateTime(timezone=True), nullable=True),
        schema="tenant",
    )
    op.create_index(op.f("ix_webhooks_tenant_id_id"), "webhooks", ["tenant_id", "id"], unique=True, schema="tenant")
    op.create_table(
        "webhook_posts",
        *_shared("webhook_posts"),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("handoff_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "webhook_id"],
            ["tenant.webhooks.tenant_id", "tenant.webhooks.id"],
            name=op.f("fk_webhook_posts_tenant_id_webhook_id"),
            ondelete="CASCADE",
        ),
        schema="tenant",
    )
    for name, table, columns, unique, where in (
        (op.f("ix_changes_tenant_id"), "changes", ["tenant_id"], False, None),
        ("uq_changes_number", "changes", ["tenant_id", "number"], True, None),
        ("ix_changes_unnumbered", "changes", ["tenant_id", "position"], False, "number is null"),
        (op.f("ix_webhook_posts_tenant_id"), "webhook_posts", ["tenant_id"], False, None),
        (
            op.f("ix_webhook_posts_tenant_id_conversation_id"),
            "webhook_posts",
            ["tenant_id", "conversation_id"],
            False,
            None,
        ),
        ("uq_webhook_posts_change", "webhook_posts", ["tenant_id", "webhook_id", "change_id"], True, None),
        (
            "ix_webhook_posts_pending",
            "webhook_posts",
            ["tenant_id", "webhook_id", "next_attempt_at"],
            False,
            "state = 'pending'",
        ),
        # Those that have their jobs are counted at each change: among many that wait they are few.
        (
            "ix_webhook_posts_queued",
            "webhook_posts",
            ["tenant_id", "webhook_id"],
            False,
            "state = 'pending' and queued_at is not null",
        ),
    ):
        condition = None if where is None else sa.text(where)
        op.create_index(name, table, columns, unique=unique, schema="tenant", postgresql_where=condition)
    op.add_column(
        "profiles", sa.Column("last_change", sa.BigInteger(), server_default="0", nullable=False), schema="tenant"
    )
    access.protect("tenant.changes", "tenant.webhooks", "tenant.webhook_posts")
    telling.tell()
    telling.find_due_posts()


def downgrade() -> None:
    telling.end()
    op.drop_column("profiles", "last_change", schema="tenant")
    for table in ("webhook_posts", "webhooks", "changes"):
        op.drop_table(table, schema="tenant")
