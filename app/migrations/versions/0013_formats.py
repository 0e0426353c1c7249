"""What of a document was not read, and the language that it is in."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_ADDED: tuple[sa.Column[object], ...] = (
    sa.Column("warnings_sealed", sa.LargeBinary(), nullable=True),
    sa.Column("language", sa.Text(), nullable=True),
)


def upgrade() -> None:
    for column in _ADDED:
        op.add_column("document_versions", column, schema="tenant")


def downgrade() -> None:
    for column in reversed(_ADDED):
        op.drop_column("document_versions", column.name, schema="tenant")
