"""What guardrails found in each turn, by their names, and what people say of it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.migrations import access

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_FOUND = ("findings", "shadow_findings")


def upgrade() -> None:
    for name in _FOUND:
        column: sa.Column[object] = sa.Column(name, postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
        op.add_column("turns", column, schema="tenant")
    op.create_table(
        "verdict_marks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("is_right", sa.Boolean(), nullable=False),
        sa.Column("marked_by", sa.Uuid(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict_marks")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_verdict_marks_tenant_id"), ondelete="CASCADE"
        ),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", column],
                [f"tenant.{table}.tenant_id", f"tenant.{table}.id"],
                name=op.f(f"fk_verdict_marks_tenant_id_{column}"),
                ondelete="CASCADE",
            )
            for column, table in (
                ("connection_id", "connections"),
                ("conversation_id", "conversations"),
                ("turn_id", "turns"),
            )
        ),
        sa.UniqueConstraint("tenant_id", "turn_id", "verdict", name=op.f("uq_verdict_marks_tenant_id_turn_id_verdict")),
        schema="tenant",
    )
    for columns in (["tenant_id"], ["connection_id"], ["tenant_id", "conversation_id"]):
        op.create_index(op.f(f"ix_verdict_marks_{'_'.join(columns)}"), "verdict_marks", columns, schema="tenant")
    access.protect("tenant.verdict_marks")


def downgrade() -> None:
    op.drop_table("verdict_marks", schema="tenant")
    for name in reversed(_FOUND):
        op.drop_column("turns", name, schema="tenant")
