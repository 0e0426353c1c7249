"""What an erasure removes from the database: rows by the inventory, and the jobs that name them."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Unavailable
from app.models import Erasure
from app.privacy.inventory import JOB_ARGUMENTS
from app.privacy.places import Scope, Table
from app.privacy.tables import TABLES
from app.runtime import Runtime

# A batch is one transaction: short enough that nobody waits for its locks.
BATCH = 2000
_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.25
_JOBS = "queue.procrastinate_jobs"
_STOP = (
    "update queue.procrastinate_jobs set abort_requested = true"
    " where status = 'doing' and not abort_requested and task_name = 'conversations:answer' and {lost}"
)
_ANSWERS = text(
    f"select id from {_JOBS} where status = 'doing' and task_name = 'conversations:answer'"  # noqa: S608
    " and args ->> 'tenant_id' = :tenant"
)


class StillRunning(Unavailable):
    """Work on what is erased has not ended yet; the erasure goes on when it has."""

    code = "still_running"


async def delete_rows(runtime: Runtime, erasure: Erasure, tables: list[Table]) -> None:
    """Delete an erasure's rows of some tables, batch by batch, and count them with the erasure."""
    for table in tables:
        statement = text(
            f"delete from {table.name} where ctid = any(array("  # noqa: S608 - the inventory's own words
            f"select ctid from {table.name} where {_condition(table, erasure)} limit {BATCH}))"
        )
        while await _batch(runtime, erasure, table.name, statement):
            pass


async def _batch(runtime: Runtime, erasure: Erasure, place: str, statement: Any) -> int:
    async with runtime.db.session(erasure.tenant_id) as session:
        count = await run(session, statement, values_of(erasure))
        await add_count(session, erasure, place, count)
    return count


async def add_count(session: AsyncSession, erasure: Erasure, place: str, count: int) -> None:
    """Note with the erasure how many of a place went, in the transaction in which they did."""
    if count:
        row = await session.get_one(Erasure, erasure.id, with_for_update=True, populate_existing=True)
        row.counts = {**row.counts, place: row.counts.get(place, 0) + count}


async def rows_left(session: AsyncSession, erasure: Erasure) -> dict[str, int]:
    """How many rows of each table of the inventory are in the erasure's scope."""
    left = {}
    for table in in_scope(erasure):
        query = f"select count(*) from {table.name} where {_condition(table, erasure)}"  # noqa: S608
        left[table.name] = int(await session.scalar(text(query), values_of(erasure)) or 0)
    return left


def in_scope(erasure: Erasure, *, keys: bool | None = None) -> list[Table]:
    """The tables that hold rows of the erasure's scope, children first; only keys, or none, if asked for."""
    found = [table for table in TABLES if erasure.scope in table.scopes]
    return [table for table in found if keys is None or (table.erasure == "key") == keys]


async def delete_jobs(runtime: Runtime, erasure: Erasure) -> None:
    """Delete the jobs that wait, or failed, and name a row in the scope, so that no more work is begun."""
    tables = {table.name: table for table in in_scope(erasure)}
    for argument, name in JOB_ARGUMENTS.items():
        if name in tables:
            mine = f"select id::text from {name} where {_condition(tables[name], erasure)}"  # noqa: S608
            statement = text(
                f"delete from {_JOBS} where status <> 'doing' and args ->> 'tenant_id' = :tenant"  # noqa: S608
                f" and args ->> '{argument}' in ({mine})"
            )
            await _batch(runtime, erasure, "jobs", statement)


async def end_work(runtime: Runtime, erasure: Erasure, seconds: float = _WAIT_SECONDS) -> None:
    """Wait until no job runs any more for rows that are gone; raises StillRunning after a while.

    Answers that are being made are stopped; a send that is under way ends by itself.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    lost = _lost(erasure)
    while True:
        await _batch(runtime, erasure, "jobs", text(f"delete from {_JOBS} where status <> 'doing' and {lost}"))  # noqa: S608
        async with runtime.db.session(erasure.tenant_id) as session:
            await session.execute(text(_STOP.format(lost=lost)), values_of(erasure))
            if not await jobs_left(session, erasure):
                return
        if clock() > deadline:
            raise StillRunning
        await asyncio.sleep(_POLL_SECONDS)


async def end_answers(runtime: Runtime, erasure: Erasure, seconds: float = _WAIT_SECONDS) -> None:
    """Wait until the tenant's answers that are being made now have ended; raises StillRunning after a while."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    begun = await _answers(runtime, erasure)
    while begun:
        if clock() > deadline:
            raise StillRunning
        await asyncio.sleep(_POLL_SECONDS)
        begun &= await _answers(runtime, erasure)


async def _answers(runtime: Runtime, erasure: Erasure) -> set[int]:
    async with runtime.db.session(erasure.tenant_id) as session:
        return set(await session.scalars(_ANSWERS, {"tenant": str(erasure.tenant_id)}))


async def jobs_left(session: AsyncSession, erasure: Erasure) -> int:
    """How many jobs name a row that is gone."""
    query = text(f"select count(*) from {_JOBS} where {_lost(erasure)}")  # noqa: S608
    return int(await session.scalar(query, values_of(erasure)) or 0)


def _lost(erasure: Erasure) -> str:
    """The jobs of the tenant that have nothing to do any more: all of them if it is the tenant that goes."""
    if erasure.scope == "tenant":
        return "args ->> 'tenant_id' = :tenant"
    gone = " or ".join(
        f"(args ? '{argument}' and not exists (select 1 from {name} t where t.id = (args ->> '{argument}')::uuid))"  # noqa: S608
        for argument, name in JOB_ARGUMENTS.items()
        if name is not None and name.startswith("tenant.")
    )
    return f"args ->> 'tenant_id' = :tenant and ({gone})"


def _condition(table: Table, erasure: Erasure) -> str:
    scope: Mapping[Scope, str] = table.scopes
    return next(condition for name, condition in scope.items() if name == erasure.scope)


def values_of(erasure: Erasure) -> dict[str, Any]:
    """What the inventory's conditions may name."""
    return {"target": erasure.target_id, "members": list(erasure.members), "tenant": str(erasure.tenant_id)}


async def run(session: AsyncSession, statement: Any, values: Mapping[str, Any]) -> int:
    """Execute a statement with those of the values that it names; how many rows it changed."""
    named = {name: value for name, value in values.items() if f":{name}" in str(statement)}
    result = await session.execute(statement, named)
    return result.rowcount if isinstance(result, CursorResult) else 0


def tenant_of(erasure: Erasure) -> UUID:
    """The tenant of an erasure that has not ended."""
    if erasure.tenant_id is None:
        raise ValueError("an erasure that ended has no tenant")
    return erasure.tenant_id
