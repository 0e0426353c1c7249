"""Connections to channels, the events that came in over them, and the deliveries that go out."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy import Uuid as UuidType
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from app.models.base import (
    ConnectionScoped,
    Encrypted,
    TenantScoped,
    encrypted_text,
    found_by,
    in_connection,
    in_tenant,
    known_in_tenant,
    optional_json,
    optional_text,
    sealed,
)

ConnectionState = Literal["connecting", "active", "needs_reauthorisation", "erasing", "disconnected"]
DeliveryState = Literal["queued", "sending", "sent", "failed", "unknown", "cancelled"]


class Connection(TenantScoped):
    """A channel account that a tenant connected; `epoch` moves at a disconnect, and writes of older work stop.

    Its credentials are refreshed at `refresh_at`; that its events still come to us was seen at `checked_at`.
    `template` names what goes out when the channel's window is closed. A mailbox was last looked at at `polled_at`,
    has been read up to `position`, and is watched by a worker until `watched_until`.
    """

    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("tenant_id", "channel", "account_hash"),
        in_tenant("agent_id", "agents", ondelete=None),
        known_in_tenant(),
        {"schema": "tenant"},
    )
    referred_to = True

    channel: Mapped[str] = mapped_column(Text)
    agent_id: Mapped[UUID] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(Text, default="active")
    epoch: Mapped[int] = mapped_column(default=0)
    simulated: Mapped[bool] = mapped_column(default=False)
    retention: Mapped[str] = mapped_column(Text, default="30 days", server_default="30 days")
    erase_after: Mapped[datetime | None]
    refresh_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    polled_at: Mapped[datetime | None]
    watched_until: Mapped[datetime | None]
    position: Mapped[str | None] = mapped_column(Text)
    account_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    account_id_sealed: Mapped[bytes] = sealed()
    account_id: Encrypted[str] = encrypted_text("account_id_sealed")
    display_name_sealed: Mapped[bytes] = sealed()
    display_name: Encrypted[str] = encrypted_text("display_name_sealed")
    credentials_sealed: Mapped[bytes | None] = sealed()
    credentials: Encrypted[dict[str, Any]] = Encrypted("credentials_sealed", orjson.dumps, orjson.loads)
    template_sealed: Mapped[bytes | None] = sealed()
    template: Encrypted[dict[str, str] | None] = optional_json("template_sealed")

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[UUID]:
        """A connection is encrypted by its own key."""
        return cls.id


class ConnectionRoute(ConnectionScoped):
    """An id by which events of a shared webhook name a connection, as a hash keyed by the master key.

    The account's own id is `exclusive`: it is connected once in the whole of Jobx.
    """

    __tablename__ = "connection_routes"
    __table_args__ = (
        Index("uq_connection_routes_exclusive", "route_hash", unique=True, postgresql_where=text("exclusive")),
        in_connection(),
        {"schema": "tenant"},
    )

    route_hash: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    exclusive: Mapped[bool] = mapped_column(default=True)


class Consent(TenantScoped):
    """An owner on the way through a provider's consent page and back; `grants` are what there is to choose from."""

    __tablename__ = "consents"
    __table_args__ = (in_tenant("agent_id", "agents"), {"schema": "tenant"})

    agent_id: Mapped[UUID] = mapped_column(index=True)
    channel: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default="waiting")
    expires_at: Mapped[datetime]
    verifier_sealed: Mapped[bytes | None] = sealed()
    verifier: Encrypted[str | None] = optional_text("verifier_sealed")
    grants_sealed: Mapped[bytes | None] = sealed()
    grants: Encrypted[list[dict[str, Any]] | None] = optional_json("grants_sealed")
    error_code: Mapped[str | None] = mapped_column(Text)
    error_sealed: Mapped[bytes | None] = sealed()
    error: Encrypted[str | None] = optional_text("error_sealed")
    connection_ids: Mapped[list[UUID]] = mapped_column(ARRAY(UuidType), default=list)


class InboundEvent(ConnectionScoped):
    """A webhook body as it came, kept until it is handled; its keyed hash makes a repeated one a no-op.

    `conversation_ids` are known once it is handled: it is erased with any of them.
    """

    __tablename__ = "inbound_events"
    __table_args__ = (UniqueConstraint("connection_id", "dedup_hash"), in_connection(), {"schema": "tenant"})

    dedup_hash: Mapped[bytes] = mapped_column(LargeBinary)
    body_sealed: Mapped[bytes | None] = sealed()
    body: Encrypted[bytes] = Encrypted("body_sealed", lambda value: value, lambda value: value)
    epoch: Mapped[int]
    handled_at: Mapped[datetime | None]
    conversation_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(UuidType))


class Delivery(ConnectionScoped):
    """One provider call to be made: part `part` of a turn's reply. It leaves `sending` only by the provider's word."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("uq_deliveries_place", "tenant_id", "turn_id", "part", unique=True),
        in_connection(),
        in_tenant("turn_id", "turns"),
        in_tenant("message_id", "messages"),
        found_by("message_id"),
        in_tenant("conversation_id", "conversations"),
        found_by("conversation_id"),
        {"schema": "tenant"},
    )

    turn_id: Mapped[UUID]
    message_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    part: Mapped[int]
    state: Mapped[str] = mapped_column(Text, default="queued")
    epoch: Mapped[int]
    attempts: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None]
    trace_id: Mapped[str | None] = mapped_column(Text)
    provider_message_id_sealed: Mapped[bytes | None] = sealed()
    provider_message_id: Encrypted[str | None] = optional_text("provider_message_id_sealed")
    provider_message_hash: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
