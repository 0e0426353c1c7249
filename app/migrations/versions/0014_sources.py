"""Sources: sites whose pages are documents, read again on a schedule."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from app.migrations import access

revision: str = "0014"
down_revision: str | None = "0013"
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
        "sources",
        *_shared("sources"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url_hash", sa.LargeBinary(), nullable=True),
        sa.Column("url_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("max_pages", sa.Integer(), nullable=False),
        sa.Column("paths_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("every_hours", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("base_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("next_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("tenant_id", "url_hash", name=op.f("uq_sources_tenant_id_url_hash")),
        schema="tenant",
    )
    op.create_index(op.f("ix_sources_tenant_id_id"), "sources", ["tenant_id", "id"], unique=True, schema="tenant")
    op.create_index(op.f("ix_sources_next_sync_at"), "sources", ["next_sync_at"], schema="tenant")
    op.create_table(
        "source_pages",
        *_shared("source_pages"),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("owned", sa.Boolean(), nullable=False),
        sa.Column("url_hash", sa.LargeBinary(), nullable=False),
        sa.Column("url_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("words_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("instead_hash", sa.LargeBinary(), nullable=True),
        sa.Column("etag_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("last_modified_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", column],
                [f"tenant.{table}.tenant_id", f"tenant.{table}.id"],
                name=op.f(f"fk_source_pages_tenant_id_{column}"),
                ondelete="CASCADE",
            )
            for column, table in (("source_id", "sources"), ("document_id", "documents"))
        ),
        sa.UniqueConstraint(
            "tenant_id", "source_id", "url_hash", name=op.f("uq_source_pages_tenant_id_source_id_url_hash")
        ),
        schema="tenant",
    )
    for name, columns in (
        (op.f("ix_source_pages_tenant_id"), ["tenant_id"]),
        (op.f("ix_source_pages_tenant_id_document_id"), ["tenant_id", "document_id"]),
        ("ix_source_pages_queue", ["tenant_id", "source_id", "run", "state", "depth", "id"]),
    ):
        op.create_index(name, "source_pages", columns, schema="tenant")
    access.protect("tenant.sources", "tenant.source_pages")
    access.find_due_sources()


def downgrade() -> None:
    op.execute("drop function platform.sources_due()")
    for table in ("source_pages", "sources"):
        op.drop_table(table, schema="tenant")
