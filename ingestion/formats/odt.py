"""OpenDocument texts: content.xml made into the tree that HTML is read from (OpenDocument 1.3 part 3)."""

import re
import zipfile

from lxml.etree import Element, SubElement, XMLSyntaxError, _Element

from ingestion.formats.packages import damaged, open_package, read_xml
from ingestion.formats.tree import add_tree
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_KIND = "ODT"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DEEPEST_HEADING = 6
_MOST_SPACES = 100
_MOST_COLUMNS = 50
# What is no text of the document for its reader: deleted text, comments, and lists that it makes of itself.
_UNREAD = frozenset(
    (
        *(f"{_TEXT}{name}" for name in ("tracked-changes", "table-of-content", "sequence-decls", "alphabetical-index")),
        *(f"{_OFFICE}annotation", f"{_OFFICE}forms", f"{_TABLE}covered-table-cell", f"{_TEXT}note-citation"),
        *(f"{_TEXT}{name}" for name in ("illustration-index", "table-index", "variable-decls", "user-field-decls")),
    )
)
_TAGS = {
    f"{_TEXT}p": "p",
    f"{_TEXT}list": "ul",
    f"{_TEXT}list-item": "li",
    f"{_TEXT}list-header": "li",
    f"{_TEXT}line-break": "br",
    f"{_TEXT}a": "a",
    f"{_TEXT}section": "div",
    f"{_TEXT}note-body": "div",
    f"{_DRAW}text-box": "div",
    f"{_TABLE}table": "table",
    f"{_TABLE}table-row": "tr",
    f"{_TABLE}table-cell": "td",
}


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by heading; raises IngestionError: "damaged", "password", "too_complex", "too_long", "empty"."""
    archive = open_package(data, "OpenDocument text", _KIND)
    try:
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise IngestionError("password", "The OpenDocument text is protected by a password.")
        content = read_xml(archive.read("content.xml")).find(f"{_OFFICE}body/{_OFFICE}text")
        if content is None:
            raise ValueError
        title = _title(archive)
    except (KeyError, ValueError, XMLSyntaxError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise damaged(_KIND) from error
    builder = SectionBuilder(limits)
    body = Element("body")
    _copy(content, body)
    add_tree(body, builder)
    return builder.build(title=title, pages=0)


def _title(archive: zipfile.ZipFile) -> str | None:
    if "meta.xml" not in archive.namelist():
        return None
    title: str | None = read_xml(archive.read("meta.xml")).findtext(".//{http://purl.org/dc/elements/1.1/}title")
    return title


def _copy(source: _Element, target: _Element) -> None:
    """Append to `target` what is in `source`, in the terms of HTML."""
    _append(target, source.text)
    for child in source:
        if child.tag not in _UNREAD:
            _copy_child(child, target)
        _append(target, child.tail)


def _copy_child(child: _Element, target: _Element) -> None:
    if child.tag == f"{_TEXT}h":
        _copy(child, SubElement(target, f"h{_count(child, f'{_TEXT}outline-level', _DEEPEST_HEADING)}"))
    elif child.tag == f"{_TEXT}s":
        _append(target, " " * _count(child, f"{_TEXT}c", _MOST_SPACES))
    elif child.tag == f"{_TEXT}tab":
        _append(target, " ")
    elif child.tag == f"{_TABLE}table-header-rows":
        _copy(child, target)
        for cell in target.iter("td"):
            cell.tag = "th"
    elif tag := _TAGS.get(child.tag):
        for _ in range(_count(child, f"{_TABLE}number-columns-repeated", _MOST_COLUMNS)):
            copied = SubElement(target, tag)
            if child.get(_LINK):
                copied.set("href", child.get(_LINK))
            _copy(child, copied)
    else:
        _copy(child, target)


def _count(element: _Element, attribute: str, most: int) -> int:
    """A number from 1 to `most` in an attribute, 1 without it."""
    value = element.get(attribute, "1")
    return min(max(int(value), 1), most) if re.fullmatch(r"[0-9]{1,9}", value) else 1


def _append(target: _Element, text: str | None) -> None:
    if not text:
        return
    if len(target):
        target[-1].tail = (target[-1].tail or "") + text
    else:
        target.text = (target.text or "") + text
