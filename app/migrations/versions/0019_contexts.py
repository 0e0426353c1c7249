"""Lines of context and languages of chunks, and which documents have such lines."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_ADDED: tuple[tuple[str, sa.Column[object]], ...] = (
    ("documents", sa.Column("with_context", sa.Boolean(), server_default=sa.false(), nullable=False)),
    ("chunks", sa.Column("context_sealed", sa.LargeBinary(), nullable=True)),
    ("chunks", sa.Column("language", sa.Text(), nullable=True)),
)


def upgrade() -> None:
    for table, column in _ADDED:
        op.add_column(table, column, schema="tenant")


def downgrade() -> None:
    for table, column in reversed(_ADDED):
        op.drop_column(table, column.name, schema="tenant")
