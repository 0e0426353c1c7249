"""What a file really is: by its content first, by its name and declared type where content cannot tell."""

import re
import zipfile
from enum import StrEnum
from io import BytesIO
from pathlib import PurePath
from typing import Any

import filetype

from ingestion.formats.text import decode
from ingestion.types import IngestionError


class Format(StrEnum):
    """The formats that can be parsed, by the name a person knows them by."""

    PDF = "PDF"
    DOCX = "DOCX"
    HTML = "HTML"
    MARKDOWN = "Markdown"
    TEXT = "plain text"


_BY_EXTENSION = {
    **{".pdf": Format.PDF, ".docx": Format.DOCX, ".txt": Format.TEXT, ".text": Format.TEXT},
    **{".html": Format.HTML, ".htm": Format.HTML, ".xhtml": Format.HTML},
    **{".md": Format.MARKDOWN, ".markdown": Format.MARKDOWN, ".mdown": Format.MARKDOWN},
}
_BY_MEDIA_TYPE = {
    "application/pdf": Format.PDF,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": Format.DOCX,
    "text/html": Format.HTML,
    "application/xhtml+xml": Format.HTML,
    "text/markdown": Format.MARKDOWN,
    "text/x-markdown": Format.MARKDOWN,
    "text/plain": Format.TEXT,
}
_BINARY = (Format.PDF, Format.DOCX)
_SUPPORTED = "PDF, DOCX, HTML, Markdown and plain text files can be used."
# Readers accept a PDF that begins a little later, after a mail header for instance.
_PDF_REACH = 1024
_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
# Atomic groups: without them a row of comments takes exponential time.
_HTML_START = re.compile(
    r"\s*+(?><\?xml[^>]*>\s*)?(?>(?:<!--.*?-->\s*)*)<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_HTML_REACH = 4096
_CONTENT_TYPES = 1024 * 1024
_ZIP_KINDS = {
    "xl/": "an Excel workbook",
    "ppt/": "a PowerPoint presentation",
    "word/": "a Word template or macro document",
    "META-INF/container.xml": "an EPUB book",
    "content.xml": "an OpenDocument file",
}
_TEXT_KINDS = {"{\\rtf": "an RTF document", "%!PS": "a PostScript file"}


def detect(data: bytes, filename: str | None, media_type: str | None) -> Format:
    """The format to parse `data` (not empty) as.

    A name that says something else than the content is refused: what was meant cannot be told. A declared type that
    does is only a sloppy client, and the content decides.
    Raises IngestionError: "unsupported_type", "mislabelled" (called one thing, is another), "password", "damaged".
    """
    found = _recognised(data, _declared(filename, media_type))
    named = _BY_EXTENSION.get(_extension(filename))
    if found in _BINARY and named not in (None, found):
        raise _refusal(f"a {found} file", named)
    return found


def _recognised(data: bytes, declared: Format | None) -> Format:
    if data.startswith(b"%PDF-") or (b"%PDF-" in data[:_PDF_REACH] and b"endobj" in data):
        return Format.PDF
    if data.startswith(b"PK\x03\x04"):
        return _detect_zip(data, declared)
    if data.startswith(_OLE_MAGIC):
        raise _ole_error(data, declared)
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
    for start, name in _TEXT_KINDS.items():
        if text.startswith(start):
            raise _refusal(name, declared)
    if declared in _BINARY:
        raise _refusal("plain text", declared) if text.strip() else IngestionError("empty", "The file is empty.")
    return Format.HTML if _HTML_START.match(text[:_HTML_REACH]) else declared or Format.TEXT


def _detect_zip(data: bytes, declared: Format | None) -> Format:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            if _is_word(archive, names):
                return Format.DOCX
    except (zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        if declared is Format.DOCX:
            raise _damaged(declared) from error
        names = []
    kind = next(
        (kind for start, kind in _ZIP_KINDS.items() if any(n.startswith(start) for n in names)), "a ZIP archive"
    )
    raise _refusal(kind, declared)


def _is_word(archive: zipfile.ZipFile, names: list[str]) -> bool:
    if "word/document.xml" not in names or "[Content_Types].xml" not in names:
        return False
    with archive.open("[Content_Types].xml") as member:
        return b"wordprocessingml.document.main+xml" in member.read(_CONTENT_TYPES)


def _ole_error(data: bytes, declared: Format | None) -> IngestionError:
    """Office keeps a file with a password, and every file before 2007, in an OLE container."""
    if _ENCRYPTED_PACKAGE in data:
        return IngestionError("password", "The Word document is protected by a password.")
    return _refusal("an old Office document (save it as DOCX)", declared)


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
    return f"{'an' if name[0] in 'AEFHILMNORSX' else 'a'} {name} {noun}"


def _damaged(declared: Format | None) -> IngestionError:
    return IngestionError("damaged", f"The file is damaged and cannot be opened as {declared}.")


def _refusal(kind: str, declared: Format | None) -> IngestionError:
    if declared is None:
        return IngestionError("unsupported_type", f"The file is {kind}. Only {_SUPPORTED}")
    return IngestionError("mislabelled", f"The file is called {declared} but it is {kind}.")
