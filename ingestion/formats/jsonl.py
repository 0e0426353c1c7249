"""Questions with their answers, a pair a line: {"question", "answer"} as JSON, or {"questions": [...], "answer"}."""

import json
from typing import Any

from ingestion.formats.text import decode
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_FIELDS = frozenset(("question", "questions", "answer", "language"))


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """A section a pair, under its question. A line that is no pair fails the file: no answer is lost unseen.

    Raises IngestionError: "malformed" (naming the line), "too_long", "empty".
    """
    builder = SectionBuilder(limits)
    languages: set[str | None] = set()
    # Not splitlines: JSON allows the other ends of lines within its strings.
    for number, line in enumerate((decode(data) or "").split("\n"), 1):
        if line.strip():
            questions, answer, language = _pair(line, number)
            builder.pair(questions, answer)
            languages.add(language)
    language = languages.pop() if len(languages) == 1 else None
    return builder.build(title=None, pages=0, language=language)


def is_pair(line: str) -> bool:
    """Whether a text that begins with this line is such a file, whatever it is called."""
    try:
        return line.lstrip().startswith("{") and bool(_pair(line, 1))
    except (IngestionError, RecursionError):
        return False


def _pair(line: str, number: int) -> tuple[list[str], str, str | None]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise _malformed(number, "is not JSON") from error
    if not isinstance(value, dict):
        raise _malformed(number, "is not an object")
    if unknown := sorted(value.keys() - _FIELDS):
        raise _malformed(number, f"has a field “{unknown[0][:50]}” that is not known")
    questions, answer, language = _questions(value), value.get("answer"), value.get("language")
    if not questions:
        raise _malformed(number, "has no “question”, or “questions” that are a list of texts")
    if not isinstance(answer, str) or not answer.strip():
        raise _malformed(number, "has no “answer”")
    if language is not None and not isinstance(language, str):
        raise _malformed(number, "has a “language” that is not a text")
    return questions, answer, language


def _questions(value: dict[str, Any]) -> list[str]:
    """All ways in which the question is asked; none if one of them is not a text."""
    asked, others = value.get("question"), value.get("questions", [])
    found = [*([asked] if "question" in value else []), *(others if isinstance(others, list) else [None])]
    return found if all(isinstance(question, str) and question.strip() for question in found) else []


def _malformed(number: int, words: str) -> IngestionError:
    return IngestionError("malformed", f"Line {number} {words}; each line is one question with its answer.")
