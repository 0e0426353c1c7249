"""Channels: routes of shared webhooks, what replies need, consents, templates, mailboxes; and modes of agents."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.migrations import access

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None
stage = "pre"

_LABELS = ("labels_sealed", "label_hashes")


def upgrade() -> None:
    op.create_table(
        "connection_routes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("route_hash", sa.LargeBinary(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection_routes")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["platform.tenants.id"],
            name=op.f("fk_connection_routes_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["tenant.connections.tenant_id", "tenant.connections.id"],
            name=op.f("fk_connection_routes_tenant_id_connection_id"),
            ondelete="CASCADE",
        ),
        schema="tenant",
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verifier_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("grants_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("connection_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_consents_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "agent_id"],
            ["tenant.agents.tenant_id", "tenant.agents.id"],
            name=op.f("fk_consents_tenant_id_agent_id"),
            ondelete="CASCADE",
        ),
        schema="tenant",
    )
    for name, table, columns in (
        ("ix_connection_routes_tenant_id", "connection_routes", ["tenant_id"]),
        ("ix_connection_routes_connection_id", "connection_routes", ["connection_id"]),
        ("ix_connection_routes_route_hash", "connection_routes", ["route_hash"]),
        ("ix_consents_tenant_id", "consents", ["tenant_id"]),
        ("ix_consents_agent_id", "consents", ["agent_id"]),
    ):
        op.create_index(op.f(name), table, columns, unique=False, schema="tenant")
    op.create_index(
        "uq_connection_routes_exclusive",
        "connection_routes",
        ["route_hash"],
        unique=True,
        schema="tenant",
        postgresql_where=sa.text("exclusive"),
    )
    access.protect("tenant.connection_routes", "tenant.consents")
    for table, column, kind in (
        ("contacts", "alias_hash", sa.LargeBinary()),
        ("conversations", "mode", sa.Text()),
        ("conversations", "waiting_since", sa.DateTime(timezone=True)),
        ("conversations", "language", sa.Text()),
        ("conversations", "satisfaction_asked_at", sa.DateTime(timezone=True)),
        ("conversations", "rating", sa.Integer()),
        ("agents", "satisfaction_message_sealed", sa.LargeBinary()),
        ("conversations", "assignee_sealed", sa.LargeBinary()),
        ("conversations", "assignee_hash", sa.LargeBinary()),
        ("handoffs", "escalated_at", sa.DateTime(timezone=True)),
        ("agents", "closed_message_sealed", sa.LargeBinary()),
        ("agents", "translations_sealed", sa.LargeBinary()),
        ("agents", "hours_sealed", sa.LargeBinary()),
        ("agents", "escalate_after_minutes", sa.Integer()),
        ("conversations", "resolved_at", sa.DateTime(timezone=True)),
        ("conversations", "labels_sealed", sa.LargeBinary()),
        ("agents", "resume_after_minutes", sa.Integer()),
        ("conversations", "address_sealed", sa.LargeBinary()),
        ("connections", "template_sealed", sa.LargeBinary()),
        ("connections", "refresh_at", sa.DateTime(timezone=True)),
        ("connections", "checked_at", sa.DateTime(timezone=True)),
        ("connections", "polled_at", sa.DateTime(timezone=True)),
        ("connections", "watched_until", sa.DateTime(timezone=True)),
        ("connections", "position", sa.Text()),
    ):
        op.add_column(table, sa.Column(column, kind, nullable=True), schema="tenant")
    for column, default in (("mode", "autopilot"), ("when_closed", "answer")):
        op.add_column("agents", sa.Column(column, sa.Text(), server_default=default, nullable=False), schema="tenant")
    op.add_column(
        "conversations",
        sa.Column("label_hashes", sa.ARRAY(sa.LargeBinary()), server_default="{}", nullable=False),
        schema="tenant",
    )
    op.create_table(
        "conversation_notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation_notes")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["platform.tenants.id"], name=op.f("fk_conversation_notes_tenant_id"), ondelete="CASCADE"
        ),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", f"{one}_id"],
                [f"tenant.{one}s.tenant_id", f"tenant.{one}s.id"],
                name=op.f(f"fk_conversation_notes_tenant_id_{one}_id"),
                ondelete="CASCADE",
            )
            for one in ("connection", "conversation")
        ),
        schema="tenant",
    )
    for column in ("tenant_id", "connection_id"):
        op.create_index(
            op.f(f"ix_conversation_notes_{column}"), "conversation_notes", [column], unique=False, schema="tenant"
        )
    op.create_index(
        op.f("ix_conversation_notes_tenant_id_conversation_id"),
        "conversation_notes",
        ["tenant_id", "conversation_id"],
        schema="tenant",
    )
    access.protect("tenant.conversation_notes")
    access.route_shared_webhooks()
    access.look_after_mailboxes()


def downgrade() -> None:
    op.execute("drop function platform.connections_routed")
    op.execute("drop function platform.connections_due")
    op.execute("drop function platform.take_due_mailboxes")
    op.execute("drop function platform.watch_mailboxes")
    op.execute("drop policy router_looks_after on tenant.connections")
    for table, columns in {
        "contacts": ["alias_hash"],
        "conversations": [
            *("address_sealed", "mode", "waiting_since", "resolved_at", *_LABELS),
            *("language", "assignee_sealed", "assignee_hash", "satisfaction_asked_at", "rating"),
        ],
        "handoffs": ["escalated_at"],
        "agents": [
            *("resume_after_minutes", "mode", "closed_message_sealed", "translations_sealed", "hours_sealed"),
            *("escalate_after_minutes", "when_closed", "satisfaction_message_sealed"),
        ],
        "connections": [
            *("template_sealed", "refresh_at", "checked_at"),
            *("polled_at", "watched_until", "position"),
        ],
    }.items():
        for column in columns:
            op.drop_column(table, column, schema="tenant")
    for table in ("conversation_notes", "consents", "connection_routes"):
        op.drop_table(table, schema="tenant")
