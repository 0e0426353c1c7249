"""What calls of language models took (micro US dollars, number): by tenant and month, customer and day, and in all."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, ConnectionScoped, TenantScoped, in_connection, in_tenant


class Usage(TenantScoped):
    """A tenant's calls in a month (UTC), which `month` names by its first day."""

    __tablename__ = "usages"
    __table_args__ = (UniqueConstraint("tenant_id", "month"), {"schema": "tenant"})

    month: Mapped[date]
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    calls: Mapped[int] = mapped_column(BigInteger)


class CustomerUsage(ConnectionScoped):
    """The calls of a day (UTC) that answered one customer."""

    __tablename__ = "customer_usages"
    __table_args__ = (
        UniqueConstraint("tenant_id", "contact_id", "day"),
        in_connection(),
        in_tenant("contact_id", "contacts"),
        {"schema": "tenant"},
    )

    contact_id: Mapped[UUID]
    day: Mapped[date]
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    calls: Mapped[int] = mapped_column(BigInteger)


class PlatformUsage(Base):
    """The calls of a day (UTC) of everybody together; nothing in it is of a person or a tenant."""

    __tablename__ = "usages"
    __table_args__ = {"schema": "platform"}  # noqa: RUF012

    day: Mapped[date] = mapped_column(primary_key=True)
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    calls: Mapped[int] = mapped_column(BigInteger)
