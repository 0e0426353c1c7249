"""`jobx reindex`: a tenant's vectors written anew, into the store and for the embedding model of the settings."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from sqlalchemy import text

from app.assembly import database, model_fingerprint, open_vault, running, service_address
from app.db import Database, DatabaseAddress
from app.documents import moving
from app.documents import reindex as documents
from app.documents.collections import REINDEX, queue_each, vectors_by_id
from app.errors import JobxError, NotFound
from app.health import Readiness
from app.keys.service import Vault
from app.migrations.server import check_server
from app.queue import INGESTION, Queue
from app.runtime import Runtime
from app.settings import Settings
from app.worker import BLUEPRINTS, work_off
from vectorstore.index import VectorIndex, VectorStoreBusy

_POLL_SECONDS, _TELL_SECONDS = 0.3, 5.0
_TASKS = [REINDEX, documents.REBUILD, documents.REBUILD_OTHERS]
_OPEN = text(
    "select count(*) filter (where status in ('todo', 'doing')), count(*) filter (where status = 'failed')"
    " from queue.procrastinate_jobs"
    " where task_name = any(:tasks) and (cast(:tenant as text) is null or args ->> 'tenant_id' = :tenant)"
)
_FORGET = text(
    "delete from queue.procrastinate_jobs where status = 'failed'"
    " and task_name = any(:tasks) and (cast(:tenant as text) is null or args ->> 'tenant_id' = :tenant)"
)
Say = Callable[[str], None]


class ReindexIncomplete(JobxError):
    """Not every document could be indexed anew; run it again."""

    code = "reindex_incomplete"


def reindex(settings: Settings, tenant_id: UUID | None, say: Say) -> None:
    """Index every document of a tenant anew, without a gap: each answers from its old vectors until it has new ones.

    For another embedding model a collection of its own is filled, and takes the old one's place when it is full; run
    again, it goes on where it was. Without a tenant that is done for each whose vectors are of another model. A running
    `jobx up` owns the embedded store, so it is left to it; else this process does it, together with the workers there
    are. Raises NotFound for no such tenant, ReindexIncomplete.
    """
    with database(settings, share=True) as (admin, app_password):
        address = service_address(admin, app_password)
        check_server(address, seconds=10)
        asyncio.run(_reindex(settings, address, tenant_id, say))


async def _reindex(settings: Settings, address: DatabaseAddress, tenant_id: UUID | None, say: Say) -> None:
    try:
        async with running(settings, address, Readiness(), say, blueprints=BLUEPRINTS) as runtime:
            # Waited for it is by jobs; who types a command wants to hear it.
            await runtime.index.ping()
            if tenant_id is not None:
                await _reindex_tenant(runtime, tenant_id, say)
            else:
                await _reindex_others(runtime, say)
    except VectorStoreBusy:
        await _leave_to_owner(settings, address, tenant_id, say)
    say("Done.")


async def _reindex_others(runtime: Runtime, say: Say) -> None:
    tenants = await moving.tenants_of_other_models(runtime.db, runtime.embedder.fingerprint)
    say(f"{len(tenants)} tenants are on another embedding model, or on their way.")
    failed = 0
    for tenant_id in tenants:
        say(f"Tenant {tenant_id}:")
        try:
            await _reindex_tenant(runtime, tenant_id, say)
        except NotFound:
            say("It is gone meanwhile.")
        except ReindexIncomplete as error:
            # The others are not to wait for what one has.
            failed += 1
            say(error.message)
    if failed:
        raise ReindexIncomplete(f"{failed} of {len(tenants)} tenants were not moved; run it again.")


async def _reindex_tenant(runtime: Runtime, tenant_id: UUID, say: Say) -> None:
    collection_id, moves = await moving.begin(runtime, tenant_id)
    async with runtime.vault.session(tenant_id) as session:
        index = (await vectors_by_id(session, runtime, collection_id)).index
    if moves:
        say(f"The vectors are of another embedding model: {runtime.embedder.name} gets its own, beside them.")
    elif not await index.usable(tenant_id):
        say("The collection cannot be read: it is made anew, and answers once it is full.")
        await index.drop(tenant_id)
    done: dict[UUID, UUID] = {}
    if moves:
        async with runtime.vault.session(tenant_id) as session:
            missing = await moving.missing(session, collection_id)
            done = {one: version for one, version in (await documents.answering(session)).items() if one not in missing}
    await _move(runtime, tenant_id, index, done, say)
    await _verify(runtime, tenant_id, collection_id)


async def _move(runtime: Runtime, tenant_id: UUID, index: VectorIndex, done: dict[UUID, UUID], say: Say) -> None:
    """Index what is not done, then what a service that is still on another store changed meanwhile, and so on."""
    while True:
        answering = await _add(runtime.vault, runtime.queue, tenant_id, done, say)
        for document_id in done.keys() - answering.keys():
            await index.delete(tenant_id, document_id)
        if answering.items() <= done.items():
            if await moving.finish(runtime, tenant_id):
                return
            if not await _left(runtime.db, tenant_id):
                # By a worker of a version that knows of no second collection: nobody would ever add a job again.
                raise ReindexIncomplete("Documents were written elsewhere, stop old workers for them; run it again.")
        await _work(runtime, tenant_id, say)
        done = answering


async def _add(vault: Vault, queue: Queue, tenant_id: UUID, done: dict[UUID, UUID], say: Say) -> dict[UUID, UUID]:
    """Add a job for each document whose version is not done; returns all that answer, with their versions."""
    async with vault.session(tenant_id) as session:
        # What failed in an earlier run is tried again, and says nothing about this one.
        await session.execute(_FORGET, {"tasks": _TASKS, "tenant": str(tenant_id)})
        answering = await documents.answering(session)
        new = [document_id for document_id, version_id in answering.items() if done.get(document_id) != version_id]
        await queue_each(session, queue, REINDEX, new)
    if new or not done:
        say(f"{len(new)} documents to index.")
    return answering


async def _work(runtime: Runtime, tenant_id: UUID, say: Say) -> None:
    async with runtime.queue.alive():
        # A command that was killed leaves jobs that look as if they ran, and hold the locks of documents.
        await _await(runtime.db, tenant_id, say, lambda: work_off(runtime, "reindex"))


async def _leave_to_owner(settings: Settings, address: DatabaseAddress, tenant_id: UUID | None, say: Say) -> None:
    db = Database(address)
    queue = Queue(address)
    try:
        async with queue.app.open_async():
            if tenant_id is None:
                say("The running `jobx up` moves all tenants that are on another embedding model than its own.")
            else:
                # Raises NotFound; which of them there is anything to do about is the owner's to know.
                async with (await open_vault(settings, db)).session(tenant_id) as session:
                    say(f"{len(await documents.answering(session))} documents to index.")
            ids = {} if tenant_id is None else {"tenant_id": tenant_id}
            task = documents.REBUILD if ids else documents.REBUILD_OTHERS
            async with db.session() as session:
                await session.execute(_FORGET, {"tasks": _TASKS, "tenant": _text(tenant_id)})
                await queue.defer(session, task, INGESTION, ids=ids)
            await _await(db, tenant_id, say, lambda: asyncio.sleep(0))
            others = await moving.tenants_of_other_models(db, await asyncio.to_thread(model_fingerprint, settings))
            if others and tenant_id in (None, *others):
                raise ReindexIncomplete(
                    "The running `jobx up` has another embedding model than these settings: start it again with them."
                )
    finally:
        await db.close()


async def _await(db: Database, tenant_id: UUID | None, say: Say, work: Callable[[], Awaitable[None]]) -> None:
    """Wait until no job is left, and work meanwhile; who watches hears how many there are."""
    telling = asyncio.create_task(_tell(db, tenant_id, say))
    try:
        while await _left(db, tenant_id):
            await work()
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        telling.cancel()


async def _tell(db: Database, tenant_id: UUID | None, say: Say) -> None:
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        say(f"{(await _jobs(db, tenant_id))[0]} documents left.")


async def _left(db: Database, tenant_id: UUID | None) -> int:
    left, failed = await _jobs(db, tenant_id)
    if failed:
        raise ReindexIncomplete(f"{failed} documents could not be indexed; the log of the worker has the reason.")
    return left


async def _jobs(db: Database, tenant_id: UUID | None) -> tuple[int, int]:
    """How many jobs are open, and how many failed."""
    async with db.session() as session:
        left, failed = (await session.execute(_OPEN, {"tasks": _TASKS, "tenant": _text(tenant_id)})).one()
    return left, failed


def _text(tenant_id: UUID | None) -> str | None:
    return None if tenant_id is None else str(tenant_id)


async def _verify(runtime: Runtime, tenant_id: UUID, collection_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        wanted = await moving.passages_stored(session)
        index = (await vectors_by_id(session, runtime, collection_id)).index
    found = await index.count(tenant_id)
    if found < wanted:
        raise ReindexIncomplete(f"{found} of {wanted} passages are in the vector store; run it again.")
