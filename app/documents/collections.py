"""Which collection a tenant's vectors are in, and which embedding model they are of.

A tenant has one collection in force, which is searched. For another embedding model a second one is filled beside it
(app/documents/moving.py), and takes its place when it has every document. Both are known to all processes, whatever
model each was started with: one that lacks the model of the collection in force searches it by words.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import current_keyring
from app.models import Collection
from app.queue import INGESTION, Queue
from app.runtime import Runtime
from vectorstore.embedding import EmbeddingModel, dimension_of, fingerprint_of, space_of
from vectorstore.index import ChunkVectors, VectorIndex
from vectorstore.sparse import SparseEncoder

REINDEX = "documents:reindex"


@dataclass(frozen=True, slots=True, repr=False)
class Vectors:
    """A tenant's collection, as it is used outside of a transaction.

    `model` is None where this process has not the one that the vectors are of; `id` where the tenant has no document.
    """

    id: UUID | None
    index: VectorIndex
    model: EmbeddingModel | None
    dimension: int
    index_key: bytes

    async def made_of(self, ids: Sequence[UUID], texts: Sequence[str]) -> list[ChunkVectors]:
        """What the collection keeps of some passages: by meaning, and by word under the tenant's key.

        Without the model the meaning is left blank, and the passages are found by their words.
        """
        encoder = SparseEncoder(self.index_key)
        dense, sparse = await asyncio.gather(self._dense(texts), asyncio.to_thread(encoder.encode_documents, texts))
        return [ChunkVectors(*values) for values in zip(ids, dense, sparse, strict=True)]

    async def _dense(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if self.model is None:
            # Qdrant takes no vector without a direction.
            return [(1.0, *[0.0] * (self.dimension - 1))] * len(texts)
        return await self.model.embed(texts)


async def in_force(session: AsyncSession, runtime: Runtime) -> Vectors:
    """The collection that is searched; that of a tenant without documents has nothing in it."""
    row = await session.scalar(select(Collection).where(Collection.state == "in_force"))
    return vectors_of(runtime, row)


async def vectors_by_id(session: AsyncSession, runtime: Runtime, collection_id: UUID) -> Vectors:
    """One of a tenant's collections."""
    return vectors_of(runtime, await session.get_one(Collection, collection_id))


async def written(session: AsyncSession, runtime: Runtime) -> tuple[Vectors, Collection | None]:
    """The collection in force, made if there is none, and the one that is being filled.

    Until the end of the transaction no other one comes into force.
    """
    rows = await locked(session, read=True)
    if "in_force" not in rows:
        new = Collection(name="", space=space_of(runtime.embedder), state="in_force")
        await session.execute(insert(Collection).values(new.column_values()).on_conflict_do_nothing())
        rows = await locked(session, read=True)
    return vectors_of(runtime, rows["in_force"]), rows.get("filling")


async def locked(session: AsyncSession, *, read: bool = False) -> dict[str, Collection]:
    """A tenant's collections that are not over, by their states; they stay as they are in this transaction."""
    # In order, so that two at once wait for each other and do not stop each other.
    query = select(Collection).where(Collection.state != "retired").order_by(Collection.id).with_for_update(read=read)
    await session.execute(query)
    # Who waited for another one sees what that one has made by a second look only.
    return {row.state: row for row in await session.scalars(query.execution_options(populate_existing=True))}


def vectors_of(runtime: Runtime, row: Collection | None) -> Vectors:
    """A collection as it is used, inside its tenant's transaction; None is that of a tenant without documents."""
    name, space = ("", space_of(runtime.embedder)) if row is None else (row.name, row.space)
    return Vectors(
        id=None if row is None else row.id,
        index=index_of(runtime, name, space),
        model=_model(runtime, space),
        dimension=dimension_of(space),
        index_key=current_keyring().index_key(),
    )


async def indexes(session: AsyncSession, runtime: Runtime, tenant_id: UUID) -> list[VectorIndex]:
    """All that the store has of a tenant, in whatever collection: what an erasure has to reach.

    Needs no keys; `session` is the tenant's.
    """
    spaces = {row.name: row.space for row in await session.scalars(select(Collection))}
    names = {"", *await runtime.index.names(tenant_id)}
    return [index_of(runtime, name, spaces.get(name, name)) for name in sorted(names)]


def index_of(runtime: Runtime, name: str, space: str) -> VectorIndex:
    """The collections of a name; an unknown `space` is that of this process."""
    dimension = dimension_of(space) if space else runtime.embedder.dimension
    if not name and dimension == runtime.embedder.dimension:
        return runtime.index
    return runtime.index.of(name, dimension)


async def queue_one(session: AsyncSession, queue: Queue, document_id: UUID, *, delay_seconds: float = 0) -> None:
    """Add the job that writes a document's vectors anew; it takes turns with other work on it."""
    ids = {"tenant_id": current_keyring().tenant_id, "document_id": document_id}
    lock = f"document:{document_id}"
    await queue.defer(session, REINDEX, INGESTION, lock=lock, delay_seconds=delay_seconds, ids=ids)


async def queue_each(session: AsyncSession, queue: Queue, task: str, document_ids: Iterable[UUID]) -> None:
    """Add a job of a task for each of some documents, without a round trip for each; see `queue_one`."""
    tenant_id = current_keyring().tenant_id
    jobs = [(f"document:{one}", {"tenant_id": tenant_id, "document_id": one}) for one in document_ids]
    await queue.defer_each(session, task, INGESTION, jobs)


def _model(runtime: Runtime, space: str) -> EmbeddingModel | None:
    known = (runtime.embedder, *runtime.earlier_models)
    return next((model for model in known if model.fingerprint == fingerprint_of(space)), None)
