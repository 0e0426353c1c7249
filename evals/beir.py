"""Test sets in BEIR layout: corpus.jsonl, queries.jsonl and qrels/*.tsv in a folder.

Thakur and others, "BEIR: A Heterogenous Benchmark for Zero-shot Evaluation of Information Retrieval Models", 2021.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UTF8_BOM = b"\xef\xbb\xbf"
CORPUS, QUERIES = "corpus.jsonl", "queries.jsonl"
_FIELDS = 3


def is_beir(folder: Path) -> bool:
    """Whether a folder holds a corpus in this layout."""
    return (folder / CORPUS).is_file()


def objects(data: bytes) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """The objects of JSON Lines with their numbers, counted from 1; None for a line that is none."""
    # Only a newline ends a line: JSON may hold the others.
    for number, line in enumerate(data.removeprefix(UTF8_BOM).split(b"\n"), 1):
        if line.strip():
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                values = None
            yield number, values if isinstance(values, dict) else None


def judgements(folder: Path) -> dict[str, set[str]]:
    """By query the ids of the documents that are relevant to it; of several splits the one called test.

    What is no judgement (a header, a line of other fields, a score of 0) is passed over.
    """
    files = sorted((folder / "qrels").glob("*.tsv"), key=lambda file: file.stem != "test")
    found: dict[str, set[str]] = {}
    if not files:
        return found
    text = files[0].read_bytes().removeprefix(UTF8_BOM).decode("utf-8", "replace")
    for fields in (line.split("\t") for line in text.split("\n")):
        if len(fields) == _FIELDS and _score(fields[2]) > 0:
            found.setdefault(fields[0].strip(), set()).add(fields[1].strip())
    return found


def _score(field: str) -> float:
    try:
        return float(field)
    except ValueError:
        return 0.0
