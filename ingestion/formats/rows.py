"""Rows of a table as lines of which each stands alone: "Header: value; Header: value"."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

# What a cell of data looks like, and no name of a column: it begins with a number, or is an address.
_VALUE = re.compile(r"\W*\d|\S+@\S+|\S+://")
_YEAR = re.compile(r"(19|20)\d\d")
_PEEK = 30
_MAX_LABEL = 80
_MIN_TABLE = 2
# Of fewer columns nobody can tell names over columns from names beside values ("Monday | closed").
_TELLING_COLUMNS = 3

Row = Sequence[str]


def sheet_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a sheet, whose first row names the columns unless it looks like data.

    Rows of a single cell above a table are its captions. After a blank row the names go on, unless others come. A row
    of cells without names reads "a | b".
    """
    head: Row = ()
    for block in _blocks([" ".join(cell.split()) for cell in row] for row in rows):
        start = list(islice(block, _PEEK))
        width = max(map(_width, start))
        while start and width >= _MIN_TABLE and _filled(start[0]) == 1:
            yield " ".join(start.pop(0)).strip()
        if start and width < _MIN_TABLE:
            head = ()
        elif start and _names_columns(start) and (not head or _over_values(start)):
            head = start.pop(0)
        yield from (labelled(row, head) for row in chain(start, block))


def table_lines(rows: Sequence[Row], *, headed: bool) -> Iterator[str]:
    """The lines of a table in a text: with the names of its columns if it is `headed` or plainly looks so.

    A row with fewer cells than names (some are merged) reads "a | b": which name is whose cannot be told.
    """
    rows = [row for row in rows if any(row)]
    width = len(rows[0]) if rows else 0
    looks_headed = width >= _TELLING_COLUMNS and _names_columns(rows) and _over_values(rows)
    if len(rows) > 1 and width >= _MIN_TABLE and all(rows[0]) and (headed or looks_headed):
        yield from (labelled(row, rows[0] if len(row) == width else ()) for row in rows[1:])
    else:
        yield from (labelled(row, ()) for row in rows)


def labelled(row: Row, head: Row) -> str:
    """One line; empty cells are left out, but without names they are shown between others."""
    if not any(head):
        return " | ".join(row).rstrip(" |")
    labels = [*(label[:_MAX_LABEL].rstrip(": ") for label in head), *[""] * (len(row) - len(head))]
    pairs = ((label, cell) for label, cell in zip(labels, row, strict=False) if cell)
    return "; ".join(f"{label}: {cell}" if label else cell for label, cell in pairs)


def _blocks(rows: Iterable[Row]) -> Iterator[Iterator[Row]]:
    """Runs of rows between blank ones; each is to be used up before the next is asked for."""
    source = iter(rows)
    for row in source:
        if any(row):
            yield chain([row], iter(lambda: _next_filled(source), None))


def _next_filled(source: Iterator[Row]) -> Row | None:
    row = next(source, None)
    return row if row is not None and any(row) else None


def _names_columns(rows: Sequence[Row]) -> bool:
    """Whether the first row could be names: distinct, none looks like data, and something is below them."""
    names = [cell.casefold() for cell in rows[0] if cell]
    distinct = len(set(names)) == len(names) >= _MIN_TABLE
    return distinct and len(rows) > 1 and not any(map(_is_value, names))


def _over_values(rows: Sequence[Row]) -> bool:
    """Whether some column has a word on top and only data below."""
    for column in range(_width(rows[0])):
        below = [row[column] for row in rows[1:] if column < len(row) and row[column]]
        if below and rows[0][column] and all(map(_is_value, below)):
            return True
    return False


def _is_value(cell: str) -> bool:
    return _VALUE.match(cell) is not None and not _YEAR.fullmatch(cell)


def _width(row: Row) -> int:
    return max((number for number, cell in enumerate(row, 1) if cell), default=0)


def _filled(row: Row) -> int:
    return sum(1 for cell in row if cell)
