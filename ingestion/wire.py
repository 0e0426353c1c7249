"""The messages between the parser and its child process: a length, JSON, and the bytes of files.

JSON only, checked field by field: the child works on hostile files, so what it says is not trusted either.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingestion.types import Extracted, IngestionError, PageLinks, ParsedDocument, Section

LENGTH = struct.Struct(">Q")
_MAX_WORDS = 500
_MAX_WARNINGS = 100
_LANGUAGE = re.compile("[a-z]{2,3}")


class WireError(Exception):
    """The other side did not keep to the protocol."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the child made of one file, and the memory it holds now (MiB resident)."""

    outcome: ParsedDocument | Extracted | PageLinks | IngestionError
    resident_mib: int


def pack(message: dict[str, Any]) -> bytes:
    """`message` as JSON behind its length in 8 bytes, big-endian."""
    payload = _json(message)
    return LENGTH.pack(len(payload)) + payload


def pack_reply(reply: Reply) -> bytes:
    """A reply as bytes, length first."""
    files: tuple[tuple[str, bytes], ...] = ()
    match reply.outcome:
        case IngestionError() as error:
            body: dict[str, Any] = {"code": error.code, "words": str(error)}
        case Extracted(files, left_out, following):
            body = {"files": [[name, len(content)] for name, content in files]}
            body |= {"left_out": left_out, "following": following}
        case PageLinks() as found:
            body = {"links": [found.links, found.canonical, found.noindex, found.nofollow, found.sitemaps, found.cut]}
        case document:
            sections = [
                [section.text, section.heading, section.page, section.question] for section in document.sections
            ]
            body = {"title": document.title, "pages": document.pages, "sections": sections}
            body |= {"warnings": document.warnings, "language": document.language, "pictures": document.pictures}
    head = _json({**body, "resident_mib": reply.resident_mib})
    # JSON has no line break of its own.
    parts = (head, *((b"\n", *(content for _, content in files)) if files else ()))
    return b"".join((LENGTH.pack(sum(map(len, parts))), *parts))


def read_reply(payload: bytes) -> Reply:
    """The reply in `payload` (without its length); raises WireError when it is not one."""
    head, _, content = payload.partition(b"\n")
    try:
        match json.loads(head):
            case {"code": str(code), "words": str(words), "resident_mib": int(resident)}:
                return Reply(IngestionError(code, words[:_MAX_WORDS]), resident)
            case {"links": list(links), "resident_mib": int(resident)}:
                return Reply(_links(links), resident)
            case {
                "files": list(files),
                "left_out": list(left_out),
                "following": int() | None as following,
                "resident_mib": int(n),
            }:
                return Reply(Extracted(tuple(_files(files, content)), tuple(map(_words, left_out)), following), n)
            case {
                "title": str() | None as title,
                "pages": int(pages),
                "sections": list(sections),
                "warnings": list(warnings),
                "language": str() | None as language,
                "pictures": list(pictures),
                "resident_mib": int(n),
            }:
                document = ParsedDocument(
                    title,
                    pages,
                    tuple(map(_section, sections)),
                    tuple(map(_words, warnings[:_MAX_WARNINGS])),
                    _language(language),
                    tuple(page for page in pictures if isinstance(page, int)),
                )
                return Reply(document, n)
    except ValueError as error:
        raise WireError from error
    raise WireError


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode(errors="replace")


def _files(values: list[object], content: bytes) -> Iterator[tuple[str, bytes]]:
    start = 0
    for value in values:
        match value:
            case [str(name), int(size)] if 0 <= size <= len(content) - start:
                yield name, content[start : start + size]
                start += size
            case _:
                raise WireError


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise WireError
    return value[:_MAX_WORDS]


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


def _links(value: list[object]) -> PageLinks:
    match value:
        case [list(links), str() | None as canonical, bool(noindex), bool(nofollow), list(sitemaps), bool(cut)] if all(
            isinstance(one, str) for one in (*links, *sitemaps)
        ):
            return PageLinks(tuple(links), canonical, noindex, nofollow, tuple(sitemaps), cut)
    raise WireError
