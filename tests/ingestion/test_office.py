"""Spreadsheets, slides, books, mails and the other formats of office programs."""

from datetime import date, datetime, time, timedelta

import pytest
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches

from ingestion.formats.cells import shown
from ingestion.parse import Parser
from ingestion.types import Limits, ParsedDocument
from tests.ingestion import files, office

pytestmark = pytest.mark.asyncio(loop_scope="session")

Found = list[tuple[tuple[str, ...], str]]


async def read(parser: Parser, data: bytes, filename: str) -> ParsedDocument:
    return await parser.parse(data, filename=filename, media_type=None, limits=Limits())


def found(document: ParsedDocument) -> Found:
    return [(section.heading, section.text) for section in document.sections]


CSV = {
    "commas": ("a.csv", b"Plan,Price\nBasic,9\nPlus,\n", ["Plan: Basic; Price: 9", "Plan: Plus"]),
    "semicolons": ("a.csv", b'Plan;Note\nBasic;"a, ""b""\nc"\n', ['Plan: Basic; Note: a, "b" c']),
    "tabs": ("a.tsv", b"Plan\tPrice\r\nBasic\t9,50\r\n", ["Plan: Basic; Price: 9,50"]),
    "told": ("a.csv", b"sep=|\nA,x|B\n1,2|3\n", ["A,x: 1,2; B: 3"]),
    "no names": ("a.csv", b"Norway,9\nSweden,8\n", ["Norway | 9", "Sweden | 8"]),
    "years": ("a.csv", b"Zone,2025,2026\nEU,5,6\n", ["Zone: EU; 2025: 5; 2026: 6"]),
    "utf-16": ("a.csv", "Größe\tPreis\nklein\t9".encode("utf-16"), ["Größe: klein; Preis: 9"]),
    "caption": ("a.csv", b"Prices of May,\n,\nPlan,Price\nBasic,9\n", ["Prices of May", "Plan: Basic; Price: 9"]),
    "groups": ("a.csv", b"Plan,Price\nBasic,9\n\nPlus,19\n", ["Plan: Basic; Price: 9", "Plan: Plus; Price: 19"]),
    "one column": ("a.csv", b"Answers\nYes.\n", ["Answers", "Yes."]),
    "longer row": ("a.csv", b"Plan,Price\nBasic,9,extra\n", ["Plan: Basic; Price: 9; extra"]),
    "open quote": ("a.csv", b'Plan,Price\n"Basic,9\n' + b"Plus,19\n" * 20_000, None),
}


@pytest.mark.parametrize(("filename", "data", "lines"), CSV.values(), ids=CSV.keys())
async def test_rows_of_a_table_stand_alone(parser: Parser, filename: str, data: bytes, lines: list[str] | None) -> None:
    ((heading, text),) = found(await read(parser, data, filename))
    assert heading == ()
    assert text.split("\n") == lines if lines else text.count("Plan: Plus; Price: 19") == 20_000


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (0.1 + 0.2, "General", "0.3"),
        (1234.5, "#,##0.00", "1,234.50"),
        (0.195, "0%", "20%"),
        (0.195, "0.0%", "19.5%"),
        (9.9, '#,##0.00 "€"', "9.90 €"),
        (9.9, "[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", "€ 9.90"),
        (-9.9, "[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", "-€ 9.90"),
        (5, '0" days"', "5 days"),
        (2.5, "0.##", "2.5"),
        (2.0, "0.##", "2"),
        (7, "00000", "00007"),
        (1e20, "0", "1e+20"),
        (True, "General", "TRUE"),
        (datetime(2026, 5, 1), "d.m.yy", "2026-05-01"),
        (datetime(2026, 5, 1, 9, 30), "d.m.yy", "2026-05-01 09:30"),
        (date(2026, 5, 1), "d", "2026-05-01"),
        (time(9, 30), "hh:mm", "09:30"),
        (timedelta(hours=30), "[h]:mm", "30:00"),
        ("text", "@", "text"),
    ],
)
async def test_a_cell_reads_as_shown(value: object, number_format: str, text: str) -> None:
    assert shown(value, number_format) == text


async def test_a_workbook_is_read_sheet_by_sheet(parser: Parser) -> None:
    def build(workbook: Workbook) -> None:
        prices = workbook["Prices"]
        prices["C2"].number_format = "0%"
        prices["B2"].number_format = '#,##0.00 "€"'
        workbook["Secret"].sheet_state = "hidden"

    data = office.xlsx(
        ("Prices", [["Plan", "Price", "Discount", "From"], ["Basic", 1200.5, 0.1, datetime(2026, 5, 1)], ["Plus"]]),
        ("Empty", []),
        ("Secret", [["Margin", 0.5]]),
        ("Hours", [["Day", "Open"], ["Monday", "9 to 5"]]),
        build=build,
    )
    document = await read(parser, data, "a.xlsx")
    assert found(document) == [
        (("Prices",), "Plan: Basic; Price: 1,200.50 €; Discount: 10%; From: 2026-05-01\nPlan: Plus"),
        (("Hours",), "Day: Monday; Open: 9 to 5"),
    ]
    assert document.warnings == ("The hidden sheet “Secret” was left out.",)


async def test_formulas_without_results_are_told(parser: Parser) -> None:
    document = await read(parser, office.xlsx(("Sums", [["Item", "Sum"], ["Socks", "=1+1"]])), "a.xlsx")
    assert found(document) == [(("Sums",), "Item: Socks")]
    assert "formulas have no stored result" in document.warnings[0]


async def test_slides_are_pages(parser: Parser) -> None:
    def build(presentation: Presentation) -> None:
        first, second, third = presentation.slides
        first.notes_slide.notes_text_frame.text = "Said aloud."
        table = first.shapes.add_table(2, 2, Inches(1), Inches(5), Inches(4), Inches(1)).table
        for number, text in enumerate(("Zone", "Days", "Norway", "2")):
            table.cell(number // 2, number % 2).text = text
        run = second.shapes[0].text_frame.paragraphs[0].add_run()
        run.text, run.hyperlink.address = " Portal", "https://acme.example/r"
        third._element.set("show", "0")

    data = office.pptx(("Delivery", "By post\nIn two days"), ("", "No title."), ("Hidden", "SECRET"), build=build)
    document = await read(parser, data, "a.pptx")
    assert document.pages == 3
    assert [(section.page, section.heading, section.text) for section in document.sections] == [
        (1, ("Delivery",), "By post\nIn two days\n\nZone: Norway; Days: 2\n\nSaid aloud."),
        (2, (), "No title. Portal (https://acme.example/r)"),
    ]
    assert document.warnings == ("The hidden slide 3 was left out.",)


async def test_rich_text(parser: Parser) -> None:
    document = await read(parser, office.RTF, "a.rtf")
    assert document.title == "Price list"
    assert found(document) == [
        ((), "Parcels: five days.\nGrüße, Цена €5\nZone: Norway; Days: 2; Fee: 9\nEnd."),
    ]


ODT = """<text:tracked-changes>SECRET</text:tracked-changes><text:h text:outline-level="1">Returns</text:h>
<text:p>Within<text:s text:c="2"/>30<text:tab/>days, see <text:a xlink:href="https://acme.example/r">the portal</text:a>
<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Not socks.</text:p></text:note-body>
</text:note></text:p><text:h text:outline-level="2">Fees</text:h><table:table><table:table-header-rows><table:table-row>
<table:table-cell><text:p>Zone</text:p></table:table-cell><table:table-cell><text:p>Fee</text:p></table:table-cell>
</table:table-row></table:table-header-rows><table:table-row><table:table-cell><text:p>Norway</text:p></table:table-cell>
<table:table-cell><text:p>9 EUR</text:p></table:table-cell></table:table-row></table:table>
<text:list><text:list-item><text:p>One</text:p></text:list-item><text:list-item><text:p>Two</text:p></text:list-item>
</text:list>"""


async def test_an_opendocument_text(parser: Parser) -> None:
    document = await read(parser, office.odt(ODT, "Help"), "a.odt")
    assert document.title == "Help"
    assert found(document) == [
        (("Returns",), "Within 30 days, see the portal (https://acme.example/r)\n\nNot socks."),
        (("Returns", "Fees"), "Zone: Norway; Fee: 9 EUR\n\n- One\n- Two"),
    ]


async def test_a_book_is_read_in_the_order_of_its_spine(parser: Parser) -> None:
    data = office.epub(
        "<p>No heading of its own.</p><script>SECRET</script>",
        "<h1>Returns</h1><p>Within 30 days.</p><h2>Fees</h2><p>None.</p>",
        "<p/>",
        labels=["Preface", "Second", "Third"],
    )
    document = await read(parser, data, "a.epub")
    assert document.title == "Book"
    assert found(document) == [
        (("Preface",), "No heading of its own."),
        (("Returns",), "Within 30 days."),
        (("Returns", "Fees"), "None."),
    ]


async def test_a_mail_with_what_is_attached(parser: Parser) -> None:
    inner = office.mail("The parcel was wet.\n-- \nAnn", subject="Wet")
    attached = {
        "prices.csv": b"Plan,Price\nBasic,9\n",
        "book.docx": files.docx_file(lambda document: (document.add_heading("Top", 1), document.add_paragraph("In."))),
        "inner": inner,
        "tool.exe": files.ELF,
    }
    message = office.mail(
        "Dear shop,\nhello.\n-- \nAnn, Acme", subject="Größe ändern", html="<p>SECRET", attached=attached
    )
    document = await read(parser, message.as_bytes(), "a.eml")
    assert document.title == "Größe ändern"
    assert found(document) == [
        (("Größe ändern",), "Dear shop,\nhello.\n--\nAnn, Acme"),
        (("prices.csv",), "Plan: Basic; Price: 9"),
        (("book.docx", "Top"), "In."),
        (("Wet.eml", "Wet"), "The parcel was wet.\n--\nAnn"),
    ]
    (warning,) = document.warnings
    assert warning.startswith("The attachment “tool.exe” was left out: The file is an ELF file.")


async def test_nobody_approves_of_answers_by_mail(parser: Parser) -> None:
    pairs = b'{"question": "When do you open?", "answer": "Never."}\n'
    document = await read(parser, office.mail("See below.", attached={"faq.jsonl": pairs}).as_bytes(), "a.eml")
    assert [section.question for section in document.sections] == [None, None]
    assert document.sections[1].text == "When do you open?\nNever."


async def test_a_mail_in_html_and_other_character_sets(parser: Parser) -> None:
    page = office.mail(html="<h2>Gruß</h2><p>Bis <b>bald</b>.</p>", subject="Hallo")
    assert found(await read(parser, page.as_bytes(), "a")) == [(("Hallo", "Gruß"), "Bis bald.")]
    raw = "Subject: =?koi8-r?B?98/a19LB1A==?=\r\nContent-Type: text/plain; charset=windows-1251\r\n\r\nСрок".encode(
        "cp1251"
    )
    assert found(await read(parser, raw, "a.eml")) == [(("Возврат",), "Срок")]
    wrong = b"Subject: x\r\nContent-Type: text/plain; charset=no-such\r\n\r\nGr\xc3\xbc\xc3\x9fe"
    assert found(await read(parser, wrong, "a.eml")) == [(("x",), "Grüße")]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (office.xlsx(("S", [["A", "B"], ["x", "y"]])), "A: x; B: y"),
        (office.pptx(("T", "Text")), "Text"),
        (office.odt("<text:p>Text</text:p>"), "Text"),
        (office.epub("<p>Text</p>"), "Text"),
        (office.RTF, None),
        (office.mail("Text", subject="S").as_bytes(), "Text"),
    ],
    ids=["xlsx", "pptx", "odt", "epub", "rtf", "eml"],
)
async def test_content_tells_the_format(parser: Parser, data: bytes, text: str | None) -> None:
    document = await parser.parse(data, filename=None, media_type="application/octet-stream", limits=Limits())
    assert text is None or document.sections[0].text == text
