"""After a restore: what the ledger says was erased, and the restored database has again, is erased again."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database
from app.errors import NotFound
from app.keys.service import Vault
from app.models import Connection, Contact, Conversation, Document, Tenant, now
from app.privacy import erasure, proofkey
from app.privacy.ledger import LEDGER, entries
from app.privacy.places import Scope
from app.privacy.proofkey import ProofKey
from app.privacy.receipts import tombstone
from app.queue import Queue
from app.settings import Settings
from app.storage import Storage

_ROWS: dict[Scope, Any] = {
    "connection": Connection.id,
    "contact": Contact.id,
    "conversation": Conversation.id,
    "document": Document.id,
}


@dataclass(frozen=True, slots=True)
class Asker:
    """What asking for an erasure takes, without a whole `Runtime`."""

    queue: Queue
    settings: Settings


async def replay(db: Database, vault: Vault, asker: Asker, storage: Storage) -> int:
    """Ask for every erasure of the ledger whose row is there again; returns how many. Safe to run again.

    What was only due later is due then, and no later than it was.
    """
    if not await storage.keys(LEDGER):
        return 0
    proof = await proofkey.find(storage, vault.master)
    due = {line.tombstone: line.erase_after async for line in entries(storage, proof)}
    async with db.session() as session:
        tenants = list(await session.scalars(select(Tenant.id)))
    count = 0
    for tenant_id in tenants:
        async with vault.session(tenant_id) as session:
            for scope, row, after in await _found(session, proof, tenant_id, due):
                with suppress(NotFound):
                    await erasure.ask_again(session, asker, scope, row, max(after - now(), timedelta()))
                    count += 1
    return count


async def _found(
    session: AsyncSession, proof: ProofKey, tenant_id: UUID, due: Mapping[str, datetime]
) -> list[tuple[Scope, UUID, datetime]]:
    rows: list[tuple[Scope, UUID]] = [("tenant", tenant_id)]
    for scope, column in _ROWS.items():
        rows += [(scope, row) for row in await session.scalars(select(column))]
    marked = [(scope, row, tombstone(proof, scope, row)) for scope, row in rows]
    found = [(scope, row, due[mark]) for scope, row, mark in marked if mark in due]
    # The rest goes with the tenant.
    return found[:1] if found and found[0][0] == "tenant" else found
