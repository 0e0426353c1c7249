"""The key that receipts and the ledger go by: made once, and the same under every master key after it.

It is kept in the file store, wrapped by the master key: a receipt can still be checked after the master key was
replaced, and a database that is restored from a backup finds it beside the ledger.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.crypto import MasterKey
from app.db import Database
from app.errors import NotFound
from app.storage import Storage

# No tenant's folder, and the one key in it.
PLACE = UUID(int=2)
_IN_TURN = text("select pg_advisory_xact_lock(hashtext('jobx proof key'))")
_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class ProofKey:
    """32 random bytes, from which the keys of receipts and of the ledger are derived."""

    key: bytes


class NoProofKey(NotFound):
    """Nothing was erased yet, so there is no key that receipts are checked with."""

    code = "no_proof_key"


async def find(storage: Storage, master: MasterKey) -> ProofKey:
    """The key; raises NoProofKey, or SealBroken if no master key that is held opens it."""
    try:
        wrapped = await storage.get(PLACE, PLACE)
    except NotFound:
        raise NoProofKey from None
    return ProofKey(master.unwrap(wrapped, PLACE))


async def ensure(db: Database, storage: Storage, master: MasterKey) -> ProofKey:
    """The key, made if there is none."""
    with suppress(NoProofKey):
        return await find(storage, master)
    async with db.session() as session:
        # One of two that make it at once would sign what nobody can check. Once in the life of a Jobx, so the
        # transaction may stay open across the file store's answers.
        await session.execute(_IN_TURN)
        with suppress(NoProofKey):
            return await find(storage, master)
        made = ProofKey(os.urandom(_BYTES))
        await storage.put(PLACE, PLACE, master.wrap(made.key, PLACE))
        return made


async def rewrap(storage: Storage, master: MasterKey) -> None:
    """Put the key, if there is one, under the current master key."""
    with suppress(NoProofKey):
        await storage.put(PLACE, PLACE, master.wrap((await find(storage, master)).key, PLACE))
