"""Mails: what was written, under the subject, and the attached files that can be read (RFC 5322, 2045 to 2049)."""

import email
from email.header import decode_header
from email.message import Message

from ingestion.charsets import in_utf8
from ingestion.clean import clean_line
from ingestion.dispatch import read
from ingestion.formats.html import read_html
from ingestion.formats.packages import damaged
from ingestion.formats.text import decode
from ingestion.formats.tree import add_tree
from ingestion.mail_parts import HEADER_ERRORS, is_attachment, leaves, raw_file_name
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_DEEPEST = 3
# A signature made by a program is no content.
_SIGNATURES = ("smime.p7s", "signature.asc")
_NO_SUBJECT = "Mail without a subject"


def parse(data: bytes, limits: Limits, depth: int = 0) -> ParsedDocument:
    """The mail as a section and its attachments as sections of their own, the mails in it to a depth of 3.

    Of the headers only the subject is kept: names and addresses of people are nothing to answer from.
    Raises IngestionError: "damaged", "too_long", "empty".
    """
    try:
        message = email.message_from_bytes(data)
        subject = clean_line(_decoded(message.get("Subject"))) or _NO_SUBJECT
        parts = list(leaves(message))
    except HEADER_ERRORS as error:
        raise damaged("EML") from error
    builder = SectionBuilder(limits)
    builder.heading(1, subject)
    _add_body(builder, [part for part in parts if not is_attachment(part)], subject)
    for number, part in enumerate((part for part in parts if is_attachment(part)), 1):
        _add_attachment(builder, part, _name(part) or f"Attachment {number}", depth)
    return builder.build(title=subject, pages=0)


def _add_body(builder: SectionBuilder, parts: list[Message], subject: str) -> None:
    """All plain text, or else all HTML: alternatives are two forms of one."""
    plain = [text for part in parts if part.get_content_type() == "text/plain" and (text := _text(part)).strip()]
    for text in plain:
        builder.block(text)
    for part in parts if not plain else ():
        if part.get_content_type() == "text/html":
            _add_page(builder, _text(part), subject)


def _add_page(builder: SectionBuilder, markup: str, subject: str) -> None:
    page = SectionBuilder(builder.limits)
    try:
        add_tree(read_html(markup), page)
        builder.include(page.build(title=None, pages=0), subject)
    except IngestionError as error:
        if error.code != "empty":
            raise


def _add_attachment(builder: SectionBuilder, part: Message, name: str, depth: int) -> None:
    if part.get_content_maintype() in ("image", "audio", "video") or name.endswith(_SIGNATURES):
        return
    try:
        if depth >= _DEEPEST:
            raise IngestionError("too_complex", "Mails are nested too deeply.")
        builder.include(read(_content(part), name, part.get_content_type(), builder.limits, depth + 1), name)
    except (MemoryError, RecursionError):
        raise
    except IngestionError as error:
        if error.code == "too_long":
            raise
        builder.warn(f"The attachment “{name}” was left out: {error}")
    except Exception:
        builder.warn(f"The attachment “{name}” was left out: it is damaged.")


def _content(part: Message) -> bytes:
    inner = _inner(part)
    if inner is not None:
        return inner.as_bytes()
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _inner(part: Message) -> Message | None:
    """The mail that a part is."""
    payload = part.get_payload()
    first = payload[0] if isinstance(payload, list) and payload else None
    return first if isinstance(first, Message) else None


def _text(part: Message) -> str:
    return decode(in_utf8(_content(part), _charset(part))) or ""


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except HEADER_ERRORS:
        return None


def _name(part: Message) -> str:
    name, inner = raw_file_name(part), _inner(part)
    try:
        if not name and inner is not None:
            name = f"{_decoded(inner.get('Subject')) or _NO_SUBJECT}.eml"
        return clean_line(_decoded(name))
    except HEADER_ERRORS:
        return ""


def _decoded(value: object) -> str:
    """A header's text (RFC 2047); words in a character set that cannot be used are left as they stand."""
    raw = str(value or "")
    try:
        words = decode_header(raw)
    except HEADER_ERRORS:
        return raw
    return "".join(word if isinstance(word, str) else _in_charset(word, charset) for word, charset in words)


def _in_charset(word: bytes, charset: str | None) -> str:
    return decode(in_utf8(word, charset)) or "" if word else ""
