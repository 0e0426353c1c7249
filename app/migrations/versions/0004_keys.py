"""Which master key wraps a tenant's keys and made a webhook's secret, generations of keys, and counts of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.migrations import access

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def upgrade() -> None:
    op.create_table(
        "masters",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_masters")),
        schema="keys",
    )
    op.add_column("tenant_keys", sa.Column("master_id", sa.LargeBinary(), nullable=True), schema="keys")
    op.add_column(
        "tenant_keys",
        sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        schema="keys",
    )
    op.add_column("tenant_keys", sa.Column("next_generation", sa.Integer(), nullable=True), schema="keys")
    op.add_column("connection_keys", sa.Column("webhook_master_id", sa.LargeBinary(), nullable=True), schema="keys")
    access.count_keys()


def downgrade() -> None:
    functions = ("tenants_not_under(bytea, uuid, integer)", "tenants_being_renewed()", "webhooks_not_under(bytea)")
    for function in ("census()", *functions):
        op.execute(f"drop function keys.{function}")
    op.drop_column("connection_keys", "webhook_master_id", schema="keys")
    for column in ("next_generation", "generation", "master_id"):
        op.drop_column("tenant_keys", column, schema="keys")
    op.drop_table("masters", schema="keys")
