"""References stay within a tenant: PostgreSQL checks them past row-level security, so the tenant is a part of them.

They hold for new rows; the next step looks at the old ones, and what these replace goes.
"""

from collections.abc import Iterator, Sequence

from alembic import op
from sqlalchemy import text

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_REFERRED_TO = (
    "agents",
    "connections",
    "contacts",
    "conversations",
    "document_versions",
    "documents",
    "messages",
    "turns",
)
_CASCADE = "on delete cascade"
# The referring table and column, the table referred to, and what its deletion does.
_REFERENCES = (
    ("connections", "agent_id", "agents", ""),
    ("document_versions", "document_id", "documents", _CASCADE),
    ("chunks", "document_id", "documents", _CASCADE),
    ("chunks", "version_id", "document_versions", _CASCADE),
    ("conversations", "contact_id", "contacts", _CASCADE),
    ("turns", "conversation_id", "conversations", _CASCADE),
    ("turns", "agent_id", "agents", "on delete set null (agent_id)"),
    ("messages", "conversation_id", "conversations", _CASCADE),
    ("messages", "turn_id", "turns", "on delete set null (turn_id)"),
    ("handoffs", "conversation_id", "conversations", _CASCADE),
    ("handoffs", "turn_id", "turns", "on delete set null (turn_id)"),
    ("deliveries", "turn_id", "turns", _CASCADE),
    ("deliveries", "message_id", "messages", _CASCADE),
    ("deliveries", "conversation_id", "conversations", _CASCADE),
    *(
        (table, "connection_id", "connections", _CASCADE)
        for table in ("contacts", "conversations", "deliveries", "handoffs", "inbound_events", "messages", "turns")
    ),
)


# A run that gave up waiting for a lock may have left an index that does not hold.
_BROKEN = (
    "select indexrelid::regclass::text from pg_index where not indisvalid and indrelid::regclass::text like 'tenant.%'"
)
_FOUND_BY = (
    ("document_versions", "document_id"),
    ("chunks", "document_id"),
    ("conversations", "contact_id"),
    ("turns", "conversation_id"),
    ("messages", "turn_id"),
    ("handoffs", "conversation_id"),
    ("handoffs", "turn_id"),
    ("deliveries", "message_id"),
    ("deliveries", "conversation_id"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name in op.get_bind().execute(text(_BROKEN)).scalars().all():
            op.execute(f"drop index concurrently {name}")
        for index in _indexes():
            op.execute(index)
    for table, column, target, on_delete in _REFERENCES:
        op.execute(
            f"alter table tenant.{table} add constraint fk_{table}_tenant_id_{column} foreign key (tenant_id, {column})"
            f" references tenant.{target} (tenant_id, id) {on_delete} not valid"
        )


def _indexes() -> Iterator[str]:
    for table in _REFERRED_TO:
        yield _index(f"ix_{table}_tenant_id_id", f"{table} (tenant_id, id)")
    # A reference is checked after what is unique, so that must not tell of other tenants' rows either.
    yield _index("uq_chunks_place", "chunks (tenant_id, version_id, position)")
    yield _index("uq_deliveries_place", "deliveries (tenant_id, turn_id, part)")
    yield _index("uq_turns_one_running", "turns (tenant_id, conversation_id) where state = 'running'")
    yield _index("uq_handoffs_one_open", "handoffs (tenant_id, conversation_id) where resolved_at is null")
    # A deletion finds what refers to it by both columns: by one, it may read all rows of the tenant, each time.
    for table, column in _FOUND_BY:
        yield _index(f"ix_{table}_tenant_id_{column}", f"{table} (tenant_id, {column})", unique="")
    yield _index("ix_messages_place", "messages (tenant_id, conversation_id, position)", unique="")


def _index(name: str, on: str, *, unique: str = "unique") -> str:
    return f"create {unique} index concurrently if not exists {name} on tenant.{on}"
