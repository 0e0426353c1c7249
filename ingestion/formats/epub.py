"""EPUB books: the pages of the spine in reading order, each read as HTML (EPUB 3.3, and the NCX contents of EPUB 2)."""

import posixpath
import zipfile
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from lxml.etree import XMLSyntaxError, _Element

from ingestion.charsets import declared_charset
from ingestion.formats.html import read_html
from ingestion.formats.packages import damaged, open_package, read_xml
from ingestion.formats.text import decode
from ingestion.formats.tree import add_tree
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_KIND = "EPUB"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html")
# Fonts are often obscured, which takes nothing from the text.
_OBSCURED_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by chapter and heading.

    Raises IngestionError: "damaged", "password" (protected by DRM), "too_complex", "too_long", "empty".
    """
    archive = open_package(data, "book", _KIND)
    builder = SectionBuilder(limits)
    try:
        if _is_protected(archive):
            raise IngestionError("password", "The book is protected (DRM).")
        title, chapters = _open_book(archive)
        for path, label in chapters:
            _add_chapter(builder, archive.read(path), label)
    except (KeyError, ValueError, XMLSyntaxError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise damaged(_KIND) from error
    return builder.build(title=title, pages=0)


def _is_protected(archive: zipfile.ZipFile) -> bool:
    if _ENCRYPTION not in archive.namelist():
        return False
    methods = read_xml(archive.read(_ENCRYPTION)).iter("{*}EncryptionMethod")
    return any(method.get("Algorithm") not in _OBSCURED_FONTS for method in methods)


def _open_book(archive: zipfile.ZipFile) -> tuple[str | None, list[tuple[str, str]]]:
    """The book's title, and its pages in order, each with what the contents call it."""
    root = read_xml(archive.read(_CONTAINER)).find(".//{*}rootfile")
    if root is None:
        raise ValueError
    path = root.get("full-path", "")
    package = read_xml(archive.read(path))
    items = {item.get("id"): item for item in package.iter("{*}item")}
    labels = dict(_labels(archive, path, items.values()))
    pages = (items.get(entry.get("idref")) for entry in package.iter("{*}itemref") if entry.get("linear") != "no")
    chapters = [
        _beside(path, item.get("href", ""))
        for item in pages
        if item is not None and item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split()
    ]
    return package.findtext(".//{*}metadata/{*}title"), [(chapter, labels.get(chapter, "")) for chapter in chapters]


def _labels(archive: zipfile.ZipFile, package: str, items: Iterable[_Element]) -> Iterator[tuple[str, str]]:
    """Names of pages from the book's contents, the first for a page last; contents that are broken are none."""
    for item in items:
        path = _beside(package, item.get("href", ""))
        try:
            if "nav" in (item.get("properties") or "").split():
                links = read_xml(archive.read(path)).iter("{*}a")
                found = [(link.get("href", ""), "".join(link.itertext())) for link in links]
            elif item.get("media-type") == "application/x-dtbncx+xml":
                points = read_xml(archive.read(path)).iter("{*}navPoint")
                found = [(_source(point), point.findtext("./{*}navLabel/{*}text") or "") for point in points]
            else:
                continue
        except (KeyError, ValueError, XMLSyntaxError):
            continue
        yield from ((_beside(path, target), label) for target, label in reversed(found))


def _source(point: _Element) -> str:
    content = point.find("./{*}content")
    return "" if content is None else content.get("src", "")


def _beside(path: str, reference: str) -> str:
    """The archive's name for what the member at `path` refers to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(urlsplit(reference).path)))


def _add_chapter(builder: SectionBuilder, data: bytes, label: str) -> None:
    try:
        body = read_html(_markup(data))
    except IngestionError as error:
        if error.code == "empty":
            return
        raise
    builder.close(1)
    if label and next(body.iter("h1", "h2"), None) is None and "".join(body.itertext()).strip():
        builder.heading(1, label)
    add_tree(body, builder)


def _markup(data: bytes) -> str:
    return decode(data, declared_charset(data)) or ""
