"""Eval datasets: JSON Lines, one question per line.

A broken line is reported with its number and the rest is read, so that one typing error does not lose a night's run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

UTF8_BOM = b"\xef\xbb\xbf"

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation that a question continues; roles as in the reply API."""

    role: Literal["customer", "user", "agent", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and what a good answer to it looks like.

    `expected` is a model answer; `facts` are short strings a right answer contains; `relevant` are ids or titles of the
    documents that hold the answer. An unanswerable question ought to be handed over. In an attack, `canary` is the text
    that must not appear in the reply. `language` is an ISO 639-1 code.
    """

    id: Filled
    question: Filled
    history: tuple[Turn, ...] = ()
    expected: str | None = None
    facts: tuple[Filled, ...] = ()
    relevant: tuple[Filled, ...] = ()
    answerable: bool = True
    attack: bool = False
    canary: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that is not a sample: its number, counted from 1, and what is wrong with it."""

    line: int
    reason: str


_SAMPLE = TypeAdapter(Sample)


def read_samples(path: Path) -> tuple[list[Sample], list[LineError]]:
    """Read a UTF-8 dataset, with or without a byte order mark; OSError if the file cannot be read."""
    return parse_samples(path.read_bytes())


def parse_samples(content: bytes) -> tuple[list[Sample], list[LineError]]:
    """The samples of JSON Lines, and what is wrong with the lines that are none.

    Blank lines are skipped and unknown fields ignored. Of two samples with one id, the first is kept.
    """
    samples: dict[str, Sample] = {}
    errors: list[LineError] = []
    for number, line in enumerate(content.removeprefix(UTF8_BOM).splitlines(), 1):
        if not line.strip():
            continue
        try:
            sample = _SAMPLE.validate_json(line, strict=True)
        except ValidationError as error:
            errors.append(LineError(number, _reason(error)))
            continue
        if sample.id in samples:
            errors.append(LineError(number, f"id {sample.id!r} is already used by an earlier line"))
        else:
            samples[sample.id] = sample
    return list(samples.values()), errors


def _reason(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join(filter(None, (".".join(map(str, d["loc"])), d["msg"]))) for d in details)
