"""Excel workbooks by openpyxl, row by row: a section a sheet, cells as Excel shows them."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import Any

from openpyxl import Workbook, load_workbook

from ingestion.formats.cells import shown
from ingestion.formats.packages import damaged, open_package
from ingestion.formats.rows import Row, sheet_lines
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_KIND = "XLSX"
_MAX_ROWS = 1_048_576
# A formula without the result that Excel stores with it, as programs write it that do not calculate.
_UNCALCULATED = re.compile(rb"</f>\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_BLOCK = 1024 * 1024
_OVERLAP = 64


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by sheet; hidden sheets are left out, which a reader of the file does not see.

    Raises IngestionError: "damaged", "password", "too_complex" (unpacks to too much), "too_long", "empty".
    """
    archive = open_package(data, "Excel workbook", _KIND)
    builder = SectionBuilder(limits)
    try:
        with warnings.catch_warnings():
            # Of styles and extensions that it does not know; what they hold is not text.
            warnings.simplefilter("ignore")
            with closing(load_workbook(BytesIO(data), read_only=True, data_only=True)) as workbook:
                _add_sheets(builder, workbook)
        if _has_uncalculated(archive):
            builder.warn("Some formulas have no stored result: open the workbook in Excel and save it once.")
    except (MemoryError, RecursionError, IngestionError):
        raise
    except Exception as error:
        # openpyxl raises a dozen types for as many ways in which a file can be broken.
        raise damaged(_KIND) from error
    return builder.build(title=workbook.properties.title, pages=0)


def _add_sheets(builder: SectionBuilder, workbook: Workbook) -> None:
    for sheet in workbook.worksheets:
        if sheet.sheet_state != "visible":
            builder.warn(f"The hidden sheet “{sheet.title}” was left out.")
            continue
        lines = sheet_lines(_rows(sheet))
        first = next(lines, None)
        if first is not None:
            builder.heading(1, sheet.title)
            builder.block(first, tight=True)
        for line in lines:
            builder.block(line, tight=True)


def _rows(sheet: Any) -> Iterator[Row]:
    # What the file says of its own extent may be wrong, and is padded to.
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows()):
        if number >= _MAX_ROWS:
            raise IngestionError("too_complex", "The Excel workbook has more rows than Excel allows.")
        yield [_text(cell) for cell in row]


def _text(cell: Any) -> str:
    if cell.value is None or cell.data_type == "e":
        return ""
    return shown(cell.value, cell.number_format) if cell.data_type == "n" else shown(cell.value)


def _has_uncalculated(archive: zipfile.ZipFile) -> bool:
    sheets = (name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml"))
    return any(_found_in(archive, name) for name in sheets)


def _found_in(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as member:
        tail = b""
        while block := member.read(_BLOCK):
            if _UNCALCULATED.search(tail + block):
                return True
            tail = block[-_OVERLAP:]
    return False
