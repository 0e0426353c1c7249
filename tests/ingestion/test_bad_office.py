"""Hostile and broken files of every format: a clear message, and the next file is read."""

import codecs
from collections.abc import Callable

import pytest

from ingestion.parse import Parser
from ingestion.types import IngestionError, Limits
from tests.ingestion import files, office

pytestmark = pytest.mark.asyncio(loop_scope="session")

XLSX = office.xlsx(("Prices", [["Plan", "Price"], ["Basic", "nine"]]))
PPTX = office.pptx(("Delivery", "In two days."))
ODT = office.odt("<text:p>In two days.</text:p>")
EPUB = office.epub("<p>In two days.</p>")
EML = office.mail("In two days.", subject="Delivery").as_bytes()
PACKAGES = {
    "xlsx": (XLSX, "xl/worksheets/sheet1.xml", "The Excel workbook"),
    "pptx": (PPTX, "ppt/slides/slide1.xml", "The PowerPoint presentation"),
    "odt": (ODT, "content.xml", "The OpenDocument text"),
    "epub": (EPUB, "OPS/text/c 0.xhtml", "The book"),
    "docx": (files.small_docx(), "word/document.xml", "The Word document"),
}
_CHINESE = "退货须在三十天内办理，请先联系客服，然后寄回商品。"
LAUGHS = b"".join(
    [b'<!ENTITY e0 "lol">', *(b'<!ENTITY e%d "%b">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))]
)


def broken(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    return office.changed(data, {part: change})


def laughing(content: bytes) -> bytes:
    """An XML part with nested entities where its text was."""
    start = content.index(b"?>") + 2 if content.startswith(b"<?xml") else 0
    for words in (b"In two days.", b"Delivery", b"Basic", b"We ship within two days."):
        content = content.replace(words, b"&e9;")
    return content[:start] + b"<!DOCTYPE x [" + LAUGHS + b"]>" + content[start:]


def nested_mail(depth: int) -> bytes:
    message = office.mail("Deepest words.", subject="Level 0")
    for level in range(1, depth):
        message = office.mail(f"Words of {level}.", subject=f"Level {level}", attached={"inner": message})
    return message.as_bytes()


def deep_mail(depth: int) -> bytes:
    return b"Subject: x\nContent-Type: message/rfc822\n\n" * depth + b"Subject: y\n\nwords"


def claiming(data: bytes, size: int) -> bytes:
    """An archive that says that its last member unpacks to so many bytes."""
    at = data.rindex(b"PK\x01\x02") + 24
    return data[:at] + size.to_bytes(4, "little") + data[at + 4 :]


def encrypted(data: bytes) -> bytes:
    """An archive that says that its members are encrypted."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(mark)
        while at >= 0:
            changed[at + offset] |= 1
            at = changed.find(mark, at + 4)
    return bytes(changed)


async def answer(parser: Parser, data: bytes, filename: str | None, limits: Limits | None = None) -> str:
    """The text of a file, or how it was refused; and then the next file is read as ever."""
    try:
        document = await parser.parse(data, filename=filename, media_type=None, limits=limits or Limits(seconds=40))
        found = "\n".join(section.text for section in document.sections)
    except IngestionError as error:
        found = f"{error.code}: {error}"
    good = await parser.parse(b"Good.", filename="good.txt", media_type=None, limits=Limits())
    assert good.sections[0].text == "Good."
    return found


@pytest.mark.parametrize("kind", PACKAGES)
async def test_packages_that_are_damaged_encrypted_or_bombs(parser: Parser, kind: str) -> None:
    data, part, name = PACKAGES[kind]
    filename, opened = f"a.{kind}", f"damaged: The file is damaged and cannot be opened as {kind.upper()}."
    assert await answer(parser, data[: len(data) // 2], filename) == opened
    assert await answer(parser, b"\x07" * 3000, filename) == opened
    assert await answer(parser, broken(data, part, lambda content: content[: len(content) // 2]), filename) in (
        opened,
        # A page of a book is read as browsers do.
        "empty: The file holds no text." if kind == "epub" else opened,
    )
    assert (
        await answer(parser, claiming(data, 300_000_000), filename)
        == f"too_complex: {name} unpacks to more data than is allowed."
    )
    assert (await answer(parser, encrypted(data), filename)).split(":")[0] in ("password", "damaged")


@pytest.mark.parametrize("kind", PACKAGES)
async def test_entities_are_not_unfolded(parser: Parser, kind: str) -> None:
    data, part, _ = PACKAGES[kind]
    if kind == "xlsx":
        part = "xl/sharedStrings.xml"
    text = await answer(parser, broken(data, part, laughing), f"a.{kind}", Limits(seconds=10))
    assert "lollol" not in text
    assert text.split(":")[0] in ("damaged", "empty", "Delivery") or len(text) < 100


@pytest.mark.parametrize(
    ("filename", "data", "words"),
    [
        ("a.xlsx", PPTX, "mislabelled: The file is called XLSX but it is a PPTX file."),
        ("a.pptx", ODT, "mislabelled: The file is called PPTX but it is an ODT file."),
        ("a.epub", b"just words", "mislabelled: The file is called EPUB but it is plain text."),
        ("a.rtf", b"just words", "mislabelled: The file is called RTF but it is plain text."),
        ("a.eml", b"just words", "mislabelled: The file is called EML but it is plain text."),
        ("a.csv", XLSX, "mislabelled: The file is called CSV but it is an XLSX file."),
        ("a.csv", files.PNG, "mislabelled: The file is called CSV but it is a PNG image."),
        ("a.txt", office.RTF, "mislabelled: The file is called plain text but it is an RTF file."),
        ("a.ods", office.archive({"mimetype": "x", "content.xml": ""}), "an OpenDocument file that is no text"),
        ("a.xlsx", files.OLE + "EncryptedPackage".encode("utf-16-le"), "password: The Excel workbook is protected"),
        ("a.xls", files.OLE, "old Office document (save it as DOCX, XLSX or PPTX)"),
        ("a.xlsx", b"", "empty: The file is empty."),
        ("a.csv", b" \n", "empty: The file holds no text."),
        ("a.xlsx", office.xlsx(("Empty", [])), "empty: The file holds no text."),
        ("a.pptx", office.pptx(), "empty: The file holds no text."),
        ("a.rtf", rb"{\rtf1 }", "empty: The file holds no text."),
        ("a.odt", office.odt("<text:p/>"), "empty: The file holds no text."),
        ("a.epub", office.epub("<p/>"), "empty: The file holds no text."),
        ("a.odt", broken(ODT, "META-INF/manifest.xml", lambda _: b"<m:encryption-data/>"), "password: "),
        ("a.epub", broken(EPUB, "META-INF/encryption.xml", lambda _: b"<a><EncryptionMethod/></a>"), "DRM"),
        ("a.epub", broken(EPUB, "META-INF/container.xml", lambda _: b"<a/>"), "damaged: "),
        ("a.odt", office.odt("<text:section>" * 400 + "x" + "</text:section>" * 400), "damaged: "),
        ("a.epub", office.epub("<div>" * 50_000 + "x"), "too_complex: "),
        ("a.html", b"<script>alert('SECRET')</script><p onclick='SECRET()'>Words.</p>", "Words."),
        ("a.rtf", rb"{\rtf1 " + b"{" * 200_000 + b"deep" + b"}" * 200_001, "deep"),
        ("a.rtf", rb"{\rtf1 \uc \u99999999999 x}", "damaged: "),
    ],
)  # fmt: skip
async def test_a_file_that_is_not_what_it_should_be(parser: Parser, filename: str, data: bytes, words: str) -> None:
    found = await answer(parser, data, filename)
    assert words in found
    assert "SECRET" not in found


async def test_mails_within_mails(parser: Parser) -> None:
    found = await answer(parser, nested_mail(4), "a.eml")
    assert "Words of 3." in found
    assert "Deepest words." in found
    document = await parser.parse(nested_mail(6), filename="a.eml", media_type=None, limits=Limits())
    assert "nested too deeply" in document.warnings[0]
    assert (await answer(parser, deep_mail(3000), "a.eml")).startswith("too_complex: ")


async def test_attachments_that_are_bad_are_told(parser: Parser) -> None:
    attached = {
        "bomb.docx": claiming(files.small_docx(), 300_000_000),
        "locked.pdf": files.pdf("Secret", password="pw"),
        "broken.xlsx": XLSX[:900],
        "all.zip": office.archive({"a.txt": "x"}),
    }
    message = office.mail("Words.", subject="S", attached=attached).as_bytes()
    document = await parser.parse(message, filename="a.eml", media_type=None, limits=Limits())
    assert [section.text for section in document.sections] == ["Words."]
    assert [words.split("”")[0].split("“")[1] for words in document.warnings] == list(attached)


def pages(count: int) -> bytes:
    """A PDF of blank pages."""
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
    bodies = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/MediaBox[0 0 9 9]/Count %d/Kids[%b]>>" % (count, kids)]
    bodies += [b"<</Type/Page/Parent 2 0 R>>"] * count
    out, offsets = [b"%PDF-1.7\n"], []
    size = len(out[0])
    for number, body in enumerate(bodies, 1):
        offsets.append(size)
        out.append(b"%d 0 obj%b endobj\n" % (number, body))
        size += len(out[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, size)
    return b"".join((*out, b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1), table, trailer))


async def test_a_pdf_of_ten_thousand_pages_is_refused_at_once(parser: Parser) -> None:
    found = await answer(parser, pages(10_000), "a.pdf")
    assert found == "too_many_pages: The PDF has 10000 pages; at most 5000 are allowed."


async def test_a_workbook_that_lies_about_its_extent(parser: Parser) -> None:
    def stretched(content: bytes) -> bytes:
        content = content.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
        return content.replace(b'<row r="2"', b'<row r="99000000"').replace(b'r="A2"', b"").replace(b'r="B2"', b"")

    found = await answer(parser, broken(XLSX, "xl/worksheets/sheet1.xml", stretched), "a.xlsx")
    assert found.split(":")[0] in ("too_complex", "Plan", "damaged")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße und die Ware ist da.".encode(), "Grüße und die Ware ist da."),
        (codecs.BOM_UTF16_LE + "Grüße".encode("utf-16-le"), "Grüße"),
        ("Die Ware ist schon da.".encode("utf-16-be"), "Die Ware ist schon da."),
        (
            _CHINESE.encode("gb18030"),
            _CHINESE,
        ),
    ],
)
@pytest.mark.parametrize("filename", ["a.txt", "a.csv", "a.md", "a.html"])
async def test_character_sets_that_are_not_declared_or_wrongly(
    parser: Parser, filename: str, data: bytes, text: str
) -> None:
    if filename == "a.html":
        data = data if b"\x00" in data else b'<meta charset="iso-8859-1"><p>' + data
        text = text if text.isascii() or "Gr" in text else ""
    assert text in await answer(parser, data, filename)


CONTROLS = "Two\x00 \x07da\u200bys\u202e."


@pytest.mark.parametrize(
    ("filename", "data"),
    [
        ("a.txt", CONTROLS.encode()),
        ("a.csv", f"A,B\n{CONTROLS},x".encode()),
        ("a.md", CONTROLS.encode()),
        ("a.html", f"<p>{CONTROLS}</p>".encode()),
        ("a.jsonl", b'{"question": "Q?", "answer": "Two\\u0000 \\u0007da\\u200bys\\u202e."}'),
        ("a.eml", f"Subject: x\n\n{CONTROLS}".encode()),
        ("a.rtf", rb"{\rtf1 Two\'00 \'07da\u8203?ys\u8238?.}"),
        ("a.epub", office.epub(f"<p>{CONTROLS}</p>")),
        ("a.odt", office.odt("<text:p>Two da\u200bys\u202e.</text:p>")),
        ("a.xlsx", office.xlsx(("S", [["A", "B"], ["Two da\u200bys\u202e.", "_x0000_"]]))),
        ("a.pptx", office.pptx(("T", "Two da\u200bys\u202e."))),
        ("a.docx", files.docx_file(lambda document: document.add_paragraph("Two da\u200bys\u202e."))),
    ],
)
async def test_what_a_reader_cannot_see_is_gone(parser: Parser, filename: str, data: bytes) -> None:
    text = await answer(parser, data, filename)
    assert "Two days." in text
    assert text.isprintable() or not set(text) & set("\x00\x07\u200b\u202e")
