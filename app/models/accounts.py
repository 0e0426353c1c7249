"""Tenants, their wrapped keys, their API keys and the answers kept for repeated requests."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Encrypted, Row, TenantScoped, encrypted_text, now, sealed


class Tenant(Row):
    """A business that uses Jobx. Schema `platform`: ids and state only, its name is in its own profile."""

    __tablename__ = "tenants"
    __table_args__ = {"schema": "platform"}  # noqa: RUF012

    sample: Mapped[bool] = mapped_column(default=False)


class TenantKey(Base):
    """A tenant's data key, wrapped by the master key."""

    __tablename__ = "tenant_keys"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("platform.tenants.id", ondelete="CASCADE"), primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ConnectionKey(Base):
    """A connection's data key, wrapped by its tenant's key; made before the connection, so without a foreign key."""

    __tablename__ = "connection_keys"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("platform.tenants.id", ondelete="CASCADE"), index=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Profile(TenantScoped):
    """What a tenant says about itself."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("tenant_id"), {"schema": "tenant"})

    name_sealed: Mapped[bytes] = sealed()
    name: Encrypted[str] = encrypted_text("name_sealed")


class ApiKey(TenantScoped):
    """A key for the API: only its SHA-256 is kept (it is 256 random bits, so no slow hash is needed)."""

    __tablename__ = "api_keys"

    name_sealed: Mapped[bytes] = sealed()
    name: Encrypted[str] = encrypted_text("name_sealed")
    hint: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    revoked_at: Mapped[datetime | None]


class StoredResponse(TenantScoped):
    """The answer to a request that carried an Idempotency-Key, given again when the request is repeated."""

    __tablename__ = "stored_responses"
    __table_args__ = (UniqueConstraint("tenant_id", "key_hash"), {"schema": "tenant"})

    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    status_code: Mapped[int | None]
    body_sealed: Mapped[bytes | None] = sealed()
    body: Encrypted[bytes] = Encrypted("body_sealed", lambda value: value, lambda value: value)
