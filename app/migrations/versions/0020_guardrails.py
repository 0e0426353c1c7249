"""How a tenant wants an agent's guardrails."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


_ADDED: tuple[sa.Column[object], ...] = (
    sa.Column("guardrails", postgresql.JSONB(), server_default="{}", nullable=False),
    sa.Column("forbidden_phrases_sealed", sa.LargeBinary(), nullable=True),
    sa.Column("mask_personal_data", sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column("judge", sa.Text(), nullable=True),
)


def upgrade() -> None:
    for column in _ADDED:
        op.add_column("agents", column, schema="tenant")


def downgrade() -> None:
    for column in reversed(_ADDED):
        op.drop_column("agents", column.name, schema="tenant")
