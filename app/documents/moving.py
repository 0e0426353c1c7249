"""A tenant's way from one embedding model to another: a second collection is filled while the first one answers.

Each version notes the collection that its vectors are in, so that a move that was cut short goes on where it was. The
new collection comes into force in one transaction, once no document is missing in it; the old one is dropped later,
when no search can be at work on it any more.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.db import Database
from app.documents.collections import Vectors, index_of, locked, vectors_of, written
from app.models import Collection, Document, DocumentVersion, now
from app.queue import INGESTION, Queue
from app.runtime import Runtime
from vectorstore.embedding import space_of

DROP = "documents:drop_collection"
# Longer than any search takes that began before the other collection came into force.
_DROP_AFTER_SECONDS = 600.0
_ANSWERS = (Document.deleted_at.is_(None), Document.current_version_id == DocumentVersion.id)


async def tenants_of_other_models(db: Database, fingerprint: str) -> list[UUID]:
    """The tenants whose collection in force is of another embedding model, and those of which one is being filled."""
    async with db.session() as session:
        return list(await session.scalars(select(func.platform.tenants_of_other_models(fingerprint))))


async def begin(runtime: Runtime, tenant_id: UUID) -> tuple[UUID, bool]:
    """Begin a move to this process's model, or go on with it: the collection to be filled, and whether it is new.

    With the model that the collection in force is of, it is that collection, and a move to another is given up.
    """
    space = space_of(runtime.embedder)
    async with runtime.vault.session(tenant_id) as session:
        await written(session, runtime)
    async with runtime.vault.session(tenant_id) as session:
        rows = await locked(session)
        current, filling = rows["in_force"], rows.get("filling")
        if filling is not None and (filling.space != space or current.space == space):
            await _retire(session, runtime.queue, filling)
            filling = None
        if current.space == space:
            return current.id, False
    if filling is None:
        async with runtime.vault.session(tenant_id) as session:
            filling = (await locked(session)).get("filling")
            if filling is None:
                filling = Collection(name=await _free_name(session, space), space=space, state="filling")
                session.add(filling)
                await session.flush()
    await _distrust_lost(runtime, tenant_id, filling.id)
    return filling.id, True


async def missing(session: AsyncSession, collection_id: UUID) -> dict[UUID, UUID]:
    """The documents that answer and are not in a collection, with their versions."""
    query = select(Document.id, DocumentVersion.id).where(*_ANSWERS, _not_in(collection_id))
    return dict((await session.execute(query)).all())


async def finish(runtime: Runtime, tenant_id: UUID) -> bool:
    """Let the collection that is being filled come into force if it has every document; whether none is filled now."""
    async with runtime.vault.session(tenant_id) as session:
        rows = await locked(session)
        filling = rows.get("filling")
        if filling is None:
            return True
        if await session.scalar(select(exists().where(*_ANSWERS, _not_in(filling.id)))):
            return False
        await _retire(session, runtime.queue, rows["in_force"])
        filling.state = "in_force"
    return True


async def drop(runtime: Runtime, tenant_id: UUID, collection_id: UUID) -> None:
    """Remove a retired collection from the store, and then its row."""
    async with runtime.vault.session(tenant_id) as session:
        row = await session.get(Collection, collection_id)
        if row is None or row.state != "retired":
            return
        index = index_of(runtime, row.name, row.space)
    await index.drop(tenant_id)
    async with runtime.vault.session(tenant_id) as session:
        row = await session.get(Collection, collection_id, with_for_update=True)
        if row is not None and row.state == "retired":
            await session.delete(row)


async def queue_drop(session: AsyncSession, queue: Queue, collection_id: UUID, *, delay_seconds: float) -> None:
    """Add the job that drops a retired collection."""
    ids = {"tenant_id": current_keyring().tenant_id, "collection_id": collection_id}
    lock = f"collection:{collection_id}"
    await queue.defer(session, DROP, INGESTION, lock=lock, delay_seconds=delay_seconds, ids=ids)


async def target(session: AsyncSession, runtime: Runtime) -> tuple[Vectors, timedelta]:
    """Where a document's vectors are to be written: the collection that is being filled, or the one in force.

    And how old it is.
    """
    rows = await locked(session, read=True)
    row = rows.get("filling") or rows.get("in_force")
    return vectors_of(runtime, row), timedelta() if row is None else now() - row.created_at


async def _retire(session: AsyncSession, queue: Queue, row: Collection) -> None:
    row.state = "retired"
    await session.flush()
    await queue_drop(session, queue, row.id, delay_seconds=_DROP_AFTER_SECONDS)


async def _free_name(session: AsyncSession, space: str) -> str:
    """A name that none of the tenant's collections has: who drops an earlier one, or still writes there, is not met.

    Few tenants have another than the first, so that a store has few names.
    """
    taken = set(await session.scalars(select(Collection.name)))
    return next(name for number in count(1) if (name := space if number == 1 else f"{space}-{number}") not in taken)


async def _distrust_lost(runtime: Runtime, tenant_id: UUID, collection_id: UUID) -> None:
    """Have documents written again that a store has lost since an earlier run."""
    query = select(Document.id, DocumentVersion).where(*_ANSWERS, DocumentVersion.collection_id == collection_id)
    async with runtime.vault.session(tenant_id) as session:
        row = await session.get_one(Collection, collection_id)
        index = index_of(runtime, row.name, row.space)
        noted = [(document, version.id, version.chunks) for document, version in await session.execute(query)]
    lost = [version for document, version, chunks in noted if await index.count(tenant_id, document) < chunks]
    if lost:
        async with runtime.vault.session(tenant_id) as session:
            await _unnote(session, lost)


async def _unnote(session: AsyncSession, versions: Sequence[UUID]) -> None:
    # One value, however many: a statement has a limit of them.
    changed = update(DocumentVersion).where(DocumentVersion.id == any_(literal(versions, ARRAY(Uuid))))
    await session.execute(changed.values(collection_id=None))


def _not_in(collection_id: UUID) -> ColumnElement[bool]:
    return DocumentVersion.collection_id.is_distinct_from(collection_id)


async def passages_stored(session: AsyncSession) -> int:
    """How many passages answer, which is how many vectors the store must have."""
    query = select(func.coalesce(func.sum(DocumentVersion.chunks), 0)).where(*_ANSWERS)
    return int(await session.scalar(query) or 0)
