"""What a file really is: by its content first, by its name and declared type where content cannot tell."""

import re
import zipfile
import zlib
from enum import StrEnum
from io import BytesIO
from pathlib import PurePath
from typing import Any

import filetype

from ingestion.formats.jsonl import is_pair
from ingestion.formats.text import decode
from ingestion.types import IngestionError


class Format(StrEnum):
    """The formats that can be parsed, by the name a person knows them by."""

    PDF = "PDF"
    DOCX = "DOCX"
    XLSX = "XLSX"
    PPTX = "PPTX"
    ODT = "ODT"
    EPUB = "EPUB"
    RTF = "RTF"
    EML = "EML"
    HTML = "HTML"
    MARKDOWN = "Markdown"
    CSV = "CSV"
    JSONL = "JSON Lines"
    ZIP = "ZIP"
    TEXT = "plain text"


_BY_EXTENSION = {
    **{".pdf": Format.PDF, ".docx": Format.DOCX, ".xlsx": Format.XLSX, ".pptx": Format.PPTX, ".odt": Format.ODT},
    **{".epub": Format.EPUB, ".rtf": Format.RTF, ".eml": Format.EML, ".csv": Format.CSV, ".tsv": Format.CSV},
    **{
        ".zip": Format.ZIP,
        ".jsonl": Format.JSONL,
        ".ndjson": Format.JSONL,
        ".tab": Format.CSV,
        ".txt": Format.TEXT,
        ".text": Format.TEXT,
    },
    **{".html": Format.HTML, ".htm": Format.HTML, ".xhtml": Format.HTML},
    **{".md": Format.MARKDOWN, ".markdown": Format.MARKDOWN, ".mdown": Format.MARKDOWN},
}
_BY_MEDIA_TYPE = {
    "application/pdf": Format.PDF,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": Format.DOCX,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Format.XLSX,
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": Format.PPTX,
    "application/vnd.oasis.opendocument.text": Format.ODT,
    "application/epub+zip": Format.EPUB,
    "application/zip": Format.ZIP,
    "application/x-zip-compressed": Format.ZIP,
    "application/rtf": Format.RTF,
    "text/rtf": Format.RTF,
    "message/rfc822": Format.EML,
    "text/csv": Format.CSV,
    "application/jsonl": Format.JSONL,
    "application/x-ndjson": Format.JSONL,
    "text/tab-separated-values": Format.CSV,
    "text/html": Format.HTML,
    "application/xhtml+xml": Format.HTML,
    "text/markdown": Format.MARKDOWN,
    "text/x-markdown": Format.MARKDOWN,
    "text/plain": Format.TEXT,
}
_PACKAGES = (Format.DOCX, Format.XLSX, Format.PPTX, Format.ODT, Format.EPUB)
_BINARY = (Format.PDF, *_PACKAGES, Format.ZIP)
# A file of these says by itself that it is one; of the others only its name can tell.
_TELLING = (*_BINARY, Format.RTF, Format.EML)
_SUPPORTED = (
    "PDF, DOCX, XLSX, PPTX, ODT, RTF, EPUB, EML, HTML, Markdown, CSV, JSON Lines, plain text and ZIP files of these"
    " can be used."
)
# Readers accept a PDF that begins a little later, after a mail header for instance.
_PDF_REACH = 1024
_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
# Atomic groups: without them a row of comments takes exponential time.
_HTML_START = re.compile(
    r"\s*+(?><\?xml[^>]*>\s*)?(?>(?:<!--.*?-->\s*)*)<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_HTML_REACH = 4096
_MIMETYPE = 200
_MAX_PAIR = 100_000
_CONTENT_TYPES = 1024 * 1024
_OPENXML = {
    Format.DOCX: ("word/document.xml", b"wordprocessingml.document.main+xml"),
    Format.XLSX: ("xl/workbook.xml", b"spreadsheetml.sheet.main+xml"),
    Format.PPTX: ("ppt/presentation.xml", b"presentationml.presentation.main+xml"),
}
_ZIP_KINDS = {
    "xl/workbook.xml": "an Excel template or macro workbook",
    "ppt/presentation.xml": "a PowerPoint template, show or macro presentation",
    "word/document.xml": "a Word template or macro document",
}
_OFFICE_NAMES = {Format.DOCX: "Word document", Format.XLSX: "Excel workbook", Format.PPTX: "PowerPoint presentation"}
_POSTSCRIPT = "%!PS"
# A mail begins with headers, these among others, or with a line of an mbox.
_MAIL_HEADER = re.compile(rb"[!-9;-~]{1,70}:[ \t]|From \S+ ")
_MAIL_HEADERS = re.compile(
    rb"^(from|to|subject|date|message-id|mime-version|received|return-path|delivered-to):", re.IGNORECASE | re.MULTILINE
)
# Letters whose names, as abbreviations are read out, begin with a vowel.
_VOWEL_SOUNDS = "AEFHILMNORSX"
_MAIL_REACH = 16 * 1024
_MIN_HEADERS = 3


def is_readable(filename: str) -> bool:
    """Whether a file's name says that it is of a format that can be parsed."""
    return _extension(filename) in _BY_EXTENSION


def detect(data: bytes, filename: str | None, media_type: str | None) -> Format:
    """The format to parse `data` (not empty) as.

    A name that says something else than the content is refused: what was meant cannot be told. A declared type that
    does is only a sloppy client, and the content decides.
    Raises IngestionError: "unsupported_type", "mislabelled" (called one thing, is another), "password", "damaged".
    """
    found = _recognised(data, _declared(filename, media_type))
    named = _BY_EXTENSION.get(_extension(filename))
    if found in _TELLING and named not in (None, found):
        raise _refusal(f"{'an' if found[0] in _VOWEL_SOUNDS else 'a'} {found} file", named)
    return found


def _recognised(data: bytes, declared: Format | None) -> Format:
    if data.startswith(b"%PDF-") or (b"%PDF-" in data[:_PDF_REACH] and b"endobj" in data):
        return Format.PDF
    if data.startswith(b"PK\x03\x04"):
        return _detect_zip(data, declared)
    if data.startswith(_OLE_MAGIC):
        raise _ole_error(data, declared)
    if data.startswith(b"{\\rtf"):
        return Format.RTF
    if _is_mail(data, declared):
        return Format.EML
    text = None if _known_binary(data) else decode(data)
    if text is None:
        raise _binary_error(data, declared)
    return _detect_text(text, declared)


def _declared(filename: str | None, media_type: str | None) -> Format | None:
    essence = (media_type or "").partition(";")[0].strip().lower()
    return _BY_EXTENSION.get(_extension(filename)) or _BY_MEDIA_TYPE.get(essence)


def _extension(filename: str | None) -> str:
    return PurePath(filename or "").suffix.lower()


def _detect_text(text: str, declared: Format | None) -> Format:
    if text.startswith(_POSTSCRIPT):
        raise _refusal("a PostScript file", declared)
    if declared in _TELLING:
        raise _refusal("plain text", declared) if text.strip() else IngestionError("empty", "The file is empty.")
    if _HTML_START.match(text[:_HTML_REACH]):
        return Format.HTML
    if declared is None and is_pair(text.partition("\n")[0][:_MAX_PAIR]):
        return Format.JSONL
    return declared or Format.TEXT


def _is_mail(data: bytes, declared: Format | None) -> bool:
    """By the headers it begins with; text of another name may begin with "From:" and "To:" as well."""
    if declared not in (None, Format.EML) or not _MAIL_HEADER.match(data):
        return False
    head = re.split(rb"\r?\n\r?\n", data[:_MAIL_REACH], maxsplit=1)[0]
    found = {name.lower() for name in _MAIL_HEADERS.findall(head)}
    return len(found) >= (1 if declared is Format.EML else _MIN_HEADERS)


def _detect_zip(data: bytes, declared: Format | None) -> Format:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            found = _package(archive, names)
    except (zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError, EOFError, OSError, zlib.error) as error:
        raise _damaged(declared if declared in _PACKAGES else Format.ZIP) from error
    if found is not None:
        return found
    kind = _zip_kind(names)
    if kind is not None or declared not in (None, Format.ZIP):
        raise _refusal(kind or "a ZIP archive", declared)
    return Format.ZIP


def _package(archive: zipfile.ZipFile, names: list[str]) -> Format | None:
    told = _start(archive, "mimetype", _MIMETYPE).strip() if "mimetype" in names else b""
    if told == b"application/epub+zip" or "META-INF/container.xml" in names:
        return Format.EPUB
    if told == b"application/vnd.oasis.opendocument.text":
        return Format.ODT
    types = _start(archive, "[Content_Types].xml", _CONTENT_TYPES) if "[Content_Types].xml" in names else b""
    kinds = (kind for kind, (part, media_type) in _OPENXML.items() if part in names and media_type in types)
    return next(kinds, None)


def _start(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    with archive.open(name) as member:
        return member.read(size)


def _zip_kind(names: list[str]) -> str | None:
    """What an archive is of which nothing can be used; None for one that holds other files."""
    if {"mimetype", "content.xml"} <= {*names}:
        return "an OpenDocument file that is no text"
    return next((kind for part, kind in _ZIP_KINDS.items() if part in names), None)


def _ole_error(data: bytes, declared: Format | None) -> IngestionError:
    """Office keeps a file with a password, and every file before 2007, in an OLE container."""
    if _ENCRYPTED_PACKAGE in data:
        name = _OFFICE_NAMES.get(declared, "Office document") if declared else "Office document"
        return IngestionError("password", f"The {name} is protected by a password.")
    return _refusal("an old Office document (save it as DOCX, XLSX or PPTX)", declared)


def _known_binary(data: bytes) -> bool:
    """Whether data with bytes that text does not have carries the signature of some other type."""
    # Short signatures ("BM" for a bitmap) begin ordinary words too.
    return b"\x00" in data and filetype.guess(data) is not None


def _binary_error(data: bytes, declared: Format | None) -> IngestionError:
    kind = filetype.guess(data)
    if kind is not None:
        return _refusal(_name(kind), declared)
    return _damaged(declared) if declared in _BINARY else _refusal("binary data", declared)


def _name(kind: Any) -> str:
    """A filetype match in words: "a PNG image"."""
    family = kind.mime.partition("/")[0]
    noun = family if family in ("image", "video") else "sound" if family == "audio" else "file"
    name = kind.extension.upper()
    return f"{'an' if name[0] in _VOWEL_SOUNDS else 'a'} {name} {noun}"


def _damaged(declared: Format | None) -> IngestionError:
    return IngestionError("damaged", f"The file is damaged and cannot be opened as {declared}.")


def _refusal(kind: str, declared: Format | None) -> IngestionError:
    if declared is None:
        return IngestionError("unsupported_type", f"The file is {kind}. Only {_SUPPORTED}")
    return IngestionError("mislabelled", f"The file is called {declared} but it is {kind}.")
