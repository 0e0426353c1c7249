"""Tenants, their wrapped keys, their API keys and the answers kept for repeated requests."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Encrypted, Row, TenantScoped, encrypted_text, now, sealed


class Tenant(Row):
    """A business that uses Jobx. Schema `platform`: ids and state only, its name is in its own profile."""

    __tablename__ = "tenants"
    __table_args__ = {"schema": "platform"}  # noqa: RUF012

    sample: Mapped[bool] = mapped_column(default=False)


class SeenMaster(Base):
    """A master key that this database has worked with, by its id: another one is recognised at start-up."""

    __tablename__ = "masters"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class TenantKey(Base):
    """A tenant's data keys, wrapped by the master key `master_id` (None: by an older release, which kept no ids).

    `generation` is what seals now; `next_generation` is set from when new ones are asked for until all that the tenant
    has is sealed by them.
    """

    __tablename__ = "tenant_keys"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("platform.tenants.id", ondelete="CASCADE"), primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    master_id: Mapped[bytes | None] = mapped_column(LargeBinary)
    generation: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    next_generation: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ConnectionKey(Base):
    """A connection's data keys, wrapped by its tenant's key; made before the connection, so without a foreign key.

    `webhook_master_id` is the master key whose webhook secret the provider was told last.
    """

    __tablename__ = "connection_keys"
    __table_args__ = {"schema": "keys"}  # noqa: RUF012

    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("platform.tenants.id", ondelete="CASCADE"), index=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    webhook_master_id: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Profile(TenantScoped):
    """What a tenant says about itself, and for how many days it keeps conversations (None: as long as usual).

    What language models may cost it in a month (micro US dollars) is the lesser of `plan_spend_micros`, which the
    operator sets, and its own `spend_limit_micros`; None is no limit. Each customer has limits for a day.
    `last_change` is the number of the newest change in its feed; who gives numbers holds this row's lock.
    """

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("tenant_id"), {"schema": "tenant"})

    name_sealed: Mapped[bytes] = sealed()
    name: Encrypted[str] = encrypted_text("name_sealed")
    conversation_days: Mapped[int | None]
    plan_spend_micros: Mapped[int | None] = mapped_column(BigInteger)
    spend_limit_micros: Mapped[int | None] = mapped_column(BigInteger)
    customer_spend_limit_micros: Mapped[int | None] = mapped_column(BigInteger)
    customer_calls_limit: Mapped[int | None] = mapped_column(default=200, server_default=text("200"))
    last_change: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))


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
