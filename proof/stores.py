"""Probes of the collections and the files: every method that takes a tenant, with another tenant's ids."""

import inspect
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from app.crypto import current_keyring
from app.errors import NotFound
from app.storage import Storage
from proof.oracle import Outcome
from proof.world import QUESTION, Party, World
from vectorstore.index import ChunkVectors, Match, SparseVector, VectorIndex, VectorStoreError
from vectorstore.sparse import SparseEncoder

# What these write would be the attacker's own afterwards, and what these take is all that a tenant has: they are
# tried on a tenant that has nothing.
_NEW_TENANT = ("drop", "delete_all", "replace", "add", "put")


class Stores:
    """The vector index and the file store, by the methods that their protocols list."""

    kind = "store"

    def __init__(self, world: World) -> None:
        self._world = world
        self._calls = {f"index.{name}": name for name in _with_tenant(VectorIndex)}
        self._calls |= {f"storage.{name}": name for name in _with_tenant(Storage)}
        self.targets = sorted(self._calls)
        self._queries: dict[str, tuple[list[float], SparseVector]] = {}

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """One call for the attacker with the victim's ids, and a look whether the victim has all it had."""
        attacker, victim = self._world.parties[:2]
        before = await self._state(victim)
        name = self._calls[target]
        runtime = self._world.runtime
        part, protocol = (runtime.index, VectorIndex) if target.startswith("index.") else (runtime.storage, Storage)
        tenant = uuid4() if name in _NEW_TENANT or rng.random() < 0.3 else attacker.id
        arguments = await self._arguments(rng, getattr(protocol, name), victim)
        try:
            got = await getattr(part, name)(tenant, **arguments)
        except NotFound:
            got = None
        except VectorStoreError:
            if name != "settle":
                raise
            # It says that a version with another tenant's chunks is not whole, which is as it should be.
            got = None
        problems = _of_others(got, {one for found in victim.ids.values() for one in found})
        if await self._state(victim) != before:
            problems.append("changed what another tenant has")
        if tenant != attacker.id:
            await runtime.index.drop(tenant)
            await runtime.storage.delete_all(tenant)
        return Outcome(problems, attacker.id)

    async def _arguments(self, rng: random.Random, call: Callable[..., Any], victim: Party) -> dict[str, Any]:
        dense, sparse = await self._query(victim)
        documents, versions = victim.ids["tenant.documents"], victim.ids["tenant.document_versions"]
        chunk = ChunkVectors(rng.choice(victim.ids["tenant.chunks"]), [-one for one in dense], sparse)
        values: dict[str, Any] = {
            "document_id": rng.choice(documents),
            "version_id": rng.choice(versions),
            "keep": rng.choice(versions),
            "key": rng.choice(versions),
            "chunks": [chunk],
            "chunk_ids": [chunk.chunk_id],
            "dense": dense,
            "sparse": sparse,
            "limit": rng.choice((1, 8, 100)),
            "dense_weight": rng.random(),
            "document_ids": rng.choice((None, documents)),
            "data": b"of another tenant",
        }
        # A parameter that is not known here is an error, so that a new one is given a value.
        return {name: values[name] for name in _parameters(call)}

    async def _query(self, victim: Party) -> tuple[list[float], SparseVector]:
        """The question as the victim's own search would ask it: the best chance to find its passages."""
        if victim.name not in self._queries:
            async with self._world.runtime.vault.session(victim.id):
                encoder = SparseEncoder(current_keyring().index_key())
            dense = await self._world.runtime.embedder.embed_query(QUESTION)
            self._queries[victim.name] = (list(dense), encoder.encode_query(QUESTION))
        return self._queries[victim.name]

    async def _state(self, victim: Party) -> tuple[object, ...]:
        runtime, (dense, sparse) = self._world.runtime, await self._query(victim)
        files = sorted(await runtime.storage.keys(victim.id))
        found = await runtime.index.search(victim.id, dense, sparse, 5)
        return await runtime.index.count(victim.id), found, [await runtime.storage.get(victim.id, one) for one in files]


def _of_others(got: Any, ids: set[UUID]) -> list[str]:
    """Anything of another tenant's in what a call gave: its passages, its files, or how many there are."""
    if isinstance(got, bytes):
        return ["gave a file of another tenant"]
    if isinstance(got, list):
        named = {one for item in got for one in _ids(item)}
        return [f"gave {len(named & ids)} ids of another tenant"] if named & ids else []
    return [f"counted {got} of another tenant"] if isinstance(got, int) and not isinstance(got, bool) and got else []


def _ids(item: Any) -> tuple[UUID, ...]:
    return (item.chunk_id, item.document_id, item.version_id) if isinstance(item, Match) else (item,)


def _with_tenant(protocol: type) -> list[str]:
    methods = inspect.getmembers(protocol, inspect.isfunction)
    return [name for name, method in methods if "tenant_id" in inspect.signature(method).parameters]


def _parameters(call: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(call).parameters if name not in ("self", "tenant_id")]
