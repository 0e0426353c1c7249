"""The vault: opens a tenant's transaction together with the keys of its data."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import KEY_BYTES, Keyring, MasterKey, use_keyring
from app.db import Database
from app.errors import ConfigurationError, NotFound
from app.models import ConnectionKey, TenantKey

_OWNER_ONLY = 0o600


class Vault:
    """Gives transactions that see one tenant's rows and can read its encrypted columns."""

    def __init__(self, db: Database, master: MasterKey) -> None:
        self._db = db
        self.master = master

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """One transaction of a tenant; raises NotFound when the tenant is gone."""
        async with self._db.session(tenant_id) as session:
            with use_keyring(await self._open(session, tenant_id)):
                yield session

    @asynccontextmanager
    async def new_tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """The transaction in which a tenant is made: its new key is stored once the caller has added the tenant."""
        keyring = Keyring(tenant_id, os.urandom(KEY_BYTES))
        async with self._db.session(tenant_id) as session:
            with use_keyring(keyring):
                yield session
                session.add(TenantKey(tenant_id=tenant_id, wrapped=self.master.wrap(keyring.tenant_key, tenant_id)))

    async def _open(self, session: AsyncSession, tenant_id: UUID) -> Keyring:
        wrapped = await session.scalar(select(TenantKey.wrapped).where(TenantKey.tenant_id == tenant_id))
        if wrapped is None:
            raise NotFound("There is no such tenant.")
        keyring = Keyring(tenant_id, self.master.unwrap(wrapped, tenant_id))
        rows = await session.execute(
            select(ConnectionKey.connection_id, ConnectionKey.wrapped).where(ConnectionKey.tenant_id == tenant_id)
        )
        for connection_id, connection_key in rows:
            keyring.open_connection(connection_id, connection_key)
        return keyring


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
