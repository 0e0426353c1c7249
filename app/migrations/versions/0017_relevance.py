"""From which probability on an agent takes what was found as an answer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def upgrade() -> None:
    column = sa.Column("relevance_threshold", sa.Float(), server_default="0.05", nullable=False)
    op.add_column("agents", column, schema="tenant")


def downgrade() -> None:
    op.drop_column("agents", "relevance_threshold", schema="tenant")
