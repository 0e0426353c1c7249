"""How far the reading of a version is, so that it can be told, and gone on with; questions with approved answers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_ADDED: tuple[tuple[str, sa.Column[object]], ...] = (
    ("document_versions", sa.Column("read_title_sealed", sa.LargeBinary(), nullable=True)),
    ("document_versions", sa.Column("embedded", sa.Integer(), server_default="0", nullable=False)),
    ("document_versions", sa.Column("embedding_since", sa.DateTime(timezone=True), nullable=True)),
    ("chunks", sa.Column("question_sealed", sa.LargeBinary(), nullable=True)),
)


def upgrade() -> None:
    for table, column in _ADDED:
        op.add_column(table, column, schema="tenant")


def downgrade() -> None:
    for table, column in reversed(_ADDED):
        op.drop_column(table, column.name, schema="tenant")
