"""ZIP archives of documents, opened in the child process: what is in them, a batch at a time, within bounds.

Nothing is written anywhere, so a name can only mislead; one that could is left out (APPNOTE.TXT 6.3.10, 4.4.17).
"""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import PurePosixPath

from ingestion.clean import clean_line
from ingestion.detect import Format, detect
from ingestion.types import Extracted, IngestionError, Limits

_MAX_ENTRIES = 5000
_MAX_UNPACKED = 512 * 1024 * 1024
# Text shrinks to a tenth or a twentieth; what shrinks to less than a hundredth, and is large, is made to harm.
_MAX_RATIO = 100
_RATIO_COUNTS_FROM = 16 * 1024 * 1024
_MAX_DEPTH = 2
_MAX_NAME = 300
_BATCH_BYTES = 16 * 1024 * 1024
_BATCH_FILES = 200
_ENCRYPTED_FLAG, _UTF8_FLAG = 1, 0x800
# What file managers add.
_ADDED = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini"))
_AGAIN = "There is another file of this name."
_DRIVE = re.compile(r"[A-Za-z]:")
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, EOFError, OSError)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file in an archive, and where the archive lies; `refused` is why it is left out without being opened."""

    path: str
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    refused: str | None


def members(data: bytes, limits: Limits, start: int = 0) -> Extracted:
    """A batch of the files in an archive that can be read as documents, from its `start`th entry on.

    Files in folders are named with these ("a/b.pdf"), files of archives within the archive with that one's name.
    Raises IngestionError: "damaged", "password" (all of it is encrypted), "too_complex" (a bomb).
    """
    entries = list(_Walk(data, limits).entries(data))
    if entries and all(entry.info.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise IngestionError("password", "The archive is protected by a password.")
    files: list[tuple[str, bytes]] = []
    left_out: list[str] = []
    following, size = start, 0
    for entry in entries[start:]:
        following += 1
        try:
            content = _content(entry, limits)
            files.append((entry.path, content))
            size += len(content)
        except IngestionError as error:
            left_out.append(f"{entry.path}: {error}")
        if size >= _BATCH_BYTES or len(files) >= _BATCH_FILES:
            break
    return Extracted(tuple(files), tuple(left_out), following if following < len(entries) else None)


class _Walk:
    """Goes through the directories of an archive and of those in it; refuses bombs before they go off."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._limits = limits
        self._room = min(_MAX_UNPACKED, max(_MAX_RATIO * len(data), _RATIO_COUNTS_FROM))
        self._seen: set[str] = set()
        self._count = 0

    def entries(self, data: bytes, folder: str = "", depth: int = 1) -> Iterator[_Entry]:
        """The files in order, those of an inner archive in its place."""
        try:
            archive = zipfile.ZipFile(BytesIO(data))
        except _BROKEN as error:
            raise IngestionError("damaged", "The file is damaged and cannot be opened as ZIP.") from error
        for info in archive.infolist():
            self._spend(info)
            name = _name(info)
            if info.is_dir() or any(part in _ADDED or part.startswith(".") for part in _parts(name)):
                continue
            path = f"{folder}{name}"
            entry = _Entry(path, archive, info, _refusal(info, name) or (_AGAIN if path in self._seen else None))
            self._seen.add(path)
            yield from self._inside(entry, depth) if _is_archive(entry) else (entry,)

    def _inside(self, entry: _Entry, depth: int) -> Iterator[_Entry]:
        """An archive's own files instead of it, or itself with the reason why it is left out."""
        try:
            if depth >= _MAX_DEPTH:
                raise IngestionError("left_out", "Archives are nested too deeply.")
            yield from self.entries(_content(entry, self._limits), f"{entry.path}/", depth + 1)
        except IngestionError as error:
            if error.code == "too_complex":
                raise
            yield replace(entry, refused=str(error))

    def _spend(self, info: zipfile.ZipInfo) -> None:
        self._count += 1
        self._room -= info.file_size
        if self._count > _MAX_ENTRIES:
            raise IngestionError("too_complex", f"The archive holds more than {_MAX_ENTRIES} files.")
        if self._room < 0:
            raise IngestionError("too_complex", "The archive unpacks to more data than is allowed.")


def _is_archive(entry: _Entry) -> bool:
    return entry.refused is None and PurePosixPath(entry.path).suffix.lower() == ".zip"


def _name(info: zipfile.ZipInfo) -> str:
    """The name in Unicode: programs write UTF-8 without saying so, and zipfile then takes it for code page 437."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return clean_line(name.replace("\\", "/"))


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split("/") if part not in ("", ".", ".."))


def _refusal(info: zipfile.ZipInfo, name: str) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "It is a link or a device and no file."
    if not name or name.startswith("/") or ".." in name.split("/") or _DRIVE.match(name) or len(name) > _MAX_NAME:
        return "Its name leads out of the archive or is too long."
    if info.flag_bits & _ENCRYPTED_FLAG:
        return "It is protected by a password."
    return None


def _content(entry: _Entry, limits: Limits) -> bytes:
    """A file's bytes if it is a document; raises IngestionError with the reason why it is left out."""
    if entry.refused is not None:
        raise IngestionError("left_out", entry.refused)
    if entry.info.file_size > limits.max_bytes:
        raise IngestionError("too_large", f"It is larger than {limits.max_bytes // (1024 * 1024)} MiB.")
    try:
        with entry.archive.open(entry.info) as member:
            content = member.read()
    except _BROKEN as error:
        raise IngestionError("damaged", "It is damaged.") from error
    if not content:
        raise IngestionError("empty", "It is empty.")
    if not _is_archive(entry) and detect(content, PurePosixPath(entry.path).name, None) is Format.ZIP:
        raise IngestionError("left_out", "It is an archive that is not called one.")
    return content
