"""Eval datasets: JSON Lines with one question per line, CSV with one per row, or a folder in BEIR layout.

A broken line is reported with its number and the rest is read, so that one typing error does not lose a night's run.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

from evals.beir import QUERIES, UTF8_BOM, judgements, objects

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_SEVERAL = frozenset({"facts", "relevant", "tags"})
_YES_OR_NO = frozenset({"answerable", "attack", "label"})
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# More than the csv module takes by itself: a history may stand in a cell.
_LONGEST_CELL = 1_000_000


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation that a question continues; roles as in the reply API."""

    role: Literal["customer", "user", "agent", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and what a good answer to it looks like.

    `expected` is a model answer; `facts` are short strings a right answer contains, with `|` between ways to write the
    same; `relevant` are ids or titles of the documents that hold the answer. An unanswerable question ought to be
    handed over. In an attack, `canary` is the text that must not appear in the reply. `language` is an ISO 639-1 code.
    `tags` name slices that a report shows on their own. `reply` with `label` (whether a person found it right) is
    what a model judge is measured on.
    """

    id: Filled
    question: Filled
    history: tuple[Turn, ...] = ()
    expected: str | None = None
    facts: tuple[Filled, ...] = ()
    relevant: tuple[Filled, ...] = ()
    answerable: bool = True
    attack: bool = False
    canary: Filled | None = None
    language: str | None = None
    tags: tuple[Filled, ...] = ()
    reply: str | None = None
    label: bool | None = None


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that is not a sample: its number, counted from 1, and what is wrong with it."""

    line: int
    reason: str


_SAMPLE = TypeAdapter(Sample)
_Read = tuple[int, Sample | LineError]


def read_samples(path: Path) -> tuple[list[Sample], list[LineError]]:
    """Read a UTF-8 dataset (with or without a byte order mark); OSError if the file cannot be read.

    A name that ends in .csv is read as CSV, a folder as a test set in BEIR layout, all else as JSON Lines. Blank lines
    are skipped and unknown fields ignored. Of two samples with one id, the first is kept.
    """
    if path.is_dir():
        return _kept(_queries(path))
    data = path.read_bytes()
    return _kept(_rows(data)) if path.suffix.lower() == ".csv" else parse_samples(data)


def parse_samples(data: bytes) -> tuple[list[Sample], list[LineError]]:
    """The same of JSON Lines that are no file."""
    return _kept(_lines(data))


def _kept(lines: Iterable[_Read]) -> tuple[list[Sample], list[LineError]]:
    samples: dict[str, Sample] = {}
    errors: list[LineError] = []
    for number, read in lines:
        if isinstance(read, LineError):
            errors.append(read)
        elif read.id in samples:
            errors.append(LineError(number, f"id {read.id!r} is already used by an earlier line"))
        else:
            samples[read.id] = read
    return list(samples.values()), errors


def _lines(data: bytes) -> Iterator[_Read]:
    for number, line in enumerate(data.removeprefix(UTF8_BOM).splitlines(), 1):
        if line.strip():
            yield number, _sample(number, line)


def _sample(number: int, line: bytes | str) -> Sample | LineError:
    try:
        return _SAMPLE.validate_json(line, strict=True)
    except ValidationError as error:
        return LineError(number, _reason(error))


def _rows(data: bytes) -> Iterator[_Read]:
    """The rows below a header; each is known by the line of the file that it begins in."""
    csv.field_size_limit(_LONGEST_CELL)
    text = data.removeprefix(UTF8_BOM).decode("utf-8", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    while True:
        begins = rows.line_num + 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield begins, LineError(begins, f"this is not CSV: {error}")
            continue
        if cells is None:
            return
        if not names:
            names = [cell.strip().casefold() for cell in cells]
        elif any(cells):
            yield begins, _row(begins, names, cells)


def _row(number: int, names: Sequence[str], cells: Sequence[str]) -> Sample | LineError:
    """What the same object would be as a line of JSON; of several texts in a cell each has a line of its own."""
    if len(cells) > len(names):
        return LineError(number, "the row has more cells than the header")
    values: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        text = cell.strip()
        if not text:
            continue
        if name in _SEVERAL:
            values[name] = [part.strip() for part in text.splitlines() if part.strip()]
        elif name in _YES_OR_NO:
            values[name] = _TRUTH.get(text.casefold(), text)
        else:
            values[name] = _json(text) if name == "history" else text
    return _checked(number, values)


def _checked(number: int, values: dict[str, Any]) -> Sample | LineError:
    try:
        return _sample(number, json.dumps(values, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return LineError(number, "the row is not UTF-8")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _queries(folder: Path) -> Iterator[_Read]:
    """The questions of a test set in BEIR layout, with what the judgements say is relevant to them.

    Of fields that BEIR does not have, `history`, `answers`, `reference_answer` and `answerability` are understood.
    """
    relevant = judgements(folder)
    for number, values in objects((folder / QUERIES).read_bytes()):
        if values is None:
            yield number, LineError(number, "this is not a JSON object")
        else:
            yield number, _checked(number, _of_query(values, relevant.get(str(values.get("_id")), ())))


def _of_query(query: dict[str, Any], relevant: Iterable[str]) -> dict[str, Any]:
    told = query.get("answers")
    several = told if isinstance(told, list) else [told]
    answers = [text for text in several if isinstance(text, str) and text.strip()]
    name = query.get("_id")
    # Some sets number their questions.
    id_ = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    sample: dict[str, Any] = {"id": id_, "question": query.get("text"), "relevant": sorted(relevant)}
    if answers:
        sample["facts"] = ["|".join(answers)]
    if query.get("history"):
        sample["history"] = query["history"]
    if query.get("reference_answer"):
        sample["expected"] = query["reference_answer"]
    if isinstance(kind := query.get("answerability"), str):
        sample |= {"answerable": kind.upper() != "UNANSWERABLE", "tags": [kind.lower()]}
    return sample


def _reason(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join(filter(None, (".".join(map(str, d["loc"])), d["msg"]))) for d in details)
