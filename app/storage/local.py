"""The local folder: for one machine, or for a folder that every process shares."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from app.errors import ConfigurationError, NotFound
from app.storage.base import StorageUnavailable

_HALF = ".part"
_NOBODY = UUID(int=0)


class LocalStorage:
    """One file per key under `root/<tenant>/`; a write is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, tenant_id: UUID, key: UUID, data: bytes) -> None:
        """Store a file; when this returns it survives a crash."""
        await asyncio.to_thread(_put, self._path(tenant_id, key), data)

    async def get(self, tenant_id: UUID, key: UUID) -> bytes:
        """Read a file; raises NotFound."""
        try:
            return await asyncio.to_thread(self._path(tenant_id, key).read_bytes)
        except FileNotFoundError:
            raise NotFound("The stored file is gone.") from None
        except OSError as error:
            raise _unavailable(error) from None

    async def delete(self, tenant_id: UUID, key: UUID) -> None:
        """Remove a file; a missing one is no error."""
        try:
            await asyncio.to_thread(self._path(tenant_id, key).unlink, True)
        except OSError as error:
            raise _unavailable(error) from None

    async def delete_all(self, tenant_id: UUID) -> int:
        """Remove a tenant's folder; returns how many files it had."""
        return await asyncio.to_thread(_remove, self.folder(tenant_id))

    async def keys(self, tenant_id: UUID) -> list[UUID]:
        """The keys of a tenant's files."""
        names = await asyncio.to_thread(_names, self.folder(tenant_id))
        return [UUID(hex=name) for name in names if not name.endswith(_HALF)]

    async def check(self) -> None:
        """Write, read and remove a file; raises ConfigurationError."""
        key = uuid4()
        try:
            await self.put(_NOBODY, key, b"check")
            await self.get(_NOBODY, key)
        except StorageUnavailable as error:
            raise ConfigurationError(f"{error.message} JOBX_DATA_DIR must be a folder that can be written.") from None
        finally:
            await self.delete(_NOBODY, key)

    async def ping(self) -> None:
        """Raise StorageUnavailable when the folder is gone; before the first file there is none."""
        if not await asyncio.to_thread(os.access, self._root.parent, os.W_OK | os.X_OK):
            raise StorageUnavailable("The folder of stored files cannot be written.")

    async def close(self) -> None:
        """Nothing is held."""

    def folder(self, tenant_id: UUID) -> Path:
        """Where a tenant's files are."""
        return self._root / tenant_id.hex

    def _path(self, tenant_id: UUID, key: UUID) -> Path:
        return self.folder(tenant_id) / key.hex


def _put(path: Path, data: bytes) -> None:
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(path.parent.parent)
        # A name of its own: two writers of one key must not share a half-written file.
        descriptor, temporary = tempfile.mkstemp(suffix=_HALF, dir=path.parent)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        _sync(path.parent)
    except OSError as error:
        raise _unavailable(error) from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unavailable(error) from None


def _remove(folder: Path) -> int:
    count = len(_names(folder))
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unavailable(error) from None
    return count


def _unavailable(error: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"The folder of stored files cannot be used ({error.strerror}).")
