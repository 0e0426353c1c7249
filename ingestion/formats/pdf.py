"""PDF by pypdfium2: text page by page, headings from the document's outline."""

import re
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from itertools import islice

import pypdfium2

from ingestion.clean import clean_line, clean_title
from ingestion.formats.lines import flow
from ingestion.formats.pictures import shows_picture
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_PASSWORD, _SECURITY = pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY
_EMPTY = "The PDF holds no text."
_DAMAGED = "The PDF is damaged and cannot be opened."
_MAX_OUTLINE = 10_000
_MAX_HEADING_LINES = 3
_NUMBERING = re.compile(r"^\d+(\.\d+)*\.?\s+")
# pdfium writes a hyphen at a line's end as U+FFFE or U+0002 when the word goes on in the next line.
_SPLIT_WORD = re.compile("[\ufffe\x02]\\s*")
_NO_TITLE = re.compile(r"\s*(microsoft word - |untitled|document\d*\s*$)", re.IGNORECASE)


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by page and outline heading, and the numbers of pages that are pictures.

    Raises IngestionError: "password", "damaged", "too_many_pages", "too_long", "empty".
    """
    document = _open(data)
    pages = len(document)
    if pages > limits.max_pages:
        raise IngestionError("too_many_pages", f"The PDF has {pages} pages; at most {limits.max_pages} are allowed.")
    outline = _outline(document)
    builder = SectionBuilder(limits)
    pictures = []
    for number in range(pages):
        builder.page(number + 1)
        lines, is_picture = _page_lines(document, number)
        _add_page(builder, lines, outline[number])
        pictures += [number + 1] * is_picture
    title = document.get_metadata_value("Title")
    title = None if _NO_TITLE.match(title) else title
    if pictures and not builder.sections():
        return ParsedDocument(clean_title(title), pages, (), pictures=tuple(pictures))
    return replace(builder.build(title=title, pages=pages, empty=_EMPTY), pictures=tuple(pictures))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (_PASSWORD, _SECURITY):
            raise IngestionError("password", "The PDF is protected by a password.") from error
        raise IngestionError("damaged", _DAMAGED) from error
    if not len(document):
        raise IngestionError("damaged", _DAMAGED)
    return document


def _outline(document: pypdfium2.PdfDocument) -> defaultdict[int, list[tuple[int, str]]]:
    """Headings as (level from 1, text) by page index; an outline that cannot be read is none."""
    headings: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    try:
        for mark in islice(document.get_toc(), _MAX_OUTLINE):
            destination = mark.get_dest()
            if destination is not None and (title := clean_line(mark.get_title())):
                headings[destination.get_index()].append((mark.level + 1, title))
    except pypdfium2.PdfiumError:
        headings.clear()
    return headings


def _page_lines(document: pypdfium2.PdfDocument, number: int) -> tuple[list[str], bool]:
    """A page's lines, and whether it is a picture without any."""
    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as textpage:
            text = textpage.get_text_bounded()
            is_picture = not text.strip() and shows_picture(page)
    except pypdfium2.PdfiumError as error:
        raise IngestionError("damaged", f"Page {number + 1} of the PDF is damaged and cannot be read.") from error
    return _SPLIT_WORD.sub("", text.replace("\r\n", "\n")).replace("\r", "\n").split("\n"), is_picture


def _add_page(builder: SectionBuilder, lines: list[str], headings: list[tuple[int, str]]) -> None:
    """Cut the page at its headings' lines; a heading that is not found as a line opens where the last one did."""
    plain = [_plain(line) for line in lines]
    start = 0
    for level, title in headings:
        begin, end = _find(_plain(title), plain, start) or (start, start)
        builder.block(flow(lines[start:begin]))
        builder.heading(level, title)
        start = end
    builder.block(flow(lines[start:]))


def _find(title: str, lines: list[str], start: int) -> tuple[int, int] | None:
    """The first run of up to three lines from `start` on that reads `title`, as (begin, end)."""
    for begin in range(start, len(lines)):
        for end in range(begin + 1, min(begin + 1 + _MAX_HEADING_LINES, len(lines) + 1)):
            if " ".join(lines[begin:end]) == title:
                return begin, end
    return None


def _plain(text: str) -> str:
    """A line as it is compared: outlines differ from the page in case, spacing and numbering."""
    return _NUMBERING.sub("", " ".join(text.split())).casefold()
