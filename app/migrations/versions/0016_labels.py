"""Labels of documents and sources; agents that know sources, labels and languages."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def _array(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[object]:
    return sa.Column(name, sa.ARRAY(kind), server_default="{}", nullable=False)


_ADDED: tuple[tuple[str, sa.Column[object]], ...] = (
    ("documents", sa.Column("labels_sealed", sa.LargeBinary(), nullable=True)),
    ("documents", _array("label_hashes", sa.LargeBinary())),
    ("sources", sa.Column("labels_sealed", sa.LargeBinary(), nullable=True)),
    ("sources", _array("label_hashes", sa.LargeBinary())),
    ("agents", _array("source_ids", sa.Uuid())),
    ("agents", sa.Column("labels_sealed", sa.LargeBinary(), nullable=True)),
    ("agents", _array("languages", sa.Text())),
)


def upgrade() -> None:
    for table, column in _ADDED:
        op.add_column(table, column, schema="tenant")


def downgrade() -> None:
    for table, column in reversed(_ADDED):
        op.drop_column(table, column.name, schema="tenant")
