"""A PostgreSQL server for one owner process: own child, Unix socket only, gone when its owner is gone."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from .cluster import SUPERUSER, Cluster
from .errors import DataDirInUseError, DataDirUnusableError, StartFailedError, UnsupportedHostError
from .keeper import Keeper
from .runtime import Runtime, installed_prefix, runtime_directory, server_user

_PORT = 5432
_OWNER_ENDS_WITHIN = 2.0
# A forgotten object, once collected, would take lock and socket away from a server that still runs.
_running: set["EmbeddedPostgres"] = set()
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    # The text of an ERROR can quote a value ('invalid input syntax for type integer: "…"'); the client gets it anyway.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True)
class PostgresAddress:
    """How to reach a running server; `dataclasses.replace` with another user and password gives that role's address."""

    socket_dir: Path
    port: int
    user: str
    password: str = field(repr=False)

    def dsn(self, database: str) -> str:
        """libpq connection string for `database`; it holds the password."""
        return make_conninfo(
            host=str(self.socket_dir), port=self.port, user=self.user, password=self.password, dbname=database
        )

    def sqlalchemy_url(self, database: str) -> str:
        """SQLAlchemy URL (psycopg 3) for `database`, the socket directory as query parameter; it holds the password."""
        user, password, name, host = (
            quote(part, safe="") for part in (self.user, self.password, database, str(self.socket_dir))
        )
        return f"postgresql+psycopg://{user}:{password}@/{name}?host={host}&port={self.port}"


class EmbeddedPostgres:
    """One server on `data_dir`/postgres, where all of its state is; `binaries` is a folder with bin, lib and share.

    The server is a child of this process and ends within two seconds of it, however it ends. Only one process owns a
    data directory at a time. As root the server runs as another user, who needs no right to any folder above.
    As a context manager it gives the address.
    """

    def __init__(self, data_dir: Path, *, binaries: Path | None = None) -> None:
        self._home = data_dir.absolute() / "postgres"
        self._binaries = binaries
        self._cluster = Cluster(self._home)
        self._keeper: Keeper | None = None
        self._held = ExitStack()

    def start(self, timeout: float = 60) -> PostgresAddress:
        """Make the cluster on first use, start the server, return when it accepts connections.

        Blocks for about 0.1 s (first use: 0.5 s), at most `timeout` seconds for initdb and again for the start.
        Raises a subclass of EmbeddedPostgresError whose message says what to do.
        """
        if sys.platform != "linux":
            raise UnsupportedHostError("The embedded PostgreSQL needs Linux: set JOBX_DATABASE_URL to a server.")
        with self._disk_errors(), ExitStack() as held:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            held.enter_context(_owner_lock(self._home / "lock"))
            user = server_user(self._cluster.path)
            runtime = held.enter_context(runtime_directory(user, self._binaries or installed_prefix()))
            password = self._cluster.prepare(runtime, timeout)
            data_fd = held.enter_context(self._cluster.opened())
            address = PostgresAddress(runtime.server_dir, _PORT, SUPERUSER, password)
            keeper = Keeper(_serve(runtime, data_fd), data_fd, self._home / "postgres.log")
            keeper.start()
            held.callback(keeper.end, 0)
            self._await(keeper, data_fd, address, timeout)
            self._keeper, self._held = keeper, held.pop_all()
            _running.add(self)
        return address

    def stop(self, timeout: float = 10) -> None:
        """Shut down: open transactions are rolled back at once, and after `timeout` seconds nothing is waited for.

        Committed rows stay in either case. Does nothing on a server that is not running.
        """
        if self._keeper is not None:
            self._keeper.end(timeout)
        self._keeper = None
        self._held.close()
        _running.discard(self)

    def __enter__(self) -> PostgresAddress:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _await(self, keeper: Keeper, data_fd: int, address: PostgresAddress, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not _is_ready(data_fd, keeper.pid):
            if not keeper.is_alive():
                raise self._cluster.explain(keeper.said())
            if time.monotonic() > deadline:
                raise StartFailedError(f"The embedded PostgreSQL was not ready within {timeout:.0f} s: {keeper.said()}")
            time.sleep(0.01)
        try:
            psycopg.connect(address.dsn("postgres"), connect_timeout=max(2, int(timeout))).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise self._cluster.password_mismatch() from None
            raise StartFailedError(f"The embedded PostgreSQL refuses connections: {error}") from error
        keeper.serving.set()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._home
            raise DataDirUnusableError(
                f"The embedded PostgreSQL cannot use {where}: {error.strerror}. Its data directory "
                f"{self._home.parent} has to be writable by user id {os.geteuid()} and have free space."
            ) from error


def _serve(runtime: Runtime, data_fd: int) -> list[str]:
    quoted = str(runtime.server_dir).replace('"', '""')
    settings = _SETTINGS | {"unix_socket_directories": f'"{quoted}"'}
    options = [f"--{name}={value}" for name, value in settings.items()]
    return runtime.command("postgres", data_fd, "-D", f"/proc/self/fd/{data_fd}", *options)


def _is_ready(data_fd: int, pid: int) -> bool:
    """Whether postmaster.pid (lines: 1 process id, 8 state) says so, of this process and not of an earlier one."""
    with suppress(FileNotFoundError), open(os.open("postmaster.pid", os.O_RDONLY, dir_fd=data_fd), "rb") as file:
        lines = file.read().splitlines()
        return lines[:1] == [str(pid).encode()] and lines[7:8] == [b"ready   "]
    return False


@contextmanager
def _owner_lock(path: Path) -> Iterator[None]:
    """Own the data directory. The descriptor is not inherited by the server, so a dead owner's lock is free at once."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(fd, path)
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path) -> None:
    # A killed owner's server ends with the first of its threads, its locks with the last: a moment lies between.
    deadline = time.monotonic() + _OWNER_ENDS_WITHIN
    while not _locked(fd):
        if time.monotonic() > deadline:
            owner = os.pread(fd, 20, 0).decode(errors="replace") or "unknown"
            raise DataDirInUseError(
                f"The data directory {path.parent.parent} is in use by process {owner}: "
                "stop that process, or give this one another JOBX_DATA_DIR."
            )
        time.sleep(0.02)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
