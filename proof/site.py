"""A running Jobx as a proof sees it: over HTTP, by its database, and by every file that it leaves."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from app.crypto import MasterKey
from app.keys.service import Vault
from app.privacy.places import Scope, Table
from app.privacy.tables import TABLES
from app.simulators.tiktok import TikTokSimulator
from app.storage import Storage
from proof.needles import Needles, dump, files

_PATIENCE_SECONDS = 120.0


@dataclass
class Site:
    """`admin` is a superuser's address, `places` are the folders and logs that are searched beside the database.

    `http` carries an API key of `tenant_id`. `settle` returns when an erasure may have gone on. `tiktok` is a provider
    at the wire that Jobx is pointed at, and `browser` what its owner reaches it by.
    """

    http: httpx.AsyncClient
    tenant_id: UUID
    vault: Vault
    master: MasterKey
    storage: Storage
    admin: str
    places: Sequence[Path]
    settle: Callable[[], Awaitable[None]]
    tiktok: TikTokSimulator
    browser: httpx.AsyncClient

    def everywhere(self) -> Iterator[tuple[str, bytes]]:
        """Every place, by name."""
        yield from dump(self.admin)
        yield from files(*self.places)

    async def erase(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Ask for an erasure and wait for its receipt."""
        answer = await self.http.delete(path, params=parameters)
        if answer.status_code != 202:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            await self.settle()
            found = await self.http.get(f"/v1/erasures/{answer.json()['id']}")
            if found.json()["state"] == "done":
                return dict(found.json())
        raise RuntimeError(f"{path} is not erased after {_PATIENCE_SECONDS} s: {found.json()}")


@dataclass
class Recorded:
    """What was there of a scope before its erasure: every id, ciphertext and keyed hash of its rows."""

    values: list[bytes | UUID]
    rows: dict[str, int]
    empty: list[str]


def record(site: Site, scope: Scope, target: UUID, members: Sequence[UUID] = ()) -> Recorded:
    """Read a scope's rows as a superuser; `empty` names encrypted or hashed columns that no row has a value in."""
    values: list[bytes | UUID] = []
    rows, empty = {}, []
    with psycopg.connect(site.admin, row_factory=dict_row) as connection:
        for table in TABLES:
            if scope in table.scopes:
                found = _rows(connection, table, scope, target, members)
                rows[table.name] = len(found)
                own = {name: [value for row in found for value in _each(row[name])] for name in _own(table)}
                values += [value for column in own.values() for value in column]
                empty += [f"{table.name}.{name}" for name, column in own.items() if not column]
    return Recorded(values, rows, empty)


def _each(value: Any) -> list[Any]:
    """The values in a column: several in an array, none in one that is empty."""
    return [] if value is None else value if isinstance(value, list) else [value]


def left(site: Site, scope: Scope, target: UUID, members: Sequence[UUID] = ()) -> int:
    """How many rows of a scope there are."""
    return sum(record(site, scope, target, members).rows.values())


def trace_of(site: Site, needles: Needles) -> dict[str, set[int]]:
    """In which places there is a trace of which values."""
    found = {name: needles.found_in(content) for name, content in site.everywhere()}
    return {name: numbers for name, numbers in found.items() if numbers}


def _rows(
    connection: "psycopg.Connection[dict[str, Any]]", table: Table, scope: Scope, target: UUID, members: Sequence[UUID]
) -> list[dict[str, Any]]:
    condition = table.scopes[scope].replace(":target", "%(target)s").replace(":members", "%(members)s::uuid[]")
    query = sql.SQL("select * from {} where " + condition).format(sql.Identifier(*table.name.split(".")))
    return connection.execute(query, {"target": target, "members": list(members)}).fetchall()


def _own(table: Table) -> list[str]:
    """The columns whose values are the row's own: its id and what is encrypted or hashed."""
    key = {"keys.connection_keys": "connection_id", "keys.tenant_keys": "tenant_id"}.get(table.name, "id")
    return [column.name for column in table.columns if column.name == key or column.form != "clear"]
