"""Write the PDF and DOCX pages of the sample knowledge base from the Markdown files beside this script.

`warranty.pdf.md` becomes `../knowledge/warranty.pdf`. Only what those pages use is understood: headings, paragraphs,
bullet and numbered lists, tables and **bold** (which is dropped). Two runs give the same bytes. Needs the dev extra.
"""

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import docx
from docx.document import Document
from fpdf import FPDF
from fpdf.enums import XPos, YPos

SOURCES = Path(__file__).parent
KNOWLEDGE = SOURCES.parent / "knowledge"
AUTHOR = "Marlow & Finch"
WRITTEN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
A5_MM = (148, 210)
# The template's preview picture shows another document; its second style sheet, for Word 2007, is a third of the file.
UNUSED_PARTS = ("/thumbnail", "/stylesWithEffects")
HEADING_POINTS = {1: 18, 2: 13}


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's title."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, its lines joined."""

    text: str


@dataclass(frozen=True)
class ListBlock:
    """A bullet or numbered list, markers removed."""

    items: list[str]
    numbered: bool


@dataclass(frozen=True)
class Table:
    """Rows of cells, the header first."""

    rows: list[list[str]]


Block = Heading | Paragraph | ListBlock | Table


def blocks(markdown: str) -> Iterator[Block]:
    """Yield the page's blocks in order; blank lines separate them."""
    for group in re.split(r"\n\s*\n", markdown.replace("**", "").strip()):
        lines = group.splitlines()
        if heading := re.match(r"(#+) (.+)", lines[0]):
            yield Heading(len(heading[1]), heading[2])
        elif lines[0].startswith("|"):
            rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
            yield Table([rows[0], *rows[2:]])
        elif marker := re.match(r"- |\d+\. ", lines[0]):
            items = [re.sub(r"^(- |\d+\. )", "", line) for line in lines]
            yield ListBlock(items, numbered=marker[0] != "- ")
        else:
            yield Paragraph(" ".join(lines))


class Leaflet(FPDF):
    """An A5 leaflet with page numbers and an outline."""

    def __init__(self, title: str) -> None:
        super().__init__(format=A5_MM)
        self.set_title(title)
        self.set_author(AUTHOR)
        self.set_producer(AUTHOR)
        self.set_lang("en-GB")
        self.set_creation_date(WRITTEN)
        self.set_margin(16)
        self.set_auto_page_break(True, margin=20)
        self.add_page()

    def footer(self) -> None:
        """Print the page number at the foot of every page."""
        self.set_y(-14)
        self.set_font("helvetica", size=8)
        self.cell(0, 6, f"{AUTHOR} help centre, page {self.page_no()} of {{nb}}", align="C")

    def line_of(self, text: str, points: float, style: str = "", space: float = 2) -> None:
        """Print one block of text over the full width and leave `space` millimetres below it."""
        self.set_font("helvetica", style=style, size=points)
        self.multi_cell(0, points * 0.5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(space)

    def block(self, block: Block) -> None:
        """Print one block."""
        match block:
            case Heading(level, text):
                self.start_section(text, level - 1)
                self.line_of(text, HEADING_POINTS[level], "B")
            case Paragraph(text):
                self.line_of(text, 10)
            case ListBlock(items, numbered):
                for number, item in enumerate(items, 1):
                    self.line_of(f"{number}. {item}" if numbered else f"- {item}", 10, space=1)
                self.ln(1)
            case Table(rows):
                self.set_font("helvetica", size=9)
                with self.table(rows):
                    pass  # leaving the block prints it
                self.ln(3)


def pdf_bytes(page: list[Block], title: str) -> bytes:
    """Return the page as a text PDF of one or more A5 sheets."""
    leaflet = Leaflet(title)
    for block in page:
        leaflet.block(block)
    return bytes(leaflet.output())


def docx_bytes(page: list[Block], title: str) -> bytes:
    """Return the page as a Word document with real heading, list and table styles."""
    document = docx.Document()
    _describe(document, title)
    for block in page:
        _append(document, block)
    buffer = io.BytesIO()
    document.save(buffer)
    return _without_timestamps(buffer.getvalue())


def _describe(document: Document, title: str) -> None:
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = title, AUTHOR, AUTHOR
    properties.created = properties.modified = WRITTEN
    properties.comments, properties.language = "", "en-GB"
    for relations in (document.part.package.rels, document.part.rels):
        for key in [key for key, relation in relations.items() if relation.reltype.endswith(UNUSED_PARTS)]:
            del relations[key]


def _append(document: Document, block: Block) -> None:
    match block:
        case Heading(level, text):
            document.add_heading(text, level)
        case Paragraph(text):
            document.add_paragraph(text)
        case ListBlock(items, numbered):
            for item in items:
                document.add_paragraph(item, style="List Number" if numbered else "List Bullet")
        case Table(rows):
            table = document.add_table(0, len(rows[0]), style="Table Grid")
            for row in rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text


def _without_timestamps(archive: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            target.writestr(entry, source.read(name), zipfile.ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


WRITERS = {".pdf": pdf_bytes, ".docx": docx_bytes}


def build(target: Path) -> list[Path]:
    """Write every page into the folder `target` and return the files; ValueError if a source has no title."""
    written = []
    for source in sorted(SOURCES.glob("*.md")):
        page = list(blocks(source.read_text(encoding="utf-8")))
        if not (page and isinstance(page[0], Heading) and page[0].level == 1):
            raise ValueError(f"{source.name} does not begin with a title")
        file = target / source.stem
        file.write_bytes(WRITERS[file.suffix](page, page[0].text))
        written.append(file)
    return written


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else KNOWLEDGE)
