"""Probes of the transactions themselves: a tenant that is changed within one, entered twice, or left behind."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import NoKeyring, SealBroken, current_keyring
from app.models import Base, Encrypted, TenantScoped
from proof.oracle import Outcome
from proof.world import Party, World

_AS = text("select set_config('app.tenant_id', :tenant, true)")
_NOW = text("select nullif(current_setting('app.tenant_id', true), '')")
_SECRETIVE = ("pg_authid", "pg_shadow", "pg_statistic", "pg_user_mapping", "pg_largeobject", "pg_hba_file_rules")


class Sessions:
    """Tricks with `app.tenant_id`, the functions that enter a tenant, and the keys that open its texts."""

    kind = "session"

    def __init__(self, world: World) -> None:
        self._world = world
        self._tricks: dict[str, Callable[[random.Random, Party, Party], Awaitable[list[str]]]] = {
            "another tenant's rows under one's own keys": self._opened,
            "entered twice": self._entered,
            "another tenant's connection": self._connection,
            "by id through the models": self._by_model,
            "the look-up across tenants": self._looked_up,
            "functions across tenants": self._defined,
            "taken back with a savepoint": self._savepoint,
            "left behind by a transaction": self._left,
            "catalogue": self._catalogue,
            "keys of tasks side by side": self._tasks,
        }
        self.targets = sorted(self._tricks)

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """One trick, and a look whether a new transaction still has a tenant."""
        attacker, victim = self._world.parties[:2]
        problems = await self._tricks[target](rng, attacker, victim)
        async with self._world.runtime.db.session() as session:
            if (await session.execute(_NOW)).scalar() is not None:
                problems.append("a new transaction has a tenant")
        return Outcome(problems)

    async def _opened(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        """Rows that a mistaken tenant lets through are not readable: the keys are another matter than the rows."""
        async with self._world.runtime.vault.session(attacker.id) as session:
            await session.execute(_AS, {"tenant": str(victim.id)})
            return await _readable(session, rng, victim)

    async def _entered(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        async with self._world.runtime.vault.session(attacker.id) as session:
            await session.execute(text("select * from keys.enter_tenant(:id)"), {"id": victim.id})
            return await _readable(session, rng, victim)

    async def _connection(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        connection = rng.choice(victim.ids["tenant.connections"])
        async with self._world.runtime.vault.session(attacker.id) as session:
            await session.execute(text("select * from keys.enter_connection(:id)"), {"id": connection})
            return await _readable(session, rng, victim)

    async def _by_model(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        model = rng.choice(_models())
        ids = victim.ids.get(f"tenant.{model.__tablename__}", [])
        if not ids:
            return []
        async with self._world.runtime.vault.session(attacker.id) as session:
            found = await session.get(model, rng.choice(ids), with_for_update=rng.random() < 0.3)
            some = list(await session.scalars(select(model).where(model.id.in_(ids))))
        return [f"{model.__name__} of another tenant"] if found is not None or some else []

    async def _looked_up(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        """It tells whose a connection is, to whoever has its id, and must leave the transaction as it is."""
        connection = rng.choice(victim.ids["tenant.connections"])
        query = text("select platform.tenant_of(:kind, :key)")
        problems = []
        async with self._world.runtime.db.session(attacker.id) as session:
            if await session.scalar(query, {"kind": "connection", "key": UUID(int=connection.int ^ 1).bytes}):
                problems.append("a tenant of a connection that does not exist")
            for kind in ("api_keys", "tenant", "message", ""):
                if await session.scalar(query, {"kind": kind, "key": connection.bytes}):
                    problems.append(f"a tenant by kind {kind!r}")
            await session.scalar(query, {"kind": "connection", "key": connection.bytes})
            if await session.scalar(_NOW) != str(attacker.id):
                problems.append("the look-up changed the tenant")
        return problems

    async def _defined(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        """What runs past row-level security gives ids and counts: no text, no key, and no other tenant to work as."""
        definer = rng.choice(self._world.definers)
        values = [rng.choice(_ARGUMENTS[one](rng, attacker, victim)) for one in definer.arguments]
        names = [f"a{number}" for number in range(len(values))]
        pairs = zip(names, definer.arguments, strict=True)
        call = ", ".join(f"cast(:{name} as {kind})" for name, kind in pairs)
        query, given = text(f"select * from {definer.name}({call})"), dict(zip(names, values, strict=True))
        try:
            async with self._world.runtime.db.session(attacker.id) as session:
                told = (await session.execute(query, given)).all()
                mine = await session.scalar(_NOW) == str(attacker.id)
        except DataError as error:
            # An argument of the wrong form.
            return self._world.secrets(None).shown(str(error.orig).encode(), repr(values).encode())
        flat = {value for row in told for item in row for value in (item if isinstance(item, list) else [item])}
        problems = [] if mine else [f"{definer.signature} changed the tenant"]
        problems += [f"{definer.signature} gives {type(one).__name__}" for one in flat if await self._tells(one)]
        return problems

    async def _tells(self, value: Any) -> bool:
        """Whether a value is a text or a secret of any tenant, rather than an id, a count or the id of a master key."""
        if isinstance(value, bytes):
            known = await self._world.admin.execute("select 1 from keys.masters where id = %s", (value,))
            return await known.fetchone() is None
        return not isinstance(value, UUID | int | datetime | None)

    async def _savepoint(self, _rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        async with self._world.runtime.db.session(attacker.id) as session:
            nested = await session.begin_nested()
            await session.execute(_AS, {"tenant": str(victim.id)})
            await nested.rollback()
            mine = await session.scalar(_NOW) == str(attacker.id)
        return [] if mine else ["a savepoint that was taken back left another tenant"]

    async def _left(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        """However a transaction ends, the next on any connection has no tenant."""
        vault = self._world.runtime.vault
        try:
            async with asyncio.timeout(rng.choice((0.0005, 0.002, 5))), vault.session(victim.id) as session:
                await session.execute(text("select pg_sleep(0.001)"))
                if rng.random() < 0.5:
                    raise LookupError
        except (TimeoutError, LookupError):
            pass
        return await empty_pool(self._world, 3) + _no_keys("after a transaction")

    async def _catalogue(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        """What the server tells of its tables and of other sessions holds none of their values."""
        query = rng.choice(("select query from pg_stat_activity", "select * from pg_stats where schemaname = 'tenant'"))
        async with self._world.runtime.db.session(attacker.id) as session:
            told = str((await session.execute(text(query))).all()).encode()
        try:
            async with self._world.runtime.db.session(attacker.id) as session:
                await session.execute(text(f"select * from {rng.choice(_SECRETIVE)}"))
        except DBAPIError:
            return self._world.secrets(attacker).shown(told)
        return ["the server's own secrets can be read"]

    async def _tasks(self, rng: random.Random, _attacker: Party, _victim: Party) -> list[str]:
        """Tasks of several tenants, each waiting within its transaction: every one keeps its own keys."""
        waits = [(rng.choice(self._world.parties), rng.random() / 500) for _ in range(8)]
        found = await asyncio.gather(*(self._holds(party, wait) for party, wait in waits))
        return [problem for problems in found for problem in problems] + _no_keys("after tasks")

    async def _holds(self, party: Party, wait: float) -> list[str]:
        problems = _no_keys("in a new task")
        async with self._world.runtime.vault.session(party.id) as session:
            for _ in range(2):
                await asyncio.sleep(wait)
                if current_keyring().tenant_id != party.id or await session.scalar(_NOW) != str(party.id):
                    problems.append("a task got another's tenant")
        return problems + _no_keys("after its transaction")


async def empty_pool(world: World, connections: int) -> list[str]:
    """What transactions without a tenant see on several connections at once, which should be nothing."""

    async def look() -> list[str]:
        async with world.runtime.db.session() as session:
            role = await session.scalar(text("select current_user"))
            tenant = await session.scalar(_NOW)
            seen = await session.scalar(text("select count(*) from tenant.messages"))
        return (
            [] if (role, tenant, seen) == ("jobx_app", None, 0) else [f"a pooled connection: {role}, {tenant}, {seen}"]
        )

    return [problem for found in await asyncio.gather(*(look() for _ in range(connections))) for problem in found]


_ARGUMENTS: dict[str, Callable[[random.Random, Party, Party], list[Any]]] = {
    "uuid": lambda rng, _, victim: [
        None,
        victim.id,
        UUID(int=rng.getrandbits(128)),
        *(one for ids in victim.ids.values() for one in ids),
    ],
    "uuid[]": lambda rng, _, victim: [
        [],
        [UUID(int=rng.getrandbits(128))],
        list(victim.ids["tenant.connections"]),
    ],
    "bytea": lambda rng, _, victim: [
        b"",
        rng.randbytes(32),
        victim.id.bytes,
        *(one.bytes for one in victim.ids["tenant.connections"]),
    ],
    "bytea[]": lambda rng, _, victim: [
        [],
        [rng.randbytes(32)],
        [one.bytes for one in victim.ids["tenant.connections"]],
    ],
    "integer": lambda *_: [1, 100, 1000],
    "text": lambda *_: ["connection", "api_key", "", "tenant"],
}


def _no_keys(when: str) -> list[str]:
    try:
        current_keyring()
    except NoKeyring:
        return []
    return [f"keys are at hand {when}"]


def _models() -> list[Any]:
    found = [mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantScoped)]
    return sorted(found, key=lambda model: str(model.__name__))


async def _readable(session: AsyncSession, rng: random.Random, victim: Party) -> list[str]:
    """Texts of a random table that open, of those of the victim."""
    model = rng.choice(_models())
    rows = [row for row in await session.scalars(select(model).limit(50)) if row.tenant_id == victim.id]
    names = [name for name, value in vars(model).items() if isinstance(value, Encrypted)]
    return [f"{model.__name__}.{name} opens" for row in rows for name in names if _opens(row, name)]


def _opens(row: Any, name: str) -> bool:
    try:
        return getattr(row, name) is not None
    except SealBroken:
        return False
