"""What all tables share: ids, tenant scope, encrypted columns, and the list of what row-level security covers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar, overload
from uuid import UUID

import orjson
from sqlalchemy import DateTime, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, MetaData, inspect
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import (
    DeclarativeBase,
    InstrumentedAttribute,
    Mapped,
    MappedColumn,
    declared_attr,
    mapped_column,
)
from sqlalchemy.types import TypeDecorator
from uuid_utils.compat import uuid7

from app.crypto import current_keyring, place
from app.models.words import Kind, hashes_of

T = TypeVar("T")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): unique, and ordered by time, so that indexes stay compact and pages have an order."""
    return uuid7()


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The root of all models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012


class SealedBytes(TypeDecorator[bytes]):
    """A column that holds only ciphertext; the type marks it as encrypted for the catalogue's tests."""

    impl = LargeBinary
    cache_ok = True


def sealed() -> MappedColumn[Any]:
    """The column under an `Encrypted` attribute."""
    return mapped_column(SealedBytes)


class Encrypted(Generic[T]):
    """An attribute that is encrypted in its column and plain in Python, inside the tenant's transaction only.

    The key is that of the row's connection where the table has one, else the tenant's.
    """

    def __init__(self, column: str, encode: Callable[[T], bytes], decode: Callable[[bytes], T]) -> None:
        self._column = column
        self._encode = encode
        self._decode = decode

    @overload
    def __get__(self, row: None, owner: type) -> "Encrypted[T]": ...

    @overload
    def __get__(self, row: "Row", owner: type) -> T: ...

    def __get__(self, row: "Row | None", owner: type) -> "T | Encrypted[T]":
        if row is None:
            return self
        stored: bytes | None = getattr(row, self._column)
        if stored is None:
            return None  # type: ignore[return-value]  # T is optional where the column is
        return self._decode(current_keyring().unseal(row.key_scope(), stored, row.place_of(self._column)))

    def __set__(self, row: "Row", value: T) -> None:
        bound = row.place_of(self._column)
        stored = None if value is None else current_keyring().seal(row.key_scope(), self._encode(value), bound)
        setattr(row, self._column, stored)


class Searchable(Encrypted[T]):
    """Encrypted text that is found by whole words: whoever sets it sets the hashes of its words with it.

    They are in the row's column `words`, an array that is never read here: a search asks the database.
    """

    def __init__(self, kind: Kind, column: str, encode: Callable[[T], bytes], decode: Callable[[bytes], T]) -> None:
        super().__init__(column, encode, decode)
        self._kind: Kind = kind

    def __set__(self, row: "Row", value: T) -> None:
        super().__set__(row, value)
        row.words = hashes_of(self._kind, str(value or ""), row.key_scope())  # type: ignore[attr-defined]


def words() -> MappedColumn[Any]:
    """The column `words` of a row with a `Searchable` text."""
    return mapped_column(ARRAY(LargeBinary), default=list, server_default="{}", deferred=True)


def encrypted_text(column: str) -> "Encrypted[str]":
    """Encrypted text; the column must not be null."""
    return Encrypted(column, str.encode, bytes.decode)


def searchable_text(column: str, kind: Kind) -> "Encrypted[str]":
    """Encrypted text that is found by its words; the column must not be null."""
    return Searchable(kind, column, str.encode, bytes.decode)


def optional_text(column: str) -> "Encrypted[str | None]":
    """Encrypted text that may be absent."""
    return Encrypted(column, _encoded, bytes.decode)


def optional_searchable_text(column: str, kind: Kind) -> "Encrypted[str | None]":
    """Encrypted text that may be absent and is found by its words."""
    return Searchable(kind, column, _encoded, bytes.decode)


def _encoded(value: str | None) -> bytes:
    return (value or "").encode()


def optional_json(column: str) -> "Encrypted[Any]":
    """An encrypted value of JSON that may be absent."""
    return Encrypted(column, orjson.dumps, orjson.loads)


class Row(Base):
    """A row with an id of our own making; `id` and the scope come first, because encryption needs them."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=now)

    def __init__(self, **values: Any) -> None:
        scope = {name: values.pop(name) for name in ("tenant_id", "connection_id") if name in values}
        super().__init__(id=values.pop("id", None) or new_id(), created_at=now(), **scope)
        for name, value in values.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name}")
            setattr(self, name, value)

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[UUID] | None:
        """The column that names the connection whose key encrypts a row, or None for the tenant's own key."""
        return None

    def key_scope(self) -> UUID | None:
        """The connection whose key encrypts this row, or None for the tenant's own key."""
        column = self.scope_column()
        return None if column is None else getattr(self, column.key)

    def place_of(self, column: str) -> bytes:
        """What binds the value of a sealed column, given by its attribute, to this row."""
        name = inspect(type(self)).attrs[column].columns[0].name
        return place(str(self.__table__), name, self.id)

    @classmethod
    def sealed_columns(cls) -> dict[str, Any]:
        """The columns that hold ciphertext, by attribute."""
        found = {attr.key: attr.columns[0] for attr in inspect(cls).column_attrs}
        return {key: column for key, column in found.items() if isinstance(column.type, SealedBytes)}

    def reseal(self) -> None:
        """Seal anew what is not sealed by the active generation of keys; raises SealBroken where one does not open."""
        keyring, scope = current_keyring(), self.key_scope()
        for column in self.sealed_columns():
            stored: bytes | None = getattr(self, column)
            if stored is not None and not keyring.is_current(stored):
                bound = self.place_of(column)
                setattr(self, column, keyring.seal(scope, keyring.unseal(scope, stored, bound), bound))

    def column_values(self) -> dict[str, Any]:
        """The row as column names and values, for statements the ORM cannot make (insert on conflict)."""
        mapper = inspect(type(self))
        return {
            attr.columns[0].name: getattr(self, attr.key) for attr in mapper.column_attrs if attr.key in self.__dict__
        }


def sealed_models() -> list[type[Row]]:
    """Every model that has a column with ciphertext: new tables join by themselves."""
    models = (mapper.class_ for mapper in Base.registry.mappers)
    return sorted((model for model in models if issubclass(model, Row) and model.sealed_columns()), key=str)


def known_in_tenant() -> Index:
    """What a table needs that others refer to by `in_tenant`; it is the index on the tenant, too."""
    return Index(None, "tenant_id", "id", unique=True)


def in_tenant(column: str, table: str, ondelete: str | None = "CASCADE") -> ForeignKeyConstraint:
    """A reference to a row of the same tenant.

    PostgreSQL checks references past row-level security: by its id alone a tenant could point at another's row, and
    tell by the answer whether it exists.
    """
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"tenant.{table}.tenant_id", f"tenant.{table}.id"], ondelete=ondelete
    )


def found_by(column: str) -> Index:
    """The index by which a deletion finds the rows that refer to what goes.

    It has both columns: of two indexes with one each the server may take the tenant's, and read all its rows each time.
    """
    return Index(None, "tenant_id", column)


def in_connection() -> ForeignKeyConstraint:
    """The reference that every ConnectionScoped table lists among its arguments."""
    return in_tenant("connection_id", "connections")


class TenantScoped(Row):
    """A row of schema `tenant`: row-level security is forced on its table, on `tenant_id`."""

    __abstract__ = True

    @declared_attr.directive
    def __table_args__(self) -> Any:
        return {"schema": "tenant"}

    # Whether rows of other tables refer to its rows; then it lists `known_in_tenant()` among its arguments.
    referred_to: ClassVar[bool] = False

    @declared_attr
    def tenant_id(self) -> Mapped[UUID]:
        """Whose row it is."""
        tenant = ForeignKey("platform.tenants.id", ondelete="CASCADE")
        return mapped_column(tenant, index=not self.referred_to)

    def __init__(self, **values: Any) -> None:
        super().__init__(tenant_id=values.pop("tenant_id", None) or current_keyring().tenant_id, **values)


class ConnectionScoped(TenantScoped):
    """A tenant's row that belongs to one channel connection: encrypted by its key, erased with it."""

    __abstract__ = True

    connection_id: Mapped[UUID] = mapped_column(index=True)

    @classmethod
    def scope_column(cls) -> InstrumentedAttribute[UUID]:
        """The row's own connection."""
        return cls.connection_id
