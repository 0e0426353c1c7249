"""What a run of an eval is asked about: a folder of files, JSON Lines of documents, or a folder in BEIR layout."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.beir import CORPUS, is_beir, objects
from evals.datasets import LineError


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a corpus: a file as it is, or a text; `title` may be empty."""

    id: str
    title: str
    text: str = ""
    file: Path | None = None

    def read(self) -> bytes:
        """The document's bytes."""
        return self.text.encode() if self.file is None else self.file.read_bytes()


class NoCorpus(Exception):
    """There is no document at a path; the message names it."""


def read_corpora(paths: Iterable[Path]) -> tuple[list[Entry], list[LineError]]:
    """All documents of some corpora, by their ids in the order given; raises NoCorpus.

    A file of a folder has its path below it as its id. Of two documents with one id the first is kept.
    """
    entries: dict[str, Entry] = {}
    errors: list[LineError] = []
    for path in paths:
        before = len(entries)
        for number, read in _corpus(path):
            if isinstance(read, LineError):
                errors.append(read)
            elif entries.setdefault(read.id, read) is not read:
                errors.append(LineError(number, f"_id {read.id!r} is already used by an earlier document"))
        if len(entries) == before:
            raise NoCorpus(f"There is no document in {path}.")
    return list(entries.values()), errors


def _corpus(path: Path) -> Iterator[tuple[int, Entry | LineError]]:
    if not path.exists():
        raise NoCorpus(f"There is no {path}.")
    if path.is_dir() and not is_beir(path):
        files = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file.relative_to(path)))
        yield from ((0, _file(file, path)) for file in files)
    elif path.suffix.lower() in (".jsonl", ".ndjson") or path.is_dir():
        yield from _lines(path / CORPUS if path.is_dir() else path)
    else:
        yield 0, Entry(path.name, "", file=path)


def _file(file: Path, folder: Path) -> Entry | LineError:
    name = file.relative_to(folder).as_posix()
    return Entry(name, "", file=file) if _is_utf8(name) else LineError(0, f"the file name {name!a} is not UTF-8")


def _is_utf8(text: str) -> bool:
    """Whether a text can be written: JSON and file names may have halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _lines(path: Path) -> Iterator[tuple[int, Entry | LineError]]:
    for number, values in objects(path.read_bytes()):
        yield number, LineError(number, "this is not a JSON object") if values is None else _entry(number, values)


def _entry(number: int, values: dict[str, Any]) -> Entry | LineError:
    name, title, text = values.get("_id"), values.get("title"), values.get("text")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        return LineError(number, "`_id` is no text")
    if not isinstance(text, str) or not text.strip():
        return LineError(number, "`text` is missing or empty")
    title = title if isinstance(title, str) else ""
    if not _is_utf8(f"{name}{title}{text}"):
        return LineError(number, "a text has half of a character")
    return Entry(str(name), title, text)
