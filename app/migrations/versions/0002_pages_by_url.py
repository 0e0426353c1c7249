"""A document's version may be a page on the web: its URL, encrypted, as is the title that was given with a version. The look-up by URL uses documents.source_hash."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

stage = "pre"


def upgrade() -> None:
    op.add_column("document_versions", sa.Column("url_sealed", sa.LargeBinary(), nullable=True), schema="tenant")
    op.add_column("document_versions", sa.Column("title_sealed", sa.LargeBinary(), nullable=True), schema="tenant")


def downgrade() -> None:
    op.drop_column("document_versions", "title_sealed", schema="tenant")
    op.drop_column("document_versions", "url_sealed", schema="tenant")
