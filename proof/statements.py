"""Probes of every table, as the service's own role: queries that forget the tenant, or name another one."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, text
from sqlalchemy.exc import DBAPIError

from proof.catalogue import Reference, Table
from proof.oracle import Outcome
from proof.world import Party, World

# Each must give no row of another tenant; {t} is the table, {k} its key, {u} any other table.
_READS = {
    "by id": "select tenant_id from {t} where {k} = :theirs",
    "by tenant": "select tenant_id from {t} where tenant_id = :tenant",
    "without a tenant": "select tenant_id from {t}",
    "with a condition that is always true": "select tenant_id from {t} where {k} = :theirs or true",
    "joined to everything": "select x.tenant_id from {u} y left join {t} x on true limit 500",
    "joined by id": "select x.tenant_id from {t} x join {t} y on x.{k} = y.{k} and y.{k} = :theirs",
    "as a common table": "with x as materialized (select * from {t}) select tenant_id from x",
    "side by side": "select x.tenant_id from {u} y cross join lateral (select * from {t} limit 20) x limit 500",
    "in a sample": "select tenant_id from {t} tablesample system (100)",
    "to lock it": "select tenant_id from {t} where {k} = :theirs for update",
    "to lock what is free": "select tenant_id from {t} for share skip locked",
    "by existence": "select tenant_id from {t} where exists (select from {t} z where z.{k} = :theirs)",
    "by what fails on it": "select tenant_id from {t} where 1 / case when {k} = :theirs then 0 else 1 end = 1",
    "by what it says": "select tenant_id from {t} x where x::text like '%' || cast(:theirs as text) || '%'",
    "counted": "select :tenant from {t} where {k} = :theirs having count(*) > 0",
    "grouped": "select tenant_id from {t} group by tenant_id",
    "of all tenants": "select x.tenant_id from platform.tenants p join {t} x on x.tenant_id = p.id",
}
# Each must change no row of another tenant, and give none; what they do to one's own is rolled back.
_WRITES = {
    "updated by id": "update {t} set tenant_id = tenant_id where {k} = :theirs returning tenant_id",
    "updated without a tenant": "update {t} set tenant_id = tenant_id returning tenant_id",
    "taken over": "update {t} set tenant_id = :mine where {k} = :theirs returning :tenant",
    "deleted by id": "delete from {t} where {k} = :theirs returning tenant_id",
    "deleted by tenant": "delete from {t} where tenant_id = :tenant returning tenant_id",
    "deleted through another": "delete from {t} x using {u} y where x.{k} = :theirs returning x.tenant_id",
    "merged": "merge into {t} x using (select 1) y on x.{k} = :theirs when matched then delete",
    "copied by id": "{copy} where source.{k} = :theirs returning :tenant",
    "copied over": "{copied} where source.tenant_id = :tenant returning :tenant",
}
# Each must be refused: it would give a row to another tenant, or empty the table.
_REFUSED = {
    "given away": "update {t} set tenant_id = :tenant where tenant_id = :mine",
    "planted": "{planted} where source.tenant_id = :mine",
    "truncated": "truncate {t} cascade",
    "opened": "alter table {t} disable row level security",
    "opened to the owner": "alter table {t} no force row level security",
    "given a policy": "create policy open on {t} using (true)",
    "rid of its policy": "drop policy tenant on {t}",
    "shown as its owner": "set local role jobx_owner",
    "shown as the router": "set local role jobx_router",
    "shown as the backup": "set local role jobx_backup",
    "told of changes": "create trigger told before insert on {t} execute function tsvector_update_trigger()",
    "made a view": "create view platform.seen as select * from {t}",
    "read as a file": "select pg_read_file(pg_relation_filepath('{t}'))",
    "told by statistics": "select 1 / count(*) from pg_stats where schemaname || '.' || tablename = '{t}'",
    "told by raw statistics": "select count(*) from pg_statistic where starelid = '{t}'::regclass",
}


@dataclass(frozen=True, slots=True)
class _Context:
    """Within which tenant statements run: one's own, none, or one that cannot be."""

    name: str
    setting: str | None


class Statements:
    """SQL on every table that has a tenant, found in the catalogue."""

    kind = "table"

    def __init__(self, world: World) -> None:
        self._world = world
        self._tables = {table.name: table for table in world.tables}
        self.targets = sorted(self._tables)

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """One statement, or one reference to another tenant's row with its twin."""
        table, (attacker, victim) = self._tables[target], self._world.parties[:2]
        kinds: list[Callable[[], Awaitable[list[str] | None]]] = [
            lambda: self._read(rng, table, attacker, victim),
            lambda: self._write(rng, table, attacker, victim),
            lambda: self._refused(rng, table, attacker, victim),
        ]
        if table.references:
            kinds.append(lambda: self._refer(rng, table, attacker, victim))
        problems = await rng.choice(kinds)()
        return Outcome(problems or [], None, int(problems is not None))

    async def _read(self, rng: random.Random, table: Table, attacker: Party, victim: Party) -> list[str]:
        name = rng.choice(sorted(_READS))
        context = rng.choice(_contexts(attacker))
        try:
            rows = await self._tenants(rng, table, _READS[name], context, attacker, victim)
        except DBAPIError as error:
            return [] if _sqlstate(error) == _DENIED else [f"{name} ends with error {_sqlstate(error)}"]
        return _theirs(rows, context, attacker, f"a row read {name}")

    async def _write(self, rng: random.Random, table: Table, attacker: Party, victim: Party) -> list[str]:
        name = rng.choice(sorted(_WRITES))
        context = rng.choice(_contexts(attacker))
        try:
            rows = await self._tenants(rng, table, _WRITES[name], context, attacker, victim)
        except DBAPIError as error:
            return [] if _sqlstate(error) == _DENIED else [f"{name} ends with error {_sqlstate(error)}"]
        return _theirs(rows, context, attacker, f"a row {name}")

    async def _refused(self, rng: random.Random, table: Table, attacker: Party, victim: Party) -> list[str] | None:
        name = rng.choice(sorted(_REFUSED))
        if name in ("given away", "planted") and not attacker.ids[table.name]:
            return None
        try:
            await self._tenants(rng, table, _REFUSED[name], _Context("own", str(attacker.id)), attacker, victim)
        except DBAPIError as error:
            return [] if _sqlstate(error) in (_DENIED, _EMPTY) else [f"{name} ends with error {_sqlstate(error)}"]
        return [f"{table.name} could be {name}"]

    async def _tenants(
        self, rng: random.Random, table: Table, statement: str, context: _Context, attacker: Party, victim: Party
    ) -> Sequence[UUID]:
        """The tenants of the rows that a statement gives; rolled back, unless it is on their row alone."""
        values = {"theirs": rng.choice(victim.ids[table.name] or [uuid4()]), "tenant": victim.id, "mine": attacker.id}
        query = _filled(statement, table, rng.choice(self._world.tables))
        used = {name: value for name, value in values.items() if f":{name}" in query}
        keeps = ":theirs" in query and "without" not in query
        async with self._world.runtime.db.session() as session:
            if context.setting is not None:
                await session.execute(_SET, {"tenant": context.setting})
            try:
                found = await session.execute(text(query), used)
            except DBAPIError:
                if context.name == "garbage":
                    await session.rollback()
                    return ()
                raise
            rows = [row[0] for row in found] if isinstance(found, CursorResult) and found.returns_rows else []
            if not keeps:
                await session.rollback()
        return rows

    async def _refer(self, rng: random.Random, table: Table, attacker: Party, victim: Party) -> list[str] | None:
        """PostgreSQL checks references past row-level security: another's row must be refused as one that is not."""
        reference = rng.choice(table.references)
        targets = victim.ids.get(reference.target, [])
        if not targets or not attacker.ids[table.name]:
            return None
        theirs = rng.choice(targets)
        way = rng.choice((_inserted, _updated))
        answers = []
        for one in (theirs, UUID(int=theirs.int ^ 1)):
            answers.append(await self._answer(way(table, reference), one, attacker))
        if answers[0] == "taken":
            return [f"a row of one's own refers to another tenant's by {reference.name}"]
        return [] if answers[0] == answers[1] else [f"{reference.name} tells apart: {answers[0]} against {answers[1]}"]

    async def _answer(self, query: str, one: UUID, attacker: Party) -> str:
        try:
            async with self._world.runtime.db.session(attacker.id) as session:
                await session.execute(text(query), {"one": one})
                await session.execute(text("set constraints all immediate"))
                await session.rollback()
        except DBAPIError as error:
            return f"{_sqlstate(error)} {getattr(getattr(error.orig, 'diag', None), 'constraint_name', None)}"
        return "taken"


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


# Insufficient privilege; and a division by zero, where there is nothing to count.
_DENIED, _EMPTY = "42501", "22012"
_SET = text("select set_config('app.tenant_id', :tenant, true)")


def _contexts(attacker: Party) -> tuple[_Context, ...]:
    own = _Context("own", str(attacker.id))
    nobody = (_Context("unset", None), _Context("empty", ""), _Context("unknown", str(uuid4())))
    return (own, own, own, *nobody, _Context("garbage", "of no tenant"))


def _theirs(rows: Sequence[UUID], context: _Context, attacker: Party, what: str) -> list[str]:
    allowed = {attacker.id} if context.name == "own" else set()
    others = {UUID(str(row)) for row in rows if row is not None} - allowed
    return [f"{what}, tenant {context.name}: {len(others)} others"] if others else []


def _filled(statement: str, table: Table, other: Table) -> str:
    return statement.format(
        t=table.name,
        k=table.key,
        u=other.name,
        copy=table.copy(),
        copied=table.copy(tenant_id="cast(:mine as uuid)"),
        planted=table.copy(tenant_id="cast(:tenant as uuid)"),
    )


def _inserted(table: Table, reference: Reference) -> str:
    return table.copy(**{reference.column: "cast(:one as uuid)"}) + " limit 1"


def _updated(table: Table, reference: Reference) -> str:
    one = f"(select {table.key} from {table.name} limit 1)"
    return f"update {table.name} set {reference.column} = :one where {table.key} = {one}"
