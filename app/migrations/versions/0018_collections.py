"""Collections by their embedding model, so that another model's can be filled while the old one answers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.migrations import access

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_collections_tenant_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_collections_tenant_id_name")),
        schema="tenant",
    )
    op.create_index(op.f("ix_collections_tenant_id"), "collections", ["tenant_id"], schema="tenant")
    op.create_index(
        "uq_collections_state",
        "collections",
        ["tenant_id", "state"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("state <> 'retired'"),
    )
    access.protect("tenant.collections")
    access.find_other_models()
    op.add_column("document_versions", sa.Column("collection_id", sa.Uuid(), nullable=True), schema="tenant")


def downgrade() -> None:
    op.drop_column("document_versions", "collection_id", schema="tenant")
    op.execute("drop function platform.tenants_of_other_models(text)")
    op.drop_table("collections", schema="tenant")
