"""The work of an erasure: steps that each may be done again, so that a crash between any two of them loses nothing.

Order: what brings new data stops first, what opens the data goes last, and then it is counted that nothing is left.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, func, select

from app.documents.collections import indexes
from app.errors import JobxError
from app.models import Connection, Erasure, Tenant, now
from app.privacy import proofkey
from app.privacy.ledger import enter
from app.privacy.mentions import forget_answers, forget_document
from app.privacy.receipts import make_receipt
from app.privacy.removal import (
    add_count,
    delete_jobs,
    delete_rows,
    end_answers,
    end_work,
    in_scope,
    jobs_left,
    rows_left,
    tenant_of,
)
from app.privacy.revocation import revoke
from app.runtime import Runtime
from vectorstore.index import VectorIndex

FIRST_RUN = "first-run.json"
Step = Callable[[Runtime, Erasure], Awaitable[None]]


class NotGone(JobxError):
    """Something that was to be erased is still there; the erasure is carried out once more."""

    code = "not_gone"


async def load(runtime: Runtime, erasure_id: UUID) -> Erasure | None:
    """An erasure that has not ended, whoever's it is."""
    async with runtime.db.session() as session:
        tenant_id = await session.scalar(select(func.platform.tenant_of_erasure(erasure_id)))
    if tenant_id is None:
        return None
    async with runtime.db.session(tenant_id) as session:
        return await session.scalar(select(Erasure).where(Erasure.id == erasure_id))


async def carry_out(runtime: Runtime, erasure_id: UUID) -> None:
    """Erase what an erasure that runs is about, whatever was done of it already; raises what may be tried again."""
    for step in STEPS:
        erasure = await load(runtime, erasure_id)
        if erasure is None or erasure.state != "running":
            return
        await step(runtime, erasure)


async def release(runtime: Runtime, erasure: Erasure) -> None:
    """Revoke the connections in the scope and forget their tokens, once."""
    if erasure.scope not in ("connection", "tenant") or erasure.revocation is not None:
        return
    async with runtime.db.session(tenant_of(erasure)) as session:
        if await session.scalar(select(Tenant.id).where(Tenant.id == erasure.tenant_id)) is None:
            return
        stopped = select(Connection.id).where(Connection.state.in_(("disconnected", "erasing")))
        mine = stopped if erasure.scope == "tenant" else stopped.where(Connection.id == erasure.target_id)
        connections = list(await session.scalars(mine))
    revocation = await revoke(runtime, tenant_of(erasure), connections) if connections else None
    async with runtime.db.session(erasure.tenant_id) as session:
        (await session.get_one(Erasure, erasure.id)).revocation = revocation


async def _forget_mentions(runtime: Runtime, erasure: Erasure) -> None:
    if erasure.scope != "tenant":
        await forget_answers(runtime, erasure)
    if erasure.scope == "document":
        # What is being answered may have found its passages before the document was deleted, and cite them after.
        await end_answers(runtime, erasure)
        await forget_document(runtime, erasure)


async def _rows(runtime: Runtime, erasure: Erasure) -> None:
    tables = [table for table in in_scope(erasure, keys=False) if table.name != "platform.tenants"]
    await delete_rows(runtime, erasure, tables)


async def _work(runtime: Runtime, erasure: Erasure) -> None:
    await end_work(runtime, erasure)


async def _files(runtime: Runtime, erasure: Erasure) -> None:
    tenant_id, count = tenant_of(erasure), 0
    if erasure.scope == "tenant":
        count = await runtime.storage.delete_all(tenant_id)
    elif erasure.scope == "document":
        there = set(await runtime.storage.keys(tenant_id))
        for version in erasure.members:
            await runtime.storage.delete(tenant_id, version)
        count = len(there & set(erasure.members))
    _remove_note(runtime.settings.data_dir / FIRST_RUN, erasure)
    async with runtime.db.session(tenant_id) as session:
        await add_count(session, erasure, "files", count)


def _remove_note(note: Path, erasure: Erasure) -> None:
    """The sample's address names its connection, customer and conversation."""
    named = {str(one) for one in (erasure.target_id, *erasure.members)}
    if note.exists() and any(one in note.read_text() for one in named):
        note.unlink(missing_ok=True)


async def _vectors(runtime: Runtime, erasure: Erasure) -> None:
    tenant_id, count = tenant_of(erasure), 0
    if erasure.scope == "tenant":
        for index in await _indexes(runtime, tenant_id):
            count += await index.count(tenant_id) if await index.usable(tenant_id) else 0
            await index.drop(tenant_id)
    elif erasure.scope == "document" and erasure.target_id is not None:
        for index in await _indexes(runtime, tenant_id):
            count += await index.count(tenant_id, erasure.target_id)
            await index.delete(tenant_id, erasure.target_id)
            # Deleted points are only marked as such, and their bytes lie in the files until these are written anew.
            await index.rewrite(tenant_id)
    async with runtime.db.session(tenant_id) as session:
        await add_count(session, erasure, "vectors", count)


async def _indexes(runtime: Runtime, tenant_id: UUID) -> list[VectorIndex]:
    async with runtime.db.session(tenant_id) as session:
        return await indexes(session, runtime, tenant_id)


async def _keys(runtime: Runtime, erasure: Erasure) -> None:
    await delete_rows(runtime, erasure, in_scope(erasure, keys=True))
    if erasure.scope == "tenant":
        async with runtime.db.session(erasure.tenant_id) as session:
            # Its other erasures are part of this one.
            others = delete(Erasure).where(Erasure.id != erasure.id, Erasure.state.in_(("scheduled", "running")))
            await session.execute(others)
            await session.execute(select(func.platform.remove_tenant()))


async def count_again(runtime: Runtime, erasure: Erasure) -> None:
    """Count what is left over the whole inventory; raises NotGone unless that is nothing."""
    left = await left_of(runtime, erasure)
    if any(left.values()):
        raise NotGone(f"Still there: {', '.join(sorted(name for name, count in left.items() if count))}.")


async def left_of(runtime: Runtime, erasure: Erasure) -> dict[str, int]:
    """How much of an erasure's scope is left, by place."""
    tenant_id = tenant_of(erasure)
    async with runtime.db.session(tenant_id) as session:
        left = await rows_left(session, erasure) | {"jobs": await jobs_left(session, erasure)}
    if erasure.scope == "tenant":
        left["files"] = len(await runtime.storage.keys(tenant_id))
        # By their names: the sizes of their vectors are erased, too.
        left["vectors"] = len(await runtime.index.names(tenant_id))
    elif erasure.scope == "document" and erasure.target_id is not None:
        left["files"] = len(set(await runtime.storage.keys(tenant_id)) & set(erasure.members))
        left["vectors"] = sum(
            [await index.count(tenant_id, erasure.target_id) for index in await _indexes(runtime, tenant_id)]
        )
    return left


async def _receipt(runtime: Runtime, erasure: Erasure) -> None:
    finished = now()
    proof = await proofkey.ensure(runtime.db, runtime.storage, runtime.vault.master)
    receipt = make_receipt(proof, erasure, finished)
    # Into the file store first: an erasure that has ended has its line in the ledger.
    await enter(runtime.storage, proof, erasure, receipt)
    async with runtime.db.session(erasure.tenant_id) as session:
        row = await session.get_one(Erasure, erasure.id, with_for_update=True)
        row.state, row.receipt, row.finished_at = "done", receipt, finished
        row.target_id, row.members = None, []
        await session.flush()
        if erasure.scope == "tenant":
            await session.execute(select(func.platform.forget_tenant()))


STEPS: tuple[Step, ...] = (
    release,
    delete_jobs,
    _forget_mentions,
    _rows,
    _work,
    _files,
    _vectors,
    _keys,
    count_again,
    _receipt,
)
