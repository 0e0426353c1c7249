"""Reading a test set in BEIR layout: corpus.jsonl, queries.jsonl and qrels/test.tsv in a folder.

Thakur and others, "BEIR: A Heterogenous Benchmark for Zero-shot Evaluation of Information Retrieval Models", 2021.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.text import clean

_FIELDS = 3


class NotBeir(Exception):
    """A file of the test set is missing or malformed; the message has its path and line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of the corpus; `title` may be empty, `text` is not."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class BeirSet:
    """Documents, questions by id, and for each question how relevant which documents are; `left_out` counts the rest.

    Every question has at least one relevant document; that need not be among the documents.
    """

    name: str
    documents: Sequence[Entry]
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]


def read(folder: Path) -> BeirSet:
    """The test set in a folder; raises NotBeir."""
    left_out: Counter[str] = Counter()
    corpus = {entry.id: entry for entry in _entries(folder / "corpus.jsonl")}
    queries = {entry.id: entry.text for entry in _entries(folder / "queries.jsonl")}
    judgements = _judgements(folder / "qrels" / "test.tsv", queries.keys(), corpus.keys())
    left_out["judgements of unknown queries"] = sum(len(judgements[query]) for query in judgements.keys() - queries)
    documents = [entry for entry in corpus.values() if entry.text.strip()]
    left_out["documents without text"] = len(corpus) - len(documents)
    asked: dict[str, str] = {}
    for query, text in queries.items():
        relevant = any(score > 0 for score in judgements.get(query, {}).values())
        if relevant and text.strip():
            asked[query] = text
        else:
            left_out["queries without text" if relevant else "queries without a relevant document"] += 1
    if not documents or not asked:
        raise NotBeir(f"{folder}: there is no {'document' if asked else 'query with a relevant document'} in it.")
    found = {document.id for document in documents}
    kept = {query: judgements[query] for query in asked}
    left_out["relevant documents that are not there"] = sum(
        score > 0 and document not in found for scores in kept.values() for document, score in scores.items()
    )
    return BeirSet(folder.resolve().name, documents, asked, kept, {what: n for what, n in left_out.items() if n})


def _entries(path: Path) -> Iterator[Entry]:
    """The objects of a JSON Lines file; one that is there twice is taken once."""
    seen: dict[str, Entry] = {}
    for number, line in _lines(path):
        entry = _entry(line, f"{path}:{number}")
        if seen.setdefault(entry.id, entry) != entry:
            raise NotBeir(f"{path}:{number}: the _id {entry.id!r} is that of another line, too.")
    yield from seen.values()


def _entry(line: str, place: str) -> Entry:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotBeir(f"{place}: this is not JSON ({error}).") from None
    if not isinstance(values, dict):
        raise NotBeir(f"{place}: this is not a JSON object.")
    name, text, title = values.get("_id"), values.get("text", ...), values.get("title")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise NotBeir(f"{place}: `_id` is no text.")
    if text is not None and not isinstance(text, str):
        raise NotBeir(f"{place}: `text` is {'missing' if text is ... else 'no text'}.")
    # A title that is null, or the NaN of a table without one, is none.
    return Entry(clean(str(name)), clean(title) if isinstance(title, str) else "", clean(text or ""))


def _judgements(path: Path, queries: Collection[str], documents: Collection[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for index, (number, line) in enumerate(_lines(path)):
        fields = line.split("\t")
        if len(fields) != _FIELDS:
            raise NotBeir(f"{path}:{number}: a judgement is three fields with tabs between them, not {len(fields)}.")
        score = _score(fields[2])
        if score is None:
            if index == 0:
                continue  # The header, which not every file has.
            raise NotBeir(f"{path}:{number}: the score {fields[2]!r} is no whole number.")
        of_query = found.setdefault(_id(fields[0], queries), {})
        document = _id(fields[1], documents)
        if of_query.setdefault(document, score) != score:
            raise NotBeir(f"{path}:{number}: this query and document have another score before.")
    return found


def _score(field: str) -> int | None:
    try:
        score = float(field.strip().strip('"'))
        return int(score) if score.is_integer() else None
    except ValueError:
        return None


def _id(field: str, known: Collection[str]) -> str:
    """The id in a field; one with a quotation mark is quoted by who writes such files with a CSV library."""
    field = clean(field)
    if field in known or len(field) < 2 or not (field[0] == field[-1] == '"'):
        return field
    return field[1:-1].replace('""', '"')


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that hold something, with their numbers. Only a newline ends a line: JSON may hold others."""
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise NotBeir(f"{path}: it cannot be read ({error.strerror}).") from None
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            text = line.decode().removesuffix("\r")
        except UnicodeDecodeError:
            raise NotBeir(f"{path}:{number}: this is not UTF-8.") from None
        if text.strip():
            yield number, text
