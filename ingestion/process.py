"""The parent's end of the child process."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from ingestion.wire import LENGTH, Reply, WireError, read_reply

_ROOT = Path(__file__).resolve().parent.parent
# Nothing else of the service's own environment goes in: it holds keys.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "HF_HUB_OFFLINE": "1",
    # Threads and their arenas reserve address space, which is what is limited.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
    "MALLOC_ARENA_MAX": "2",
}


class ChildGone(Exception):
    """The child ended, or said what the protocol does not know."""


def child_environment() -> dict[str, str]:
    """The child's environment: fixed values and the few of ours that a program needs to run."""
    return _ENVIRONMENT | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


class ChildProcess:
    """A running `ingestion.child` with `memory_mib` of address space. Its methods block; `end` may be called any time.

    Start it from a thread that lives as long as the child should: Linux ends the child together with that thread.
    """

    def __init__(self, memory_mib: int) -> None:
        self.memory_mib = memory_mib
        self.served = 0
        self._lock = threading.Lock()
        self._process = Popen(  # noqa: S603
            [sys.executable, "-m", "ingestion.child", str(os.getpid()), str(memory_mib)],
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=_ROOT,
            env=child_environment(),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def exchange(self, request: bytes, data: bytes, max_reply: int) -> Reply:
        """Send a request with its data and wait for the reply of at most `max_reply` bytes; raises ChildGone."""
        with self._lock:
            try:
                self._send(request, data)
                reply = read_reply(self._receive(max_reply))
            except (OSError, EOFError, ValueError, WireError) as error:
                raise ChildGone from error
            self.served += 1
            return reply

    def end(self) -> None:
        """Kill it and let go of everything; an `exchange` under way raises ChildGone."""
        self._process.kill()
        with self._lock:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()

    def _send(self, *parts: bytes) -> None:
        if (stdin := self._process.stdin) is not None:
            stdin.writelines(parts)
            stdin.flush()

    def _receive(self, max_reply: int) -> bytes:
        (size,) = LENGTH.unpack(self._read(LENGTH.size))
        if size > max_reply:
            raise WireError
        return self._read(size)

    def _read(self, size: int) -> bytes:
        payload = self._process.stdout.read(size) if self._process.stdout is not None else b""
        if len(payload) < size:
            raise EOFError
        return payload
