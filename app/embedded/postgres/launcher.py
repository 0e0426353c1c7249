"""Become a PostgreSQL program: drop root, tie our life to the owner's, clear the way, exec.

Run by path, never imported by the service: `python -I -S launcher.py OWNER_PID UID GID DATA_FD PROGRAM ARGS...`.
The process id stays the same, so the program is the owner's direct child; and nothing of this runs between fork and
exec of a process with threads, where only async-signal-safe code is allowed.
"""

import ctypes
import os
import resource
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# A postmaster that is told SIGQUIT kills what is left of its children after 5 s (SIGKILL_CHILDREN_AFTER_SECS).
_KILL_ORPHANS_AFTER_S = 6.0
_GIVE_UP_AFTER_S = 9.0


def main() -> None:
    """Exec the program of `sys.argv`; exits with a sentence on standard error when that is impossible."""
    owner, uid, gid, data_fd = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5]
    _default_signals()
    _drop_root(uid, gid)
    # After the change of credentials, which would clear it.
    _die_with(owner)
    # A core dump would hold customers' rows, readable for years.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    _end_orphans(data_fd)
    _forget_reused_pid(data_fd)
    os.execv(program, sys.argv[5:])  # noqa: S606 - becoming the program is the purpose; no shell is wanted


def _default_signals() -> None:
    """An owner started in the background by a shell ignores SIGINT and SIGQUIT, and a child would inherit that."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _drop_root(uid: int, gid: int) -> None:
    if os.geteuid() == uid:
        return
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _die_with(owner: int) -> None:
    """SIGQUIT when the thread that started us ends, with its process or alone.

    SIGQUIT is PostgreSQL's immediate shutdown: all children end at once and the next start replays the log. SIGKILL
    would leave a backend running until it next waits; SIGINT would first write a checkpoint, which can take long.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != owner:
        sys.exit("the owner of the embedded PostgreSQL ended before its server started")


def _end_orphans(data_fd: int) -> None:
    """End servers and single backends that a dead owner left on this data directory (we hold its lock)."""
    begun = time.monotonic()
    told: set[int] = set()
    while orphans := _servers_on(os.fstat(data_fd)):
        waited = time.monotonic() - begun
        if waited > _GIVE_UP_AFTER_S:
            sys.exit(f"an earlier PostgreSQL still runs on this data directory and cannot be ended: {orphans}")
        for pid in orphans:
            if waited > _KILL_ORPHANS_AFTER_S:
                _signal(pid, signal.SIGKILL)
            elif pid not in told:
                _signal(pid, signal.SIGQUIT)
        told.update(orphans)
        time.sleep(0.02)


def _servers_on(data: os.stat_result) -> list[int]:
    """Process ids of the postgres processes that work in the directory `data`: all of them change into it.

    Asked as the server's own user, since even root may not look into another user's processes in a container.
    """
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            inside = os.path.samestat(os.stat(f"/proc/{pid}/cwd"), data)
            if inside and os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("postgres"):
                found.append(pid)
        except OSError:
            continue
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _forget_reused_pid(data_fd: int) -> None:
    """Remove a left-over postmaster.pid whose process id another program (or a zombie) has now.

    PostgreSQL would refuse to start then. Every other left-over file stays, for PostgreSQL checks more than the id.
    """
    try:
        fd = os.open("postmaster.pid", os.O_RDONLY, dir_fd=data_fd)
    except FileNotFoundError:
        return
    with open(fd, encoding="utf-8", errors="replace") as file:
        first = file.readline().strip().lstrip("-")
    try:
        os.kill(int(first), 0)
    except (ValueError, OSError):
        return
    os.unlink("postmaster.pid", dir_fd=data_fd)


if __name__ == "__main__":
    main()
