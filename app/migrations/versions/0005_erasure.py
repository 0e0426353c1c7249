"""Erasures and their receipts; how long a stopped connection is kept; what an event was about; traces of turns; retention."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.migrations import access

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=True),
        sa.Column("members", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erase_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revocation", sa.Text(), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("receipt", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        schema="platform",
    )
    for column in ("tenant_id", "target_id"):
        op.create_index(op.f(f"ix_erasures_{column}"), "erasures", [column], unique=False, schema="platform")
    access.erasures()
    retention = sa.Column("retention", sa.Text(), server_default="30 days", nullable=False)
    op.add_column("connections", retention, schema="tenant")
    op.add_column("connections", sa.Column("erase_after", sa.DateTime(timezone=True), nullable=True), schema="tenant")
    op.add_column("inbound_events", sa.Column("conversation_ids", sa.ARRAY(sa.Uuid()), nullable=True), schema="tenant")
    op.add_column("profiles", sa.Column("conversation_days", sa.Integer(), nullable=True), schema="tenant")
    for table in ("turns", "deliveries"):
        op.add_column(table, sa.Column("trace_id", sa.Text(), nullable=True), schema="tenant")


def downgrade() -> None:
    for table in ("turns", "deliveries"):
        op.drop_column(table, "trace_id", schema="tenant")
    op.drop_column("profiles", "conversation_days", schema="tenant")
    op.drop_column("inbound_events", "conversation_ids", schema="tenant")
    op.drop_column("connections", "erase_after", schema="tenant")
    op.drop_column("connections", "retention", schema="tenant")
    for name in ("forget_tenant", "remove_tenant", "due_erasures", "tenant_of_erasure"):
        op.execute(f"drop function platform.{name}")
    op.drop_table("erasures", schema="platform")
