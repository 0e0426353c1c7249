"""From a tree of elements (HTML, or what trafilatura makes of it) to sections."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml.etree import _Element

from ingestion.formats.rows import table_lines
from ingestion.sections import SectionBuilder

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "legend", "main"),
        *("nav", "ol", "p", "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
        # trafilatura's own
        *("list", "quote", "row", "cell"),
    )
)
_ITEMS = frozenset(("li", "item"))
_TABLES, _ROWS, _CELLS = frozenset(("table",)), frozenset(("tr", "row")), frozenset(("td", "th", "cell"))
_LINE_BREAKS = frozenset(("br", "lb"))
_NOT_IN_DATA = frozenset((*_HEADINGS, *_TABLES, "head"))
_MAX_URL = 500
# A heading that says no level (trafilatura's for <summary>) belongs below all that do.
_NO_LEVEL = 7


def add_tree(root: _Element, builder: SectionBuilder) -> None:
    """Add the text below `root` to `builder`: headings, paragraphs, list items, table rows, preformatted blocks.

    Links read "text (url)". Raises RecursionError on a tree nested deeper than the interpreter's stack.
    """
    writer = _Writer(builder)
    writer.visit(root)
    writer.end_block()


def table_rows(table: _Element, *, headed: bool = False) -> Iterator[str]:
    """The caption and the rows of a table, "a | b" or with the names of its columns; empty ones are left out."""
    if caption := _one_line(table.find("./caption")):
        yield caption
    rows = [[cell for cell in row if _tag(cell) in _CELLS] for row in table.iter() if row.tag in _ROWS]
    filled = [row for row in rows if any(_one_line(cell) for cell in row)]
    headed = headed or (len(filled) > 1 and all(map(_is_head, filled[0])) and not all(map(_is_head, filled[1])))
    yield from table_lines([[_one_line(cell) for cell in row] for row in filled], headed=headed)


def _is_head(cell: _Element) -> bool:
    return bool(cell.tag == "th" or cell.get("role") == "head")


class _Writer:
    """Walks the tree once, gathering inline text until a block ends."""

    def __init__(self, builder: SectionBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []
        self._bullet = ""
        self._depth = 0
        self._numbers: dict[_Element, int] = {}

    def visit(self, element: _Element) -> None:
        tag = _tag(element)
        if tag in _HEADINGS or tag == "head":
            self._heading(element, tag)
        elif tag in _TABLES and _is_data_table(element):
            self._verbatim("\n".join(table_rows(element)))
        elif tag == "pre" or (tag in ("code", "quote") and "\n" in "".join(element.itertext()) and not len(element)):
            self._verbatim("".join(element.itertext()))
        elif tag in _ITEMS:
            self._item(element)
        elif tag in _BLOCKS:
            self.end_block()
            self._children(element)
            self.end_block()
        else:
            self._inline.append("\n" if tag in _LINE_BREAKS else "")
            self._children(element)
            self._inline.append(_link_suffix(element, tag))

    def end_block(self) -> None:
        lines = (" ".join(line.split()) for line in "".join(self._inline).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._inline = []
        if text:
            self._builder.block(self._bullet + text, tight=self._depth > 0)
            self._bullet = ""

    def _children(self, element: _Element) -> None:
        self._inline.append(_spaced(element.text))
        for child in element:
            self.visit(child)
            self._inline.append(_spaced(child.tail))

    def _heading(self, element: _Element, tag: str) -> None:
        self.end_block()
        rend = element.get("rend") or ""
        level = _HEADINGS.get(tag) or _HEADINGS.get(rend, _NO_LEVEL)
        self._builder.heading(level, _text_of(element))

    def _verbatim(self, text: str) -> None:
        self.end_block()
        self._builder.block(text)

    def _item(self, element: _Element) -> None:
        self.end_block()
        self._bullet = "  " * self._depth + self._marker(element.getparent())
        self._depth += 1
        self._children(element)
        self.end_block()
        self._depth -= 1
        self._bullet = ""

    def _marker(self, parent: _Element | None) -> str:
        """A number in an ordered list, else a dash; none for the terms of a definition list."""
        kind = () if parent is None else (parent.tag, parent.get("rend"))
        if parent is None or "dl" in kind:
            return ""
        if "ol" not in kind:
            return "- "
        start = parent.get("start") or ""
        first = int(start) if re.fullmatch(r"\d{1,6}", start) else 1
        self._numbers[parent] = self._numbers.get(parent, first - 1) + 1
        return f"{self._numbers[parent]}. "


def _tag(element: _Element) -> str:
    # Comments and processing instructions have a function for a tag.
    return element.tag if isinstance(element.tag, str) else ""


def _text_of(element: _Element) -> str:
    """The text below `element` on one line, links included."""
    parts = [element.text or ""]
    for child in element:
        tag = _tag(child)
        gap = " " if tag in _BLOCKS or tag in _ITEMS or tag in _LINE_BREAKS else ""
        parts += (gap, _text_of(child), _link_suffix(child, tag), gap, child.tail or "")
    return "".join(parts) if _tag(element) else ""


def _spaced(text: str | None) -> str:
    return re.sub(r"\s", " ", text) if text else ""


def _one_line(element: _Element | None) -> str:
    return "" if element is None else " ".join(_text_of(element).split())


def _is_data_table(table: _Element) -> bool:
    """Whether it has rows of text; tables around headings or other tables are there for the page's layout."""
    return not any(found is not table and found.tag in _NOT_IN_DATA for found in table.iter())


def _link_suffix(element: _Element, tag: str) -> str:
    """What follows a link's text: its address in brackets if it can be opened and is not the text itself."""
    if tag not in ("a", "ref"):
        return ""
    url = (element.get("href") or element.get("target") or "").strip()
    shown = url.removeprefix("mailto:").removeprefix("tel:")
    opens = _scheme(url) in ("http", "https", "mailto", "tel") and len(url) <= _MAX_URL and not re.search(r"\s", url)
    return f" ({shown})" if opens and shown not in "".join(element.itertext()) else ""


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
