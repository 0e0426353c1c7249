"""Conversations and customers are found by words; what came with a message beside its text is kept by reference."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.migrations import access

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_SEARCHED = ("messages", "contacts")


def upgrade() -> None:
    for table in _SEARCHED:
        op.add_column(
            table,
            sa.Column("words", sa.ARRAY(sa.LargeBinary()), server_default="{}", nullable=False),
            schema="tenant",
        )
    op.add_column("messages", sa.Column("attachments_sealed", sa.LargeBinary(), nullable=True), schema="tenant")
    op.create_table(
        "message_words",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "word", "conversation_id", "message_id", name=op.f("pk_message_words")),
        schema="tenant",
    )
    for columns in (["tenant_id", "message_id"], ["tenant_id", "conversation_id"], ["connection_id"]):
        op.create_index(op.f(f"ix_message_words_{'_'.join(columns)}"), "message_words", columns, schema="tenant")
    access.protect("tenant.message_words")
    access.keep_words()


def downgrade() -> None:
    op.execute("drop trigger keep_words on tenant.messages")
    op.execute("drop trigger keep_changed_words on tenant.messages")
    op.execute("drop function tenant.keep_words")
    op.drop_table("message_words", schema="tenant")
    op.drop_column("messages", "attachments_sealed", schema="tenant")
    for table in _SEARCHED:
        op.drop_column(table, "words", schema="tenant")
