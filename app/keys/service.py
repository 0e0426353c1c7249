"""The vault: opens a tenant's transaction together with the keys of its data."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import KEY_BYTES, Keyring, KeySet, MasterKey, place, use_keyring
from app.db import Database
from app.errors import NotFound
from app.models import TenantKey

ENTER_TENANT = text("select * from keys.enter_tenant(:id)")
_ENTER_CONNECTION = text("select * from keys.enter_connection(:id)")


@dataclass(frozen=True, slots=True)
class EnteredConnection:
    """What a webhook has to know of its connection, which a disconnect cannot change while the transaction is open."""

    tenant_id: UUID
    channel: str
    state: str
    epoch: int
    account_id: str


class Vault:
    """Gives transactions that see one tenant's rows and can read its encrypted columns."""

    def __init__(self, db: Database, master: MasterKey) -> None:
        self.db = db
        self.master = master

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction of a tenant; raises NotFound when the tenant is gone."""
        async with self.db.session() as session:
            found = (await session.execute(ENTER_TENANT, {"id": tenant_id})).one_or_none()
            if found is None:
                raise NotFound("There is no such tenant.")
            keyring = self._opened(tenant_id, found.tenant_key)
            for connection_id, wrapped in zip(found.connection_ids, found.connection_keys, strict=True):
                keyring.open_connection(connection_id, wrapped)
            with use_keyring(keyring):
                yield session

    @asynccontextmanager
    async def connection(self, connection_id: UUID) -> AsyncIterator[tuple[AsyncSession, EnteredConnection | None]]:
        """One transaction of the tenant whose connection it is, with that connection locked against a disconnect.

        None for a connection that there is not.
        """
        async with self.db.session() as session:
            found = (await session.execute(_ENTER_CONNECTION, {"id": connection_id})).one_or_none()
            if found is None or found.connection_key is None:
                yield session, None
                return
            keyring = self._opened(found.tenant_id, found.tenant_key)
            keyring.open_connection(connection_id, found.connection_key)
            sealed_at = place("tenant.connections", "account_id_sealed", connection_id)
            account_id = keyring.unseal(connection_id, found.account_id_sealed, sealed_at).decode()
            with use_keyring(keyring):
                yield (
                    session,
                    EnteredConnection(found.tenant_id, found.channel, found.state, found.epoch, account_id),
                )

    @asynccontextmanager
    async def new_tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """The transaction in which a tenant is made: its new key is stored once the caller has added the tenant."""
        keyring = Keyring(tenant_id, KeySet.first(os.urandom(KEY_BYTES)))
        async with self.db.session(tenant_id) as session:
            with use_keyring(keyring):
                yield session
                wrapped = self.master.wrap(keyring.stored(), tenant_id)
                session.add(TenantKey(tenant_id=tenant_id, wrapped=wrapped, master_id=self.master.id))

    def _opened(self, tenant_id: UUID, wrapped: bytes) -> Keyring:
        return Keyring.read(tenant_id, self.master.unwrap(wrapped, tenant_id))
