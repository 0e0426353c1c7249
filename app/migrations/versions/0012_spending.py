"""What language models cost by month, customer and day, with limits; summaries of long conversations."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from app.migrations import access

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_ADDED: tuple[tuple[str, sa.Column[object]], ...] = (
    ("conversations", sa.Column("summary_sealed", sa.LargeBinary(), nullable=True)),
    ("conversations", sa.Column("summary_until", sa.BigInteger(), nullable=True)),
    ("agents", sa.Column("context_tokens", sa.Integer(), server_default="8000", nullable=False)),
    ("agents", sa.Column("sensitive_topics_sealed", sa.LargeBinary(), nullable=True)),
    ("profiles", sa.Column("plan_spend_micros", sa.BigInteger(), nullable=True)),
    ("profiles", sa.Column("spend_limit_micros", sa.BigInteger(), nullable=True)),
    ("profiles", sa.Column("customer_spend_limit_micros", sa.BigInteger(), nullable=True)),
    ("profiles", sa.Column("customer_calls_limit", sa.Integer(), server_default="200", nullable=True)),
)


def _counted(table: str) -> tuple[SchemaItem, ...]:
    return (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f(f"fk_{table}_tenant_id"), ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    for table, column in _ADDED:
        op.add_column(table, column, schema="tenant")
    op.create_table("usages", *_counted("usages"), sa.Column("month", sa.Date(), nullable=False), schema="tenant")
    op.create_table(
        "customer_usages",
        *_counted("customer_usages"),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", column],
                [f"tenant.{table}.tenant_id", f"tenant.{table}.id"],
                name=op.f(f"fk_customer_usages_tenant_id_{column}"),
                ondelete="CASCADE",
            )
            for column, table in (("connection_id", "connections"), ("contact_id", "contacts"))
        ),
        schema="tenant",
    )
    op.create_table(
        "usages",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_usages")),
        schema="platform",
    )
    for table, columns, unique in (
        ("usages", ["tenant_id"], False),
        ("usages", ["tenant_id", "month"], True),
        ("customer_usages", ["tenant_id"], False),
        ("customer_usages", ["connection_id"], False),
        ("customer_usages", ["tenant_id", "contact_id", "day"], True),
    ):
        if unique:
            op.create_unique_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table, columns, schema="tenant")
        else:
            op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, schema="tenant")
    access.protect("tenant.usages", "tenant.customer_usages")
    op.execute("grant select, insert, update on platform.usages to jobx_app")
    op.execute("grant select on platform.usages to jobx_backup")


def downgrade() -> None:
    op.drop_table("usages", schema="platform")
    for table in ("customer_usages", "usages"):
        op.drop_table(table, schema="tenant")
    for table, column in reversed(_ADDED):
        op.drop_column(table, column.name, schema="tenant")
