"""Eval datasets, samples, runs and results."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import SchemaItem

from app.migrations import access

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_TABLES = ("eval_datasets", "eval_samples", "eval_runs", "eval_results")
_INDEXES: Mapping[str, tuple[list[str], ...]] = {
    "eval_samples": (
        ["tenant_id", "dataset_id", "id"],
        ["tenant_id", "connection_id"],
        ["tenant_id", "conversation_id"],
        ["tenant_id", "turn_id"],
    ),
    "eval_runs": (["tenant_id", "dataset_id"], ["tenant_id", "agent_id"]),
    "eval_results": (
        ["tenant_id"],
        ["tenant_id", "sample_id"],
        ["tenant_id", "connection_id"],
        ["tenant_id", "conversation_id"],
    ),
}


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


def _refers(table: str, column: str, target: str, ondelete: str = "CASCADE") -> SchemaItem:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"tenant.{target}.tenant_id", f"tenant.{target}.id"],
        name=op.f(f"fk_{table}_tenant_id_{column}"),
        ondelete=ondelete,
    )


def _once(table: str, *columns: str) -> SchemaItem:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def upgrade() -> None:
    op.create_table(
        "eval_datasets",
        *_shared("eval_datasets"),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        schema="tenant",
    )
    # What others refer to comes first.
    _find_by_id("eval_datasets")
    op.create_table(
        "eval_samples",
        *_shared("eval_samples"),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("message_ids", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False),
        sa.Column("name_hash", sa.LargeBinary(), nullable=False),
        sa.Column("content_sealed", sa.LargeBinary(), nullable=False),
        _refers("eval_samples", "dataset_id", "eval_datasets"),
        _refers("eval_samples", "connection_id", "connections"),
        _refers("eval_samples", "conversation_id", "conversations"),
        _refers("eval_samples", "turn_id", "turns"),
        _once("eval_samples", "tenant_id", "dataset_id", "name_hash"),
        schema="tenant",
    )
    _find_by_id("eval_samples")
    op.create_table(
        "eval_runs",
        *_shared("eval_runs"),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sample_limit", sa.Integer(), nullable=True),
        sa.Column("epochs", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("most_micros", sa.BigInteger(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result_sealed", sa.LargeBinary(), nullable=True),
        _refers("eval_runs", "dataset_id", "eval_datasets"),
        _refers("eval_runs", "agent_id", "agents", "SET NULL (agent_id)"),
        schema="tenant",
    )
    _find_by_id("eval_runs")
    op.create_table(
        "eval_results",
        *_shared("eval_results"),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("sample_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("content_sealed", sa.LargeBinary(), nullable=False),
        _refers("eval_results", "run_id", "eval_runs"),
        _refers("eval_results", "sample_id", "eval_samples"),
        _refers("eval_results", "connection_id", "connections"),
        _refers("eval_results", "conversation_id", "conversations"),
        _once("eval_results", "tenant_id", "run_id", "sample_id", "epoch"),
        schema="tenant",
    )
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, schema="tenant")
    access.protect(*(f"tenant.{table}" for table in _TABLES))


def _find_by_id(table: str) -> None:
    op.create_index(op.f(f"ix_{table}_tenant_id_id"), table, ["tenant_id", "id"], unique=True, schema="tenant")


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema="tenant")
