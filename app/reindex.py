"""`jobx reindex`: a tenant's vectors written anew, into the store that the settings name."""

import asyncio
from collections.abc import Callable, Mapping
from uuid import UUID

from sqlalchemy import text

from app.assembly import database, open_vault, running, service_address
from app.db import Database, DatabaseAddress
from app.documents import reindex as documents
from app.errors import JobxError
from app.health import Readiness
from app.keys.service import Vault
from app.migrations.server import check_server
from app.queue import Queue
from app.runtime import Runtime
from app.settings import Settings
from app.worker import BLUEPRINTS, work_off
from vectorstore.index import VectorStoreBusy

_POLL_SECONDS = 0.3
_OPEN = text(
    "select count(*) filter (where status in ('todo', 'doing')), count(*) filter (where status = 'failed')"
    " from queue.procrastinate_jobs where task_name = :task and args ->> 'tenant_id' = :tenant"
)
_FORGET = text(
    "delete from queue.procrastinate_jobs"
    " where status = 'failed' and task_name = :task and args ->> 'tenant_id' = :tenant"
)
Say = Callable[[str], None]


class ReindexIncomplete(JobxError):
    """Not every document could be indexed anew; run it again."""

    code = "reindex_incomplete"


def reindex(settings: Settings, tenant_id: UUID, say: Say) -> None:
    """Index every document of a tenant anew, without a gap: each answers from its old vectors until it has new ones.

    A running `jobx up` owns the embedded store, so it is left to it; else this process does it, together with the
    workers there are. Raises NotFound for no such tenant, ReindexIncomplete.
    """
    with database(settings, share=True) as (admin, app_password):
        address = service_address(admin, app_password)
        check_server(address, seconds=10)
        asyncio.run(_reindex(settings, address, tenant_id, say))


async def _reindex(settings: Settings, address: DatabaseAddress, tenant_id: UUID, say: Say) -> None:
    try:
        async with running(settings, address, Readiness(), say, blueprints=BLUEPRINTS) as runtime:
            # Waited for it is by jobs; who types a command wants to hear it.
            await runtime.index.ping()
            if not await runtime.index.usable(tenant_id):
                say("The collection is of another embedding model: it is made anew, and answers once it is full.")
                await runtime.index.drop(tenant_id)
            await _move(runtime, tenant_id, say)
            await _verify(runtime, tenant_id)
    except VectorStoreBusy:
        await _leave_to_owner(settings, address, tenant_id, say)
    say("Done.")


async def _move(runtime: Runtime, tenant_id: UUID, say: Say) -> None:
    """Index every document, then those that a service which is still on another store changed meanwhile, and so on."""
    done: dict[UUID, UUID] = {}
    while True:
        answering = await _add(runtime.vault, runtime.queue, tenant_id, done, say)
        for document_id in done.keys() - answering.keys():
            await runtime.index.delete(tenant_id, document_id)
        if answering.items() <= done.items():
            return
        await _work(runtime, tenant_id)
        done = answering


async def _add(vault: Vault, queue: Queue, tenant_id: UUID, done: Mapping[UUID, UUID], say: Say) -> dict[UUID, UUID]:
    """Add a job for each document whose version is not done; returns all that answer, with their versions."""
    async with vault.session(tenant_id) as session:
        # What failed in an earlier run is tried again, and says nothing about this one.
        await session.execute(_FORGET, {"task": documents.TASK, "tenant": str(tenant_id)})
        answering = await documents.answering(session)
        new = [document_id for document_id, version_id in answering.items() if done.get(document_id) != version_id]
        for document_id in new:
            await documents.queue_one(session, queue, document_id)
    if new or not done:
        say(f"{len(new)} documents to index.")
    return answering


async def _work(runtime: Runtime, tenant_id: UUID) -> None:
    async with runtime.queue.alive():
        while await _left(runtime.db, tenant_id):
            # A command that was killed leaves jobs that look as if they ran, and hold the locks of documents.
            await work_off(runtime, "reindex")
            await asyncio.sleep(_POLL_SECONDS)


async def _leave_to_owner(settings: Settings, address: DatabaseAddress, tenant_id: UUID, say: Say) -> None:
    db = Database(address)
    queue = Queue(address)
    try:
        async with queue.app.open_async():
            await _add(await open_vault(settings, db), queue, tenant_id, {}, say)
            while True:
                if not await _left(db, tenant_id):
                    return
                await asyncio.sleep(_POLL_SECONDS)
    finally:
        await db.close()


async def _left(db: Database, tenant_id: UUID) -> int:
    async with db.session() as session:
        row = (await session.execute(_OPEN, {"task": documents.TASK, "tenant": str(tenant_id)})).one()
    if row[1]:
        raise ReindexIncomplete(f"{row[1]} documents could not be indexed; the log of the worker has the reason.")
    return int(row[0])


async def _verify(runtime: Runtime, tenant_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        wanted = await documents.passages_stored(session)
    found = await runtime.index.count(tenant_id)
    if found < wanted:
        raise ReindexIncomplete(f"{found} of {wanted} passages are in the vector store; run it again.")
