"""The messages between the parser and its child process: a length, JSON, and for a request the file's bytes.

JSON only, checked field by field: the child works on hostile files, so what it says is not trusted either.
"""

import json
import re
import struct
from dataclasses import dataclass
from typing import Any

from ingestion.types import IngestionError, ParsedDocument, Section

LENGTH = struct.Struct(">Q")
_MAX_WORDS = 500
_MAX_WARNINGS = 100
_LANGUAGE = re.compile("[a-z]{2,3}")


class WireError(Exception):
    """The other side did not keep to the protocol."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the child made of one file, and the memory it holds now (MiB resident)."""

    outcome: ParsedDocument | IngestionError
    resident_mib: int


def pack(message: dict[str, Any]) -> bytes:
    """`message` as JSON behind its length in 8 bytes, big-endian."""
    payload = json.dumps(message, ensure_ascii=False).encode(errors="replace")
    return LENGTH.pack(len(payload)) + payload


def pack_reply(reply: Reply) -> bytes:
    """A reply as bytes, length first."""
    match reply.outcome:
        case IngestionError() as error:
            body: dict[str, Any] = {"code": error.code, "words": str(error)}
        case document:
            sections = [
                [section.text, section.heading, section.page, section.question] for section in document.sections
            ]
            body = {"title": document.title, "pages": document.pages, "sections": sections}
            body |= {"warnings": document.warnings, "language": document.language}
    return pack({**body, "resident_mib": reply.resident_mib})


def read_reply(payload: bytes) -> Reply:
    """The reply in `payload` (without its length); raises WireError when it is not one."""
    try:
        match json.loads(payload):
            case {"code": str(code), "words": str(words), "resident_mib": int(resident)}:
                return Reply(IngestionError(code, words[:_MAX_WORDS]), resident)
            case {
                "title": str() | None as title,
                "pages": int(pages),
                "sections": list(sections),
                "warnings": list(warnings),
                "language": str() | None as language,
                "resident_mib": int(n),
            }:
                found = tuple(map(_section, sections))
                return Reply(ParsedDocument(title, pages, found, _warnings(warnings), _language(language)), n)
    except ValueError as error:
        raise WireError from error
    raise WireError


def _warnings(values: list[object]) -> tuple[str, ...]:
    return tuple(value[:_MAX_WORDS] for value in values[:_MAX_WARNINGS] if isinstance(value, str))


def _language(value: str | None) -> str | None:
    """A code of a language without its region: it is kept in clear, so nothing else may come in this way."""
    code = (value or "").partition("-")[0].strip().lower()
    return code if _LANGUAGE.fullmatch(code) else None


def _section(value: object) -> Section:
    match value:
        case [str(text), list(heading), int() | None as page, str() | None as question] if all(
            isinstance(part, str) for part in heading
        ):
            return Section(text, tuple(map(str, heading)), page, question)
    raise WireError
