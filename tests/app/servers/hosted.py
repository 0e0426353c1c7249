"""A second PostgreSQL, as a host gives it: Debian's server on TCP, its administrator no superuser."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

ADMIN = "hosted"
PASSWORD = "password-of-hosted"
_RIGHTS = "login nosuperuser createrole createdb"


class HostedPostgres:
    """A server on loopback; `dsn` and `sqlalchemy_url` are its administrator's, `superuser` is the host's."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._home = Path(tempfile.mkdtemp(prefix="jobx-hosted-"))
        self._secret = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._user = next(name for name in ("postgres", "nobody") if _is_user(name)) if os.geteuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._process is not None
        return self._process.pid

    def make(self) -> None:
        """Make the cluster, start it, and give the hosted administrator what a host gives."""
        password = self._home / "password"
        password.write_text(self._secret)
        if self._user is not None:
            for path in (self._home, password):
                shutil.chown(path, self._user)
        locale = ("--encoding=UTF8", "--locale=C", "--no-sync")
        initdb = ("-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}", *locale)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, *initdb], check=True, capture_output=True, **self._as_user
        )
        self.start()
        with psycopg.connect(self.superuser("postgres"), autocommit=True) as connection:
            connection.execute(f"create role {ADMIN} {_RIGHTS} password '{PASSWORD}'")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 60,
            "log_min_messages": "fatal",
        }
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *(f"--{name}={value}" for name, value in settings.items())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_user,
        )
        deadline = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, "the second PostgreSQL ended by itself"
            try:
                psycopg.connect(self.superuser("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, as a crash does: SIGQUIT is PostgreSQL's immediate shutdown."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)

    def remove(self) -> None:
        """Stop, and leave nothing."""
        self.stop()
        shutil.rmtree(self._home)

    def keep(self, name: str, text: str) -> None:
        """Put a file into the data folder that only the server reads, such as its key for TLS."""
        file = self._data / name
        file.write_text(text)
        file.chmod(0o600)
        if self._user is not None:
            shutil.chown(file, self._user)

    def dsn(self, database: str) -> str:
        """libpq connection string of the hosted administrator."""
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=self.port, user=ADMIN, password=PASSWORD, dbname=database
        )

    def sqlalchemy_url(self, database: str) -> str:
        """What goes into JOBX_DATABASE_URL."""
        return f"postgresql://{ADMIN}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def superuser(self, database: str) -> str:
        """libpq connection string of the host itself."""
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=self.port, user="postgres", password=self._secret, dbname=database
        )

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _as_user(self) -> dict:
        return {
            "cwd": "/",
            **({} if self._user is None else {"user": self._user, "group": self._group, "extra_groups": []}),
        }

    @property
    def _group(self) -> int:
        return pwd.getpwnam(self._user or "").pw_gid


def programs() -> Path | None:
    """The folder of an installed PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parents[1].name))
    on_path = shutil.which("initdb")
    candidates = [*reversed(found), *([Path(on_path).resolve()] if on_path else [])]
    return next((path.parent for path in candidates if (path.parent / "postgres").exists()), None)


@contextlib.contextmanager
def hosted_postgres() -> Iterator[HostedPostgres | None]:
    """A running server, or None where no PostgreSQL is installed."""
    folder = programs()
    if folder is None:
        yield None
        return
    server = HostedPostgres(folder)
    try:
        server.make()
        yield server
    finally:
        server.remove()


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
