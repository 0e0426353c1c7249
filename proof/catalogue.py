"""What the database itself says: all tables that hold a tenant's rows, and the functions that see past them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg

# Schema `platform` has tables of tenants, and tables of none.
_TABLES = """
    select c.oid, c.oid::regclass::text, n.nspname, exists (
           select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('tenant', 'keys', 'platform') and c.relkind in ('r', 'p')
     order by 2
"""
# Ids of master keys, which are nobody's data.
_OF_NO_TENANT = {"keys.masters"}
_DEFINERS = """
    select p.oid::regprocedure::text, n.nspname || '.' || p.proname,
           array(select format_type(one, null) from unnest(p.proargtypes) one)
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where p.prosecdef and n.nspname in ('tenant', 'keys', 'platform')
       and has_function_privilege('jobx_app', p.oid, 'execute')
     order by 1
"""
_COLUMNS = """
    select attname, format_type(atttypid, null), attnotnull, attgenerated <> '' or attidentity <> ''
      from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped order by attnum
"""
_KEY = """
    select attname from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey)
     where indrelid = %s and indisprimary order by attnum
"""
_REFERENCES = """
    select conname, confrelid::regclass::text,
           array(select attname from unnest(conkey) with ordinality k (number, place)
                   join pg_attribute on attrelid = conrelid and attnum = number order by place)
      from pg_constraint where conrelid = %s and contype = 'f' order by conname
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; a `made` one gets its value from the server."""

    name: str
    type: str
    required: bool
    made: bool


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key; `column` is the one that names a row, beside the tenant perhaps."""

    name: str
    target: str
    column: str


@dataclass(frozen=True)
class Table:
    """A table, schema-qualified; `key` is the column of its primary key, or the first of them."""

    name: str
    key: str
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]

    @cached_property
    def noun(self) -> str:
        """Its name without the schema."""
        return self.name.rpartition(".")[2]

    def copy(self, **other: str) -> str:
        """An INSERT of a copy of a row of this table, aliased `source`, with other SQL in some columns."""
        given = [column for column in self.columns if not column.made]
        values = [other.get(column.name, _fresh(column)) for column in given]
        names = ", ".join(column.name for column in given)
        return f"insert into {self.name} ({names}) select {', '.join(values)} from {self.name} source"


def _fresh(column: Column) -> str:
    # Hashes are unique within their connection; a copy has to fail by what is probed, not by those.
    if column.name == "id":
        return "gen_random_uuid()"
    return f"sha256(gen_random_uuid()::text::bytea) || source.{column.name}" if _is_hash(column) else _old(column)


def _is_hash(column: Column) -> bool:
    return column.name.endswith("_hash") and column.type == "bytea"


def _old(column: Column) -> str:
    return f"source.{column.name}"


@dataclass(frozen=True, slots=True)
class Definer:
    """A function that the service may call and that runs with another role's rights: past row-level security."""

    signature: str
    name: str
    arguments: tuple[str, ...]


class NoTenant(Exception):
    """A table among those of tenants has no column `tenant_id`, by which it could be probed."""


def read(connection: psycopg.Connection[Any]) -> tuple[Table, ...]:
    """Every table that holds tenants' rows; a new one is found here without being listed. Raises NoTenant."""
    found = connection.execute(_TABLES).fetchall()
    for _, name, schema, of_tenant in found:
        if not of_tenant and schema != "platform" and name not in _OF_NO_TENANT:
            raise NoTenant(f"{name} has no tenant_id: give it one, or list it in proof/ as nobody's.")
    return tuple(_table(connection, oid, name) for oid, name, _, of_tenant in found if of_tenant)


def definers(connection: psycopg.Connection[Any]) -> tuple[Definer, ...]:
    """Every function that lets the service see past row-level security."""
    return tuple(Definer(one, name, tuple(types)) for one, name, types in connection.execute(_DEFINERS).fetchall())


def _table(connection: psycopg.Connection[Any], oid: int, name: str) -> Table:
    columns = tuple(Column(*row) for row in connection.execute(_COLUMNS, (oid,)).fetchall())
    keys = [row[0] for row in connection.execute(_KEY, (oid,)).fetchall()]
    key = next((one for one in keys if one != "tenant_id"), keys[0] if keys else "tenant_id")
    references = tuple(
        reference
        for row in connection.execute(_REFERENCES, (oid,)).fetchall()
        if (reference := _reference(*row)) is not None
    )
    return Table(name, key, columns, references)


def _reference(name: str, target: str, columns: Sequence[str]) -> Reference | None:
    """A reference to a tenant's row; the one to the tenant itself is row-level security's own column."""
    naming = [column for column in columns if column != "tenant_id"]
    return Reference(name, target, naming[0]) if target != "platform.tenants" and naming else None
