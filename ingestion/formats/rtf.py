"""Rich Text by striprtf: its text without markup, cells of tables with "|" between them."""

import re

from striprtf.striprtf import rtf_to_text

from ingestion.charsets import web_charset
from ingestion.formats.packages import damaged
from ingestion.formats.rows import table_lines
from ingestion.sections import SectionBuilder
from ingestion.types import Limits, ParsedDocument

_TITLE = re.compile(r"\{\\title\s+([^{}\\]{1,300})\}")
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
_CODE_PAGE_REACH = 1024
_TITLE_REACH = 64 * 1024
_ROW = re.compile(r"(?:[^\n]*\|\n)+")


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """The text as one section; raises IngestionError: "damaged", "too_long", "empty"."""
    source = data.decode(_code_page(data), errors="replace")
    try:
        text = rtf_to_text(source, errors="replace")
    except (ValueError, TypeError, LookupError) as error:
        raise damaged("RTF") from error
    builder = SectionBuilder(limits)
    builder.block(_ROW.sub(_table, text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")))
    title = _TITLE.search(source[:_TITLE_REACH])
    return builder.build(title=title[1] if title else None, pages=0)


def _code_page(data: bytes) -> str:
    """Characters beyond ASCII are spelled out in this format; some writers put them in as they are, in a code page."""
    told = _CODE_PAGE.search(data[:_CODE_PAGE_REACH])
    return (web_charset(f"cp{told[1].decode()}") if told else None) or "cp1252"


def _table(found: re.Match[str]) -> str:
    rows = [[" ".join(cell.split()) for cell in line.split("|")[:-1]] for line in found[0].splitlines()]
    return "\n".join(table_lines(rows, headed=False)) + "\n"
