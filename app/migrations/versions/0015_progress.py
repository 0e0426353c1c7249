"""How far the reading of a version is, so that it can be told, and gone on with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_ADDED: tuple[sa.Column[object], ...] = (
    sa.Column("read_title_sealed", sa.LargeBinary(), nullable=True),
    sa.Column("embedded", sa.Integer(), server_default="0", nullable=False),
    sa.Column("embedding_since", sa.DateTime(timezone=True), nullable=True),
)


def upgrade() -> None:
    for column in _ADDED:
        op.add_column("document_versions", column, schema="tenant")


def downgrade() -> None:
    for column in reversed(_ADDED):
        op.drop_column("document_versions", column.name, schema="tenant")
