"""The vault: opens a tenant's transaction together with the keys of its data."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import KEY_BYTES, Keyring, MasterKey, place, unseal, use_keyring
from app.db import Database
from app.errors import ConfigurationError, NotFound
from app.models import TenantKey

_OWNER_ONLY = 0o600
_ENTER_TENANT = text("select * from keys.enter_tenant(:id)")
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
        self._db = db
        self.master = master

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction of a tenant; raises NotFound when the tenant is gone."""
        async with self._db.session() as session:
            found = (await session.execute(_ENTER_TENANT, {"id": tenant_id})).one_or_none()
            if found is None:
                raise NotFound("There is no such tenant.")
            keyring = Keyring(tenant_id, self.master.unwrap(found.tenant_key, tenant_id))
            for connection_id, wrapped in zip(found.connection_ids, found.connection_keys, strict=True):
                keyring.open_connection(connection_id, wrapped)
            with use_keyring(keyring):
                yield session

    @asynccontextmanager
    async def connection(self, connection_id: UUID) -> AsyncIterator[tuple[AsyncSession, EnteredConnection | None]]:
        """One transaction of the tenant whose connection it is, with that connection locked against a disconnect.

        None for a connection that there is not.
        """
        async with self._db.session() as session:
            found = (await session.execute(_ENTER_CONNECTION, {"id": connection_id})).one_or_none()
            if found is None or found.connection_key is None:
                yield session, None
                return
            keyring = Keyring(found.tenant_id, self.master.unwrap(found.tenant_key, found.tenant_id))
            keyring.open_connection(connection_id, found.connection_key)
            sealed_at = place("tenant.connections", "account_id_sealed", connection_id)
            account_id = unseal(keyring.key(connection_id), found.account_id_sealed, sealed_at).decode()
            with use_keyring(keyring):
                yield (
                    session,
                    EnteredConnection(found.tenant_id, found.channel, found.state, found.epoch, account_id),
                )

    @asynccontextmanager
    async def new_tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """The transaction in which a tenant is made: its new key is stored once the caller has added the tenant."""
        keyring = Keyring(tenant_id, os.urandom(KEY_BYTES))
        async with self._db.session(tenant_id) as session:
            with use_keyring(keyring):
                yield session
                session.add(TenantKey(tenant_id=tenant_id, wrapped=self.master.wrap(keyring.tenant_key, tenant_id)))


def load_master_key(text: str | None, file: Path | None, *, create: Path | None) -> MasterKey:
    """The master key from the environment, from a file, or, in the embedded default, from a file made on first use."""
    if text is not None:
        return MasterKey.from_text(text)
    if file is not None:
        return MasterKey.from_text(_read(file))
    if create is None:
        raise ConfigurationError("Set JOBX_MASTER_KEY or JOBX_MASTER_KEY_FILE (32 random bytes in base64).")
    if not create.exists():
        _write_new_key(create)
    return MasterKey.from_text(_read(create))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise ConfigurationError(f"The master key file {file} cannot be read: {error.strerror}.") from None


def _write_new_key(file: Path) -> None:
    # Written aside and linked into place: a crash leaves either no key or a whole one, and a second process that
    # came first is never overwritten.
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(base64.b64encode(os.urandom(KEY_BYTES)))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
