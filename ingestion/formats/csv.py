"""Tables as text: comma, semicolon, tab or bar between the cells, found by trying."""

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import islice

from ingestion.formats.rows import Row, sheet_lines
from ingestion.formats.text import decode
from ingestion.sections import SectionBuilder
from ingestion.types import Limits, ParsedDocument

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 100
_SAMPLE = 64 * 1024
# A quotation mark that is never closed would make one cell of all that follows.
_MAX_CELL = 100_000


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """The rows as one section; raises IngestionError ("empty", "too_long")."""
    text = (decode(data) or "").replace("\r\n", "\n").replace("\r", "\n")
    told, text = _told_delimiter(text)
    builder = SectionBuilder(limits)
    for line in sheet_lines(_rows(text, told or _likeliest_delimiter(text[:_SAMPLE]))):
        builder.block(line, tight=True)
    return builder.build(title=None, pages=0)


def _told_delimiter(text: str) -> tuple[str | None, str]:
    """What Excel's first line "sep=;" says, and the text below it."""
    if text[:4].lower() == "sep=" and text[5:6] == "\n":
        return text[4], text[6:]
    return None, text


def _likeliest_delimiter(sample: str) -> str:
    """The one that cuts most of the first rows into the same number of cells, and into most."""
    return max(_DELIMITERS, key=lambda delimiter: _evenness(sample, delimiter))


def _evenness(sample: str, delimiter: str) -> tuple[float, int]:
    widths = Counter(len(row) for row in islice(_rows(sample, delimiter), _SAMPLE_ROWS) if row)
    # A sample that was cut ends within a row.
    (width, count) = widths.most_common(1)[0] if widths else (1, 1)
    return (count / widths.total() if width > 1 else 0.0, width)


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_MAX_CELL)
    try:
        yield from list(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        # Then quotation marks are a part of the text here.
        for line in text.split("\n"):
            yield [cell.strip('"') for cell in line.split(delimiter)]
