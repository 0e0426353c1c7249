"""What the kernel knows of processes' sockets, whatever language made them; Linux, from /proc, without privileges.

A look misses a socket that was opened and closed again since the look before.
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import NamedTuple

_TABLES = ("tcp", "tcp6", "udp", "udp6")
_LISTENING = "0A"


class Seen(NamedTuple):
    """A process's socket, or what its audit hook told: `event` says how it was seen."""

    pid: int
    event: str
    host: str
    port: int


def family(roots: Iterable[int]) -> set[int]:
    """Processes and all that descends from them, as far as it is alive."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError):
                # The name, in parentheses, may hold spaces.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, left = set(), list(roots)
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, [])
    return found


def outward(pids: Iterable[int]) -> set[Seen]:
    """The sockets of processes that lead somewhere: not those that listen, nor what came in by these."""
    owners: dict[str, list[int]] = {}
    for pid in pids:
        for inode in _inodes(pid):
            owners.setdefault(inode, []).append(pid)
    rows = [(table, row) for table in _TABLES for row in _rows(table) if row[9] in owners]
    ports = {_address(row[1])[1] for _, row in rows if row[3] == _LISTENING}
    found = set()
    for table, row in rows:
        (_, local), (host, port) = _address(row[1]), _address(row[2])
        if port and local not in ports:
            found |= {Seen(pid, f"kernel.{table}", host, port) for pid in owners[row[9]]}
    return found


def is_python(pid: int) -> bool:
    """Whether a living process is Python's interpreter."""
    with suppress(OSError):
        return Path(os.readlink(f"/proc/{pid}/exe")).name.startswith("python")
    return False


def _inodes(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _rows(table: str) -> list[list[str]]:
    return [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]


def _address(text: str) -> tuple[str, int]:
    """Four-byte words in the machine's order, then the port (proc(5))."""
    words, _, port = text.partition(":")
    raw = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw), int(port, 16)
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address), int(port, 16)


class Sampler:
    """Looks at processes and their descendants every few milliseconds, in a thread, for as long as its block."""

    def __init__(self, pause: float = 0.02) -> None:
        self.roots: set[int] = set()
        self.seen: set[Seen] = set()
        self.pids: set[int] = set()
        self.pythons: set[int] = set()
        self.looks = 0
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        found: set[int] = set()
        before: set[int] = set()
        renewed = 0.0
        while not self._stop.wait(self._pause):
            if time.monotonic() - renewed > 10 * self._pause:
                # Dear, where many processes run; a child lives longer than that.
                found, renewed = family(self.roots), time.monotonic()
                self.pids |= found
                now = set(filter(is_python, found))
                # Right after a fork any program is still Python; twice means that it stays so.
                self.pythons |= now & before
                before = now
            self.seen |= outward(found)
            self.looks += 1
