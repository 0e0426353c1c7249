"""Articles as files: HTML with a site around it, PDF, Word, Markdown, text, PowerPoint, Excel and mail."""

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from html import escape

import docx
from fpdf import FPDF
from openpyxl import Workbook
from pptx import Presentation

from bench.ingestion.prose import Article, Section

_DAY = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_MARGIN, _WIDTH = 20, 5_000_000


def html(article: Article, menu: Sequence[str]) -> bytes:
    """A page of a shop: a menu, the article, others that may interest, and the small print."""
    links = "".join(f'<li><a href="/p/{number}">{escape(name)}</a></li>' for number, name in enumerate(menu))
    body = "".join(f"<h2>{escape(section.heading)}</h2>{''.join(_html(section))}" for section in article.sections)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(article.title)}</title>'
        "<style>nav li { display: inline }</style><script>window.shop = {cart: []};</script></head><body>"
        f'<header><a href="/">Home</a><nav><ul>{links}</ul></nav></header>'
        f"<main><article><h1>{escape(article.title)}</h1>{body}</article></main>"
        f'<aside><h3>You may also like</h3><ul class="related">{links}</ul></aside>'
        "<footer><p>All prices include tax. Terms, privacy, imprint.</p></footer></body></html>"
    ).encode()


def _html(section: Section) -> Iterator[str]:
    for text in section.paragraphs:
        yield f"<p>{escape(text)}</p>"
    if section.table:
        head, *rows = section.table
        body = "".join(_row("td", row) for row in rows)
        yield f"<table><thead>{_row('th', head)}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def pdf(article: Article, _menu: Sequence[str]) -> bytes:
    """Pages with an outline."""
    document = FPDF()
    document.set_creation_date(_DAY)
    document.set_title(article.title)
    document.set_font("Helvetica", size=11)
    document.add_page()
    document.multi_cell(0, 8, article.title, new_x="LMARGIN", new_y="NEXT")
    for section in article.sections:
        document.start_section(section.heading)
        document.set_font("Helvetica", style="B", size=13)
        document.multi_cell(0, 8, section.heading, new_x="LMARGIN", new_y="NEXT")
        document.set_font("Helvetica", size=11)
        for text in (*section.paragraphs, *_lines(section)):
            document.multi_cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def _lines(section: Section, between: str = "   ") -> list[str]:
    return [between.join(row) for row in section.table]


def word(article: Article, _menu: Sequence[str]) -> bytes:
    """A Word file with styled headings and tables."""
    document = docx.Document()
    document.add_heading(article.title, 0)
    for section in article.sections:
        document.add_heading(section.heading, 1)
        for text in section.paragraphs:
            document.add_paragraph(text)
        if section.table:
            table = document.add_table(rows=len(section.table), cols=len(section.table[0]))
            cells = [text for row in section.table for text in row]
            for cell, text in zip(table._cells, cells, strict=True):
                cell.text = text
    return _saved(document.save)


def markdown(article: Article, _menu: Sequence[str]) -> bytes:
    """Markdown with tables."""
    parts = [f"# {article.title}"]
    for section in article.sections:
        parts += [f"## {section.heading}", *section.paragraphs]
        if section.table:
            head, *rows = [f"| {' | '.join(row)} |" for row in section.table]
            parts.append("\n".join([head, "|" + " --- |" * len(section.table[0]), *rows]))
    return "\n\n".join(parts).encode()


def text(article: Article, _menu: Sequence[str]) -> bytes:
    """Plain text."""
    sections = (
        "\n\n".join((section.heading, *section.paragraphs, *_lines(section, "\t"))) for section in article.sections
    )
    return "\n\n".join((article.title, *sections)).encode()


def slides(article: Article, _menu: Sequence[str]) -> bytes:
    """A slide for each section, with a text box."""
    deck = Presentation()
    for section in article.sections:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = section.heading
        frame = slide.shapes.add_textbox(_MARGIN, _MARGIN, _WIDTH, _WIDTH).text_frame
        for paragraph in (*section.paragraphs, *_lines(section)):
            frame.add_paragraph().text = paragraph
    return _saved(deck.save)


def sheet(article: Article, _menu: Sequence[str]) -> bytes:
    """A table of the sections' paragraphs, and a sheet for each table."""
    book = Workbook()
    book.active.title = "Articles"
    book.active.append(["Topic", "Text"])
    for number, section in enumerate(article.sections):
        for paragraph in section.paragraphs:
            book.active.append([section.heading, paragraph])
        if section.table:
            table = book.create_sheet(f"Table {number}")
            for row in section.table:
                table.append(list(row))
    return _saved(book.save)


def mail(article: Article, menu: Sequence[str]) -> bytes:
    """A mail with plain text."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = article.title, "desk@shop.example", "team@shop.example"
    message["Date"] = _DAY
    message.set_content(text(article, menu).decode())
    return message.as_bytes()


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    save(target)
    return target.getvalue()
