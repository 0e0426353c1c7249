"""The ledger of erasures in the file store: what must be erased again when an older backup is restored.

One object for each erasure, named by its random id. It holds the receipt, or for an erasure that is still to come its
date, and a keyed hash of the erased id, by which a restored row is known again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args
from uuid import UUID

import orjson

from app.errors import NotFound
from app.models import Erasure
from app.privacy.places import Scope
from app.privacy.proofkey import ProofKey
from app.privacy.receipts import BadReceipt, Receipt, public_key, tombstone, verify
from app.storage import Storage

# No tenant's folder: it outlives them all. (The file store's own check uses the id 0.)
LEDGER = UUID(int=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what is to be erased, as a keyed hash, and when."""

    scope: Scope
    tombstone: str
    erase_after: datetime


async def enter(storage: Storage, proof: ProofKey, erasure: Erasure, receipt: Receipt | None = None) -> None:
    """Write an erasure's line, over an earlier one; its target has to be known still."""
    if erasure.target_id is None:
        raise ValueError("the target of an erasure that ended is not known any more")
    scope = cast(Scope, erasure.scope)
    line = {
        "scope": scope,
        "tombstone": tombstone(proof, scope, erasure.target_id),
        "erase_after": erasure.erase_after.isoformat(),
        "receipt": receipt,
    }
    await storage.put(LEDGER, erasure.id, orjson.dumps(line))


async def strike(storage: Storage, erasure_id: UUID) -> None:
    """Take the line of an erasure that will not be."""
    await storage.delete(LEDGER, erasure_id)


async def entries(storage: Storage, proof: ProofKey) -> AsyncIterator[Entry]:
    """Every line, in no order; raises BadReceipt for one whose receipt is not ours."""
    for key in await storage.keys(LEDGER):
        try:
            yield _entry(orjson.loads(await storage.get(LEDGER, key)), public_key(proof))
        except NotFound:
            # Struck between the two requests.
            continue


def _entry(line: dict[str, Any], trusted: str) -> Entry:
    if line["scope"] not in get_args(Scope):
        raise BadReceipt
    if line["receipt"] is not None:
        verify(line["receipt"], trusted)
    return Entry(line["scope"], str(line["tombstone"]), datetime.fromisoformat(line["erase_after"]))
