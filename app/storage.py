"""Files of tenants, as bytes that were encrypted by the caller, in a local folder."""

import asyncio
import os
from pathlib import Path
from uuid import UUID

from app.errors import NotFound


class LocalStorage:
    """One file per key under `root/<tenant>/`; a write is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, tenant_id: UUID, key: UUID, data: bytes) -> None:
        """Store a file; when this returns it survives a crash."""
        await asyncio.to_thread(self._put, self._path(tenant_id, key), data)

    async def get(self, tenant_id: UUID, key: UUID) -> bytes:
        """Read a file; raises NotFound."""
        try:
            return await asyncio.to_thread(self._path(tenant_id, key).read_bytes)
        except FileNotFoundError:
            raise NotFound("The stored file is gone.") from None

    async def delete(self, tenant_id: UUID, key: UUID) -> None:
        """Remove a file; a missing one is no error."""
        await asyncio.to_thread(self._path(tenant_id, key).unlink, True)

    def folder(self, tenant_id: UUID) -> Path:
        """Where a tenant's files are."""
        return self._root / tenant_id.hex

    def _path(self, tenant_id: UUID, key: UUID) -> Path:
        return self.folder(tenant_id) / key.hex

    @staticmethod
    def _put(path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
