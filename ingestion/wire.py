"""The messages between the parser and its child process: a length, JSON, and for a request the file's bytes.

JSON only, checked field by field: the child works on hostile files, so what it says is not trusted either.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any

from ingestion.types import IngestionError, ParsedDocument, Section

LENGTH = struct.Struct(">Q")
_MAX_WORDS = 500
_MAX_WARNINGS = 100


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
            sections = [[section.text, section.heading, section.page] for section in document.sections]
            body = {"title": document.title, "pages": document.pages, "sections": sections}
            body["warnings"] = document.warnings
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
                "resident_mib": int(n),
            }:
                return Reply(ParsedDocument(title, pages, tuple(map(_section, sections)), _warnings(warnings)), n)
    except ValueError as error:
        raise WireError from error
    raise WireError


def _warnings(values: list[object]) -> tuple[str, ...]:
    return tuple(value[:_MAX_WORDS] for value in values[:_MAX_WARNINGS] if isinstance(value, str))


def _section(value: object) -> Section:
    match value:
        case [str(text), list(heading), int() | None as page] if all(isinstance(part, str) for part in heading):
            return Section(text, tuple(map(str, heading)), page)
    raise WireError
