"""The first schema: tenants, keys, agents, channels, conversations and documents, with their access rules."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

from app.migrations.access import open_queue, open_schemas, protect, route

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("sample", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        schema="platform",
    )
    op.create_table(
        "connection_keys",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_connection_keys_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_connection_keys")),
        schema="keys",
    )
    op.create_index(op.f("ix_connection_keys_tenant_id"), "connection_keys", ["tenant_id"], unique=False, schema="keys")
    op.create_table(
        "tenant_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_tenant_keys_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_keys")),
        schema="keys",
    )
    op.create_table(
        "agents",
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("instructions_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("tone_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("greeting_message_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("thanks_message_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("handoff_message_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("allowed_urls_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("document_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("groundedness_threshold", sa.Float(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_agents_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
        schema="tenant",
    )
    op.create_index(op.f("ix_agents_tenant_id"), "agents", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "api_keys",
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_api_keys_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
        schema="tenant",
    )
    op.create_index(op.f("ix_api_keys_tenant_id"), "api_keys", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "documents",
        sa.Column("source_hash", sa.LargeBinary(), nullable=True),
        sa.Column("title_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("title_given", sa.Boolean(), nullable=False),
        sa.Column("current_version_id", sa.Uuid(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_documents_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("tenant_id", "source_hash", name=op.f("uq_documents_tenant_id_source_hash")),
        schema="tenant",
    )
    op.create_index(op.f("ix_documents_tenant_id"), "documents", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "profiles",
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_profiles_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profiles")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_profiles_tenant_id")),
        schema="tenant",
    )
    op.create_index(op.f("ix_profiles_tenant_id"), "profiles", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "stored_responses",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_stored_responses_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_responses")),
        sa.UniqueConstraint("tenant_id", "key_hash", name=op.f("uq_stored_responses_tenant_id_key_hash")),
        schema="tenant",
    )
    op.create_index(
        op.f("ix_stored_responses_tenant_id"), "stored_responses", ["tenant_id"], unique=False, schema="tenant"
    )
    op.create_table(
        "connections",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("account_hash", sa.LargeBinary(), nullable=True),
        sa.Column("account_id_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("display_name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("credentials_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["tenant.agents.id"], name=op.f("fk_connections_agent_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_connections_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sa.UniqueConstraint(
            "tenant_id", "channel", "account_hash", name=op.f("uq_connections_tenant_id_channel_account_hash")
        ),
        schema="tenant",
    )
    op.create_index(op.f("ix_connections_agent_id"), "connections", ["agent_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_connections_tenant_id"), "connections", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "document_versions",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("file_name_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["tenant.documents.id"], name=op.f("fk_document_versions_document_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_document_versions_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document_versions")),
        schema="tenant",
    )
    op.create_index(
        op.f("ix_document_versions_document_id"), "document_versions", ["document_id"], unique=False, schema="tenant"
    )
    op.create_index(
        op.f("ix_document_versions_tenant_id"), "document_versions", ["tenant_id"], unique=False, schema="tenant"
    )
    op.create_table(
        "chunks",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("heading_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["tenant.documents.id"], name=op.f("fk_chunks_document_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_chunks_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["tenant.document_versions.id"], name=op.f("fk_chunks_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sa.UniqueConstraint("version_id", "position", name=op.f("uq_chunks_version_id_position")),
        schema="tenant",
    )
    op.create_index(op.f("ix_chunks_document_id"), "chunks", ["document_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_chunks_tenant_id"), "chunks", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "contacts",
        sa.Column("customer_hash", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["tenant.connections.id"], name=op.f("fk_contacts_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_contacts_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("connection_id", "customer_hash", name=op.f("uq_contacts_connection_id_customer_hash")),
        schema="tenant",
    )
    op.create_index(op.f("ix_contacts_connection_id"), "contacts", ["connection_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_contacts_tenant_id"), "contacts", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "inbound_events",
        sa.Column("dedup_hash", sa.LargeBinary(), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["tenant.connections.id"],
            name=op.f("fk_inbound_events_connection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_inbound_events_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_events")),
        sa.UniqueConstraint("connection_id", "dedup_hash", name=op.f("uq_inbound_events_connection_id_dedup_hash")),
        schema="tenant",
    )
    op.create_index(
        op.f("ix_inbound_events_connection_id"), "inbound_events", ["connection_id"], unique=False, schema="tenant"
    )
    op.create_index(op.f("ix_inbound_events_tenant_id"), "inbound_events", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "conversations",
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("provider_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider_id_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("business_connection_id_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("agent_paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["tenant.connections.id"],
            name=op.f("fk_conversations_connection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["tenant.contacts.id"], name=op.f("fk_conversations_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_conversations_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint(
            "connection_id", "provider_hash", name=op.f("uq_conversations_connection_id_provider_hash")
        ),
        schema="tenant",
    )
    op.create_index(
        op.f("ix_conversations_connection_id"), "conversations", ["connection_id"], unique=False, schema="tenant"
    )
    op.create_index(op.f("ix_conversations_contact_id"), "conversations", ["contact_id"], unique=False, schema="tenant")
    op.create_index(
        op.f("ix_conversations_last_message_at"), "conversations", ["last_message_at"], unique=False, schema="tenant"
    )
    op.create_index(op.f("ix_conversations_tenant_id"), "conversations", ["tenant_id"], unique=False, schema="tenant")
    op.create_table(
        "turns",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("timings", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("record_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["tenant.agents.id"], name=op.f("fk_turns_agent_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["tenant.connections.id"], name=op.f("fk_turns_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["tenant.conversations.id"], name=op.f("fk_turns_conversation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_turns_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
        schema="tenant",
    )
    op.create_index(op.f("ix_turns_agent_id"), "turns", ["agent_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_turns_connection_id"), "turns", ["connection_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_turns_conversation_id"), "turns", ["conversation_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_turns_tenant_id"), "turns", ["tenant_id"], unique=False, schema="tenant")
    op.create_index(
        "uq_turns_running",
        "turns",
        ["conversation_id"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "handoffs",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["tenant.connections.id"], name=op.f("fk_handoffs_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["tenant.conversations.id"],
            name=op.f("fk_handoffs_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_handoffs_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["tenant.turns.id"], name=op.f("fk_handoffs_turn_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handoffs")),
        schema="tenant",
    )
    op.create_index(op.f("ix_handoffs_connection_id"), "handoffs", ["connection_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_handoffs_conversation_id"), "handoffs", ["conversation_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_handoffs_tenant_id"), "handoffs", ["tenant_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_handoffs_turn_id"), "handoffs", ["turn_id"], unique=False, schema="tenant")
    op.create_index(
        "uq_handoffs_open",
        "handoffs",
        ["conversation_id"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("resolved_at is null"),
    )
    op.create_table(
        "messages",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("dedup_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider_message_hash", sa.LargeBinary(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["tenant.connections.id"], name=op.f("fk_messages_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["tenant.conversations.id"],
            name=op.f("fk_messages_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_messages_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["tenant.turns.id"], name=op.f("fk_messages_turn_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("connection_id", "dedup_hash", name=op.f("uq_messages_connection_id_dedup_hash")),
        schema="tenant",
    )
    op.create_index(op.f("ix_messages_connection_id"), "messages", ["connection_id"], unique=False, schema="tenant")
    op.create_index(
        "ix_messages_conversation_position", "messages", ["conversation_id", "position"], unique=False, schema="tenant"
    )
    op.create_index(op.f("ix_messages_position"), "messages", ["position"], unique=False, schema="tenant")
    op.create_index(
        op.f("ix_messages_provider_message_hash"), "messages", ["provider_message_hash"], unique=False, schema="tenant"
    )
    op.create_index(op.f("ix_messages_tenant_id"), "messages", ["tenant_id"], unique=False, schema="tenant")
    op.create_index(op.f("ix_messages_turn_id"), "messages", ["turn_id"], unique=False, schema="tenant")
    op.create_table(
        "deliveries",
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_message_id_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("provider_message_hash", sa.LargeBinary(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["tenant.connections.id"], name=op.f("fk_deliveries_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["tenant.conversations.id"],
            name=op.f("fk_deliveries_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["tenant.messages.id"], name=op.f("fk_deliveries_message_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_deliveries_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["tenant.turns.id"], name=op.f("fk_deliveries_turn_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("turn_id", "part", name=op.f("uq_deliveries_turn_id_part")),
        schema="tenant",
    )
    op.create_index(op.f("ix_deliveries_connection_id"), "deliveries", ["connection_id"], unique=False, schema="tenant")
    op.create_index(
        op.f("ix_deliveries_conversation_id"), "deliveries", ["conversation_id"], unique=False, schema="tenant"
    )
    op.create_index(op.f("ix_deliveries_message_id"), "deliveries", ["message_id"], unique=False, schema="tenant")
    op.create_index(
        op.f("ix_deliveries_provider_message_hash"),
        "deliveries",
        ["provider_message_hash"],
        unique=False,
        schema="tenant",
    )
    op.create_index(op.f("ix_deliveries_tenant_id"), "deliveries", ["tenant_id"], unique=False, schema="tenant")
    open_schemas()
    protect(
        "keys.connection_keys",
        "keys.tenant_keys",
        "tenant.agents",
        "tenant.api_keys",
        "tenant.documents",
        "tenant.profiles",
        "tenant.stored_responses",
        "tenant.connections",
        "tenant.document_versions",
        "tenant.chunks",
        "tenant.contacts",
        "tenant.inbound_events",
        "tenant.conversations",
        "tenant.turns",
        "tenant.handoffs",
        "tenant.messages",
        "tenant.deliveries",
    )
    route()
    _make_queue()


def downgrade() -> None:
    for schema in ("tenant", "keys"):
        op.execute(f"drop schema {schema} cascade")
        op.execute(f"create schema {schema}")
    op.execute("drop function platform.tenant_of")
    op.execute("drop table platform.tenants")
    op.execute("drop schema queue cascade")
    op.execute("create schema queue")


def _make_queue() -> None:
    # psycopg runs procrastinate's whole script in one call; SQLAlchemy would take its % for parameters.
    connection = op.get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("migrations need a live connection")
    connection.execute(SchemaManager.get_schema())
    open_queue()
