import docx
import pytest
from docx.document import Document
from docx.oxml.ns import qn
from docx.oxml.parser import OxmlElement

from ingestion.parse import Parser
from ingestion.types import Limits, ParsedDocument
from tests.ingestion import files

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMITS = Limits()


def everything(document: ParsedDocument) -> str:
    return "\n".join("\n".join((*section.heading, section.text)) for section in document.sections)


async def test_pdf_keeps_pages_title_and_outline_headings(parser: Parser) -> None:
    data = files.pdf(
        "Shipping\nWe ship to Norway.",
        "Returns\nSend it back in 30 days.",
        title="Guide",
        headings=["Shipping", "Returns"],
    )
    document = await parser.parse(data, filename="guide.pdf", media_type="application/pdf", limits=LIMITS)
    assert (document.title, document.pages) == ("Guide", 2)
    found = [(section.page, section.heading, section.text) for section in document.sections]
    assert found == [(1, ("Shipping",), "We ship to Norway."), (2, ("Returns",), "Send it back in 30 days.")]


async def test_pdf_joins_lines_that_ended_at_the_margin(parser: Parser) -> None:
    data = files.pdf("Parcels to Norway need customs papers which we fill in for You and sign. " * 3 + "\nNext.")
    document = await parser.parse(data, filename="a.pdf", media_type=None, limits=LIMITS)
    assert "customs papers which we fill in for You and sign." in document.sections[0].text.split("\n")[0]
    assert document.sections[0].text.endswith("\nNext.")


async def test_pdf_headings_are_found_with_numbers_and_over_lines(parser: Parser) -> None:
    text = "The end of the story before.\n2.1 How to send a parcel\nback to us\nPrint the label."
    data = files.pdf(text, headings=["How to send a parcel back to us"])
    document = await parser.parse(data, filename="a.pdf", media_type=None, limits=LIMITS)
    assert [(section.heading, section.text) for section in document.sections] == [
        ((), "The end of the story before."),
        (("How to send a parcel back to us",), "Print the label."),
    ]


async def test_nul_in_a_pdf_is_removed(parser: Parser) -> None:
    document = await parser.parse(files.pdf_with_nul(), filename="a.pdf", media_type=None, limits=LIMITS)
    assert document.sections[0].text == "Refunds take five days"
    assert "\x00" not in (document.title or "")


async def test_docx_keeps_heading_path_tables_lists_and_links(parser: Parser) -> None:
    def build(document: Document) -> None:
        document.add_paragraph("Help book", style="Title")
        document.add_heading("Returns", 1)
        paragraph = document.add_paragraph("Use ")
        add_link(document, paragraph._p, "the portal", "https://acme.example/returns")
        document.add_heading("Fees", 2)
        table = document.add_table(2, 2)
        for cell, text in zip(
            (c for row in table.rows for c in row.cells), ("Country", "Fee", "Norway", "9"), strict=True
        ):
            cell.text = text
        document.add_heading("Shipping", 1)
        document.add_paragraph("Two days", style="List Bullet")
        document.add_paragraph("By post", style="List Bullet")

    document = await parser.parse(files.docx_file(build), filename="a.docx", media_type=None, limits=LIMITS)
    assert document.title == "Help book"
    assert [(section.heading, section.text) for section in document.sections] == [
        (("Returns",), "Use the portal (https://acme.example/returns)"),
        (("Returns", "Fees"), "Country | Fee\nNorway | 9"),
        (("Shipping",), "- Two days\n- By post"),
    ]


async def test_tables_with_named_columns_repeat_the_names(parser: Parser) -> None:
    def build(document: Document) -> None:
        for rows in (
            ("Plan|Help|Hours", "Basic|by mail|9 to 5", "Plus|by phone|7 to 9"),
            ("Plan|Help", "Basic|by mail"),
            ("Monday|open|a", "Sunday|closed|b"),
            ("*Plan|*Help", "Basic|by mail"),
        ):
            table = document.add_table(len(rows), rows[0].count("|") + 1)
            for row, texts in zip(table.rows, rows, strict=True):
                for cell, text in zip(row.cells, texts.split("|"), strict=True):
                    cell.paragraphs[0].add_run(text.strip("*")).bold = text.startswith("*")
            document.add_paragraph()

    document = await parser.parse(files.docx_file(build), filename="a.docx", media_type=None, limits=LIMITS)
    assert document.sections[0].text.split("\n\n") == [
        "Plan: Basic; Help: by mail; Hours: 9 to 5\nPlan: Plus; Help: by phone; Hours: 7 to 9",
        "Plan | Help\nBasic | by mail",
        "Monday | open | a\nSunday | closed | b",
        "Plan: Basic; Help: by mail",
    ]


async def test_a_table_with_merged_cells_has_no_wrong_names(parser: Parser) -> None:
    page = (
        "<h1>Fees</h1><table><tr><th>Zone</th><th>Plan</th><th>Fee</th></tr><tr><td rowspan=2>EU</td><td>Basic</td>"
        "<td>2</td></tr><tr><td>Plus</td><td>3</td></tr></table><table><tr><th>Name</th><td>Ann</td></tr></table>"
    )
    document = await parser.parse(page.encode(), filename="a.html", media_type=None, limits=LIMITS)
    assert document.sections[0].text == "Zone: EU; Plan: Basic; Fee: 2\nPlan: Plus; Fee: 3\n\nName | Ann"


def add_link(document: Document, paragraph: object, text: str, url: str) -> None:
    link, run, content = OxmlElement("w:hyperlink"), OxmlElement("w:r"), OxmlElement("w:t")
    link.set(qn("r:id"), document.part.relate_to(url, docx.opc.constants.RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    content.text = text
    run.append(content)
    link.append(run)
    paragraph.append(link)  # type: ignore[attr-defined]


async def test_docx_text_in_content_controls_and_tracked_insertions_is_kept(parser: Parser) -> None:
    control = b"<w:sdt><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    inserted = b"<w:p><w:ins><w:r><w:t>Just inserted.</w:t></w:r></w:ins></w:p>"
    contents = (
        b'<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
        b"<w:sdtContent><w:p><w:r><w:t>Contents 1 2 3</w:t></w:r></w:p>"
        b"</w:sdtContent></w:sdt>"
    )
    data = files.with_body(lambda body: body.replace(b"<w:sectPr", control + inserted + contents + b"<w:sectPr", 1))
    text = everything(await parser.parse(data, filename="a.docx", media_type=None, limits=LIMITS))
    assert "We ship within two days.\n\nIn a control.\n\nJust inserted." in text
    assert "Contents" not in text


HTML = """<!doctype html><html><head><title>Returns</title><style>.x{}</style><script>var SECRET</script></head><body>
<nav><a href="/">Home SECRET</a></nav><main><h1>Returns and refunds</h1>
<p>You can return most items within 30 days.</p><!-- SECRET --><p hidden>SECRET</p><p style="display: none">SECRET</p>
<h2>How to</h2><ol><li>Open <a href="https://acme.example/r">the portal</a>.</li><li>Enter the number.</li></ol>
<h3>Fees</h3><table><tr><th>Country</th><th>Fee</th></tr><tr><td>Norway</td><td>9 EUR</td></tr></table>
<h2>Gifts</h2><p>Gifts get store\n credit.<br>Always.</p></main><footer>Imprint</footer></body></html>"""


async def test_html_keeps_headings_lists_tables_links_and_drops_what_is_hidden(parser: Parser) -> None:
    document = await parser.parse(HTML.encode(), filename="a.html", media_type="text/html", limits=LIMITS)
    assert document.title == "Returns"
    assert [(section.heading, section.text) for section in document.sections] == [
        (("Returns and refunds",), "You can return most items within 30 days."),
        (("Returns and refunds", "How to"), "1. Open the portal (https://acme.example/r).\n2. Enter the number."),
        (("Returns and refunds", "How to", "Fees"), "Country: Norway; Fee: 9 EUR"),
        (("Returns and refunds", "Gifts"), "Gifts get store credit.\nAlways."),
    ]


async def test_html_that_the_extractor_would_cut_is_kept_whole(parser: Parser) -> None:
    boxes = "".join(f"<section><h3>Question {n}?</h3><div>Answer {n} to it.</div></section>" for n in range(6))
    page = f"<body><h1>FAQ</h1>{boxes}<script>SECRET</script><nav>Menu SECRET</nav></body>"
    document = await parser.parse(page.encode(), filename="faq.html", media_type=None, limits=LIMITS)
    assert [(section.heading, section.text) for section in document.sections] == [
        (("FAQ", f"Question {n}?"), f"Answer {n} to it.") for n in range(6)
    ]


async def test_html_menus_made_of_divs_are_left_out(parser: Parser) -> None:
    menu = "".join(f'<li><a href="/{n}">Category {n} of the shop</a></li>' for n in range(40))
    text = "You can return any item within thirty days if it is unused and in its original box. " * 4
    article = f"<h1>Returns</h1><p>{text}</p><h2>Fees</h2><p>{text}</p>"
    page = f'<body><div class="menu"><ul>{menu}</ul></div><div>{article}</div></body>'
    document = await parser.parse(page.encode(), filename="a.html", media_type=None, limits=LIMITS)
    assert "Category" not in everything(document)
    assert [section.heading for section in document.sections] == [("Returns",), ("Returns", "Fees")]


async def test_html_in_its_declared_character_set(parser: Parser) -> None:
    page = '<meta charset="windows-1251"><p>Возврат возможен в течение тридцати дней.</p>'.encode("cp1251")
    document = await parser.parse(page, filename="a.html", media_type=None, limits=LIMITS)
    assert document.sections[0].text == "Возврат возможен в течение тридцати дней."


MARKDOWN = """---
title: "Shipping help"
tags: [a]
---
Before any heading.

# Shipping

We use [our carrier](https://carrier.example/t) and *never* `drones`.

## Steps

1. Pack
2. Print
   - the label

```yaml
# not a heading
key:
  a: 1
```

| Zone | Days |
|------|------|
| EU   | 2    |

## Nothing here
### Deeper
Some <b>bold</b> text.<!-- SECRET -->

# Last
"""


async def test_markdown_sections_by_heading_path(parser: Parser) -> None:
    document = await parser.parse(MARKDOWN.encode(), filename="a.md", media_type=None, limits=LIMITS)
    assert document.title == "Shipping help"
    assert [(section.heading, section.text) for section in document.sections] == [
        ((), "Before any heading."),
        (("Shipping",), "We use our carrier (https://carrier.example/t) and never drones."),
        (
            ("Shipping", "Steps"),
            "1. Pack\n2. Print\n  - the label\n\n# not a heading\nkey:\n  a: 1\n\nZone: EU; Days: 2",
        ),
        (("Shipping", "Nothing here", "Deeper"), "Some bold text."),
        (("Last",), "Last"),
    ]


async def test_markdown_between_two_rules_is_not_front_matter(parser: Parser) -> None:
    document = await parser.parse(b"---\n\nKept text.\n\n---\nMore.", filename="a.md", media_type=None, limits=LIMITS)
    assert "Kept text." in everything(document)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "Grüße, 返品 and 😀."),
        ("utf-8-sig", "Grüße with a mark."),
        ("utf-16", "Grüße with a mark."),
        ("utf-16-le", "Gruesse without a mark."),
        ("utf-32", "Grüße with a mark."),
        ("latin-1", "Die Rückgabe ist möglich, wählen Sie das Paket."),
        ("cp1252", "Vous pouvez être remboursé après réception – 5 €."),
        ("latin-1", "café"),
        ("cp1250", "Zwrot jest możliwy w ciągu trzydziestu dni, żółć."),
        ("cp1251", "Возврат возможен в течение тридцати дней после покупки."),
        ("shift_jis", "返品は三十日以内に可能です。送料はお客様負担です。"),
    ],
)
async def test_text_in_its_character_set(parser: Parser, charset: str, text: str) -> None:
    document = await parser.parse(text.encode(charset), filename="a.txt", media_type="text/plain", limits=LIMITS)
    assert document.sections[0].text == text


async def test_text_is_cleaned(parser: Parser) -> None:
    raw = "Cafe\u0301\x00 \u00adhy\u200bphen\ufeff\U000e0041  two\r\n\r\n\r\n\r\nnext\x07".encode()
    document = await parser.parse(raw, filename="a.txt", media_type=None, limits=LIMITS)
    assert document.sections[0].text == "Café hyphen two\n\nnext"
