"""References by an id alone go, with the indexes that the tenant is a part of now."""

from collections.abc import Sequence

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "post"

_REFERENCES = {
    "chunks": ("document_id", "version_id"),
    "connections": ("agent_id",),
    "contacts": ("connection_id",),
    "conversations": ("connection_id", "contact_id"),
    "deliveries": ("connection_id", "conversation_id", "message_id", "turn_id"),
    "document_versions": ("document_id",),
    "handoffs": ("connection_id", "conversation_id", "turn_id"),
    "inbound_events": ("connection_id",),
    "messages": ("connection_id", "conversation_id", "turn_id"),
    "turns": ("agent_id", "connection_id", "conversation_id"),
}
_BY_TENANT = (
    "agents",
    "connections",
    "contacts",
    "conversations",
    "document_versions",
    "documents",
    "messages",
    "turns",
)
_INDEXES = (
    "uq_turns_running",
    "uq_handoffs_open",
    "ix_messages_conversation_position",
    "ix_document_versions_document_id",
    "ix_chunks_document_id",
    "ix_conversations_contact_id",
    "ix_turns_conversation_id",
    "ix_messages_turn_id",
    "ix_handoffs_conversation_id",
    "ix_handoffs_turn_id",
    "ix_deliveries_message_id",
    "ix_deliveries_conversation_id",
)
_TABLES = sorted({*_REFERENCES, *_BY_TENANT})


def upgrade() -> None:
    """Each part may be run again: not all of it is a transaction."""
    # Row-level security binds the owner as well, and without a policy it would find nothing that is wrong.
    for table in _TABLES:
        op.execute(f"drop policy if exists validating on tenant.{table}")
        op.execute(f"create policy validating on tenant.{table} for select to jobx_owner using (true)")
    with op.get_context().autocommit_block():
        try:
            for table, columns in _REFERENCES.items():
                for column in columns:
                    op.execute(f"alter table tenant.{table} validate constraint fk_{table}_tenant_id_{column}")
        finally:
            for table in _TABLES:
                op.execute(f"drop policy validating on tenant.{table}")
    for table, columns in _REFERENCES.items():
        for column in columns:
            op.execute(f"alter table tenant.{table} drop constraint if exists fk_{table}_{column}")
    op.execute("alter table tenant.chunks drop constraint if exists uq_chunks_version_id_position")
    op.execute("alter table tenant.deliveries drop constraint if exists uq_deliveries_turn_id_part")
    with op.get_context().autocommit_block():
        for name in (*_INDEXES, *(f"ix_{table}_tenant_id" for table in _BY_TENANT)):
            op.execute(f"drop index concurrently if exists tenant.{name}")
