"""Starts a program that reads what strangers sent: little memory and time, no files, no network where that can be had.

Run as a file, which starts within milliseconds: `limited.py PARENT_PID MEMORY_MIB CPU_SECONDS PROGRAM ARGUMENT...`.
"""

import ctypes
import os
import resource
import signal
import sys

_MIB = 1024 * 1024
_OPEN_FILES = 64
_NICE = 10
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main() -> None:
    """Limit this process and become the program."""
    parent, memory_mib, seconds = map(int, sys.argv[1:4])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    # Not every kernel lets everybody do this; then the limits below have to be enough.
    libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.nice(_NICE)
    for what, limit in (
        (resource.RLIMIT_AS, memory_mib * _MIB),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(what, (limit, limit))
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606


if __name__ == "__main__":
    main()
