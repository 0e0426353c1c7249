"""What every file store can do."""

from typing import Protocol
from uuid import UUID

from app.errors import Unavailable


class StorageUnavailable(Unavailable):
    """The file store does not answer right now; try again."""

    code = "storage_unavailable"


class StorageRefused(StorageUnavailable):
    """The file store refuses us, and will until its settings or its rights are changed."""

    code = "storage_refused"


class Storage(Protocol):
    """One file per tenant and key; every method but `close` may raise StorageUnavailable.

    Waits are bounded, at about a minute with all retries for each file. No transaction should be open meanwhile.
    """

    async def put(self, tenant_id: UUID, key: UUID, data: bytes) -> None:
        """Store a file, over an older one; when this returns it survives a crash. No reader sees half of it."""

    async def get(self, tenant_id: UUID, key: UUID) -> bytes:
        """Read a file; raises NotFound."""

    async def delete(self, tenant_id: UUID, key: UUID) -> None:
        """Remove a file with all its versions; a missing one is no error."""

    async def delete_all(self, tenant_id: UUID) -> int:
        """Remove every file of a tenant with all versions; returns how many objects went. None is no error."""

    async def keys(self, tenant_id: UUID) -> list[UUID]:
        """The keys of a tenant's files, in no order."""

    async def check(self) -> None:
        """Write, read and remove a file, for start-up; raises ConfigurationError in words when that cannot work."""

    async def ping(self) -> None:
        """Raise StorageUnavailable when the store does not answer within five seconds."""

    async def close(self) -> None:
        """Give connections and threads back; the store is not used again."""
