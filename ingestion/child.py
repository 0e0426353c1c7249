"""The process that opens files: limited in memory, without network or children of its own, gone with its parent.

Run as `python -m ingestion.child PARENT_PID MEMORY_MIB` on Linux; requests come on standard input, replies go out.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from ingestion.archive import members
from ingestion.dispatch import read
from ingestion.types import Extracted, IngestionError, Limits, PageLinks, ParsedDocument
from ingestion.wire import LENGTH, Reply, pack_reply

_DAMAGED = "The file is damaged and cannot be read."
_MIB = 1024 * 1024
# Room for compiled modules, which the interpreter writes next to packages; nothing else is written.
_FILE_BYTES = 16 * _MIB
_OPEN_FILES = 256
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_FORBIDDEN = (
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"),
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn"),
)


def main() -> None:
    """Serve until standard input ends or the parent is gone."""
    parent, memory_mib = map(int, sys.argv[1:3])
    _die_with(parent)
    requests, replies = _take_pipes()
    sys.meta_path.insert(0, _WithoutTorch())
    restrict(memory_mib)
    while (request := _read_json(requests)) is not None:
        data = requests.read(request["size"])
        replies.write(_answer(data, request))
        replies.flush()


class _WithoutTorch(MetaPathFinder):
    """Hides torch, which spaCy loads if it finds it: a second and 180 MiB for nothing that is used here."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "torch":
            raise ModuleNotFoundError(fullname)


def _answer(data: bytes, request: dict[str, Any]) -> bytes:
    try:
        return pack_reply(Reply(_outcome(data, request), _resident_mib()))
    except MemoryError:
        return pack_reply(Reply(_out_of_memory(), _resident_mib()))


def _outcome(data: bytes, request: dict[str, Any]) -> ParsedDocument | Extracted | PageLinks | IngestionError:
    try:
        return _done(data, request)
    except RecursionError:
        return IngestionError("too_complex", "The parts of the file are nested too deeply.")
    except MemoryError:
        return _out_of_memory()
    except Exception as error:
        # A parser's own exceptions may quote the document, so only this much is said of them.
        known = error if isinstance(error, IngestionError) else IngestionError("damaged", _DAMAGED)
        # libxml2 among others takes a failed allocation for a broken file.
        return _out_of_memory() if known.code == "damaged" and _memory_ran_out() else known


def _done(data: bytes, request: dict[str, Any]) -> ParsedDocument | Extracted | PageLinks:
    limits = Limits(**request["limits"])
    match request["work"]:
        case "members":
            return members(data, limits, request["start"])
        case "pictures":
            # Loads the PDF library, which most files do not need.
            from ingestion.formats.pictures import draw  # noqa: PLC0415

            return draw(data, request["pages"])
        case "links":
            # And this one that for markup.
            from ingestion import crawl  # noqa: PLC0415

            return crawl.sitemap(data) if request["kind"] == "sitemap" else crawl.page(data, request["base_url"])
    return read(data, request["filename"], request["media_type"], limits)


def _out_of_memory() -> IngestionError:
    return IngestionError("too_complex", "The file needs more memory than reading a document may take.")


def _memory_ran_out() -> bool:
    """Whether the address space in use was ever within a tenth of its limit."""
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmPeak"))
    return int(peak.split()[1]) * 1024 > 0.9 * resource.getrlimit(resource.RLIMIT_AS)[0]


def _die_with(parent: int) -> None:
    """Be killed when the parent ends, however it ends; give up core dumps and new privileges."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with suppress(OSError):
        # When memory runs out the kernel is to end this process, not the one that serves.
        Path("/proc/self/oom_score_adj").write_text("1000")
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before the signal was asked for.
        sys.exit()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the two pipes away from standard input and output, so that no library can read or write them."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    return requests, replies


def restrict(memory_mib: int) -> None:
    """Take from this process, for good: more memory than `memory_mib`, big files, the network, other processes."""
    for what, limit in (
        (resource.RLIMIT_AS, memory_mib * _MIB),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(what, (limit, limit))
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(event)


def _read_json(requests: BinaryIO) -> dict[str, Any] | None:
    head = requests.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    message: dict[str, Any] = json.loads(requests.read(*LENGTH.unpack(head)))
    return message


def _resident_mib() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // _MIB


if __name__ == "__main__":
    main()
