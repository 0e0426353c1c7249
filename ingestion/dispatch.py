"""From a file to the module that reads its format."""

import importlib

from ingestion.detect import Format, detect
from ingestion.types import IngestionError, Limits, ParsedDocument

_MODULES = {
    Format.PDF: "pdf",
    Format.DOCX: "docx",
    Format.XLSX: "xlsx",
    Format.PPTX: "pptx",
    Format.ODT: "odt",
    Format.EPUB: "epub",
    Format.RTF: "rtf",
    Format.EML: "eml",
    Format.HTML: "html",
    Format.MARKDOWN: "markdown",
    Format.CSV: "csv",
    Format.JSONL: "jsonl",
    Format.TEXT: "text",
}


def read(data: bytes, filename: str | None, media_type: str | None, limits: Limits, depth: int = 0) -> ParsedDocument:
    """The document in `data`, which lies `depth` mails deep; raises IngestionError, and what else a parser raises.

    Only the module of the format at hand is loaded: DOCX alone costs seconds and hundreds of MiB.
    """
    if not data:
        raise IngestionError("empty", "The file is empty.")
    found = detect(data, filename, media_type)
    if found is Format.ZIP:
        raise IngestionError("archive", "The file is a ZIP archive of several documents.")
    module = importlib.import_module(f"ingestion.formats.{_MODULES[found]}")
    document: ParsedDocument = module.parse(data, limits, depth) if found is Format.EML else module.parse(data, limits)
    return document
