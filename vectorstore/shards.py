"""The embedded store's folders: one shard per tenant, opened on first use, closed when others are used more.

Nothing here may be shared between threads: `EdgeIndex` calls it from its one thread, which is also why a shard is never
closed while in use.
"""

import fcntl
import os
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from vectorstore.index import VectorStoreBusy, VectorStoreError, named, names_of

if TYPE_CHECKING:
    from vectorstore.shard import Shard


class Ownership:
    """The right to use a root folder, held by one process at a time, and once within it, until released."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(root / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise VectorStoreBusy(
                "Another process already uses the embedded vector store in this data folder. Stop it, or let several "
                "processes share one Qdrant server by setting JOBX_QDRANT_URL."
            ) from error

    def release(self) -> None:
        """Let another process have the folder; called once."""
        os.close(self._file)


def recover(root: Path) -> None:
    """Finish or remove what a process left below `root` that was cut short; before any shard is opened."""
    for whole in root.glob(".copied-*"):
        # A copy that was whole, and not in its place yet.
        _put_in_place(root, whole.name.removeprefix(".copied-"))
    for pattern in (".new-*", ".dropped-*"):
        for leftover in root.glob(pattern):
            shutil.rmtree(leftover)


class Shards:
    """The shards of one name below `root`, for vectors of `dimension` numbers, at most `max_open` open at a time."""

    def __init__(self, root: Path, dimension: int, max_open: int, name: str = "") -> None:
        self._root = root
        self._dimension = dimension
        self._max_open = max_open
        self._name = name
        self._open: OrderedDict[UUID, Shard] = OrderedDict()
        self._copies: dict[UUID, Shard] = {}

    def existing(self, tenant_id: UUID) -> "Shard | None":
        """The tenant's shard, or None if it has none; VectorStoreError if its folder cannot be read."""
        if tenant_id not in self._open:
            if not self._folder(tenant_id).is_dir():
                return None
            self._open[tenant_id] = self._load(tenant_id)
            self._close_beyond(self._max_open)
        self._open.move_to_end(tenant_id)
        return self._open[tenant_id]

    def made(self, tenant_id: UUID) -> "Shard":
        """The tenant's shard, created if it has none."""
        shard = self.existing(tenant_id)
        if shard is None:
            self._create(tenant_id)
            shard = self._open[tenant_id] = self._load(tenant_id)
            self._close_beyond(self._max_open)
        return shard

    def drop(self, tenant_id: UUID) -> None:
        """Remove the tenant's shard and its files; a missing one is no error."""
        self.forget(tenant_id)
        folder, doomed = self._folder(tenant_id), self._folder(tenant_id, ".dropped-")
        if folder.is_dir():
            # Renamed first: a removal cut short must not leave half a shard under the tenant's name.
            folder.rename(doomed)
            shutil.rmtree(doomed)
            _sync(self._root)

    def names(self, tenant_id: UUID) -> list[str]:
        """The names of the tenant's shards, of all names."""
        return names_of(tenant_id.hex, (folder.name for folder in self._root.glob(f"{tenant_id.hex}*")))

    def begin_copy(self, tenant_id: UUID) -> None:
        """Make an empty shard that is to take the place of the tenant's, if it has one."""
        from vectorstore.shard import Shard  # noqa: PLC0415

        self._forget_copy(tenant_id)
        if self.existing(tenant_id) is not None:
            unfinished = self._folder(tenant_id, ".new-")
            Shard.create(unfinished, self._dimension)
            self._copies[tenant_id] = Shard(unfinished, self._dimension)

    def copy(self, tenant_id: UUID, after: UUID | None, limit: int) -> UUID | None:
        """Copy some chunks into the new shard; where to go on, None behind the last."""
        shard = self.existing(tenant_id)
        return None if shard is None else shard.copy(self._copies[tenant_id], after, limit)

    def end_copy(self, tenant_id: UUID) -> None:
        """Put the new shard in the old one's place; VectorStoreError, and the old one stays, unless it has as much."""
        shard, copy = self.existing(tenant_id), self._copies.get(tenant_id)
        if shard is None or copy is None:
            return
        copy.flush()
        wanted, copied = shard.count(), copy.count()
        self._copies.pop(tenant_id).close()
        if wanted != copied:
            raise VectorStoreError(f"{copied} of {wanted} chunks were copied.")
        self._folder(tenant_id, ".new-").rename(self._folder(tenant_id, ".copied-"))
        _sync(self._root)
        self.forget(tenant_id)
        _put_in_place(self._root, self._folder(tenant_id).name)

    def _forget_copy(self, tenant_id: UUID) -> None:
        """Remove what a copy left that was cut short."""
        cut = self._copies.pop(tenant_id, None)
        if cut is not None:
            cut.close()
        shutil.rmtree(self._folder(tenant_id, ".new-"), ignore_errors=True)

    def forget(self, tenant_id: UUID) -> None:
        """Close the tenant's shard if it is open; its next use opens it again."""
        shard = self._open.pop(tenant_id, None)
        if shard is not None:
            shard.close()

    def close(self) -> None:
        """Flush and close every open shard."""
        for tenant_id in list(self._copies):
            self._forget_copy(tenant_id)
        self._close_beyond(0)

    def _create(self, tenant_id: UUID) -> None:
        from vectorstore.shard import Shard  # noqa: PLC0415

        unfinished = self._folder(tenant_id, ".new-")
        Shard.create(unfinished, self._dimension)
        # Renamed when whole: a creation cut short must not leave a folder that cannot be opened.
        unfinished.rename(self._folder(tenant_id))
        _sync(self._root)

    def _load(self, tenant_id: UUID) -> "Shard":
        from vectorstore.shard import Shard  # noqa: PLC0415

        try:
            return Shard(self._folder(tenant_id), self._dimension)
        except BaseException as error:  # a Rust panic is no Exception
            raise VectorStoreError(
                f"The vector collection of tenant {tenant_id} cannot be opened: its files are damaged, or were made "
                "for an embedding model of another dimension."
            ) from error

    def _close_beyond(self, most: int) -> None:
        while len(self._open) > most:
            self._open.popitem(last=False)[1].close()

    def _folder(self, tenant_id: UUID, state: str = "") -> Path:
        return self._root / f"{state}{named(tenant_id.hex, self._name)}"


def _put_in_place(root: Path, name: str) -> None:
    # Renames only, and the new shard's name says that it is whole: whatever moment it is cut at, it goes on.
    folder, doomed = root / name, root / f".dropped-{name}"
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.is_dir():
        folder.rename(doomed)
    (root / f".copied-{name}").rename(folder)
    _sync(root)
    shutil.rmtree(doomed, ignore_errors=True)


def _sync(folder: Path) -> None:
    # A shard's flush syncs its own files; its name in the root folder is ours to make durable.
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
