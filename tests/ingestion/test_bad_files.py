import random

import pytest

from ingestion.parse import Parser
from ingestion.types import IngestionError, Limits
from tests.ingestion import files

pytestmark = pytest.mark.asyncio(loop_scope="session")

GARBAGE = random.Random(7).randbytes(5000)
PDF = files.pdf("One page.")
DOCX = files.small_docx()
DEEP_TABLES = b"<w:tbl><w:tr><w:tc>" * 200 + b"<w:p/>" + b"</w:tc></w:tr></w:tbl>" * 200

BAD = {
    "empty": ("a.pdf", b"", "empty", "The file is empty."),
    "blank text": ("a.txt", b" \n\t\n", "empty", "The file holds no text."),
    "blank pdf": ("a.pdf", files.pdf(""), "empty", "The PDF holds no text."),
    "blank docx": ("a.docx", files.docx_file(lambda _: None), "empty", "The file holds no text."),
    "blank html": (
        "a.html",
        b"<body><script>x</script></body>",
        "empty",
        "The page holds no text of its own: it is made by JavaScript in the reader's browser, which is not run here.",
    ),
    "blank markdown": ("a.md", b"<!-- only a comment -->", "empty", "holds no text"),
    "garbage pdf": ("a.pdf", GARBAGE, "damaged", "The file is damaged and cannot be opened as PDF."),
    "garbage docx": ("a.docx", GARBAGE, "damaged", "The file is damaged and cannot be opened as DOCX."),
    "garbage text": ("a.txt", GARBAGE, "mislabelled", "called plain text but it is binary data"),
    "garbage html": ("a.html", GARBAGE, "mislabelled", "called HTML but it is binary data"),
    "garbage markdown": ("a.md", GARBAGE, "mislabelled", "called Markdown but it is binary data"),
    "garbage of no name": (None, GARBAGE, "unsupported_type", "The file is binary data. Only PDF, DOCX"),
    "only a pdf header": ("a.pdf", b"%PDF-1.7\nrubbish", "damaged", "The PDF is damaged and cannot be opened."),
    "truncated pdf": ("a.pdf", PDF[: len(PDF) // 2], "damaged", "The PDF is damaged and cannot be opened."),
    "truncated docx": ("a.docx", DOCX[: len(DOCX) // 2], "damaged", "damaged and cannot be opened as DOCX"),
    "docx without its tail": ("a.docx", DOCX[:-300], "damaged", "damaged and cannot be opened as DOCX"),
    "docx with holes": ("a.docx", DOCX[:600] + bytes(500) + DOCX[1100:], "damaged", "opened as DOCX"),
    "docx of broken xml": ("a.docx", files.with_body(lambda b: b[:1500]), "damaged", "opened as DOCX"),
    "docx of nested tables": (
        "a.docx",
        files.with_body(lambda b: b.replace(b"<w:sectPr", DEEP_TABLES + b"<w:sectPr", 1)),
        "damaged",
        "opened as DOCX",
    ),
    "pdf with a password": (
        "a.pdf",
        files.pdf("Secret", password="pw"),
        "password",
        "The PDF is protected by a password",
    ),
    "docx with a password": (
        "a.docx",
        files.OLE + "EncryptedPackage".encode("utf-16-le"),
        "password",
        "The Word document is protected by a password.",
    ),
    "text as pdf": ("a.pdf", b"not a pdf", "mislabelled", "The file is called PDF but it is plain text."),
    "text as docx": ("a.docx", b"not a docx", "mislabelled", "called DOCX but it is plain text"),
    "pdf as docx": ("a.docx", PDF, "mislabelled", "The file is called DOCX but it is a PDF file."),
    "docx as text": ("a.txt", DOCX, "mislabelled", "The file is called plain text but it is a DOCX file."),
    "png as pdf": ("a.pdf", files.PNG, "mislabelled", "called PDF but it is a PNG image"),
    "program as text": ("a.txt", files.ELF, "mislabelled", "called plain text but it is an ELF file"),
    "workbook as docx": ("a.docx", files.zipped(xl__workbook_xml="x"), "mislabelled", "it is an Excel template"),
    "png": ("a.png", files.PNG, "unsupported_type", "The file is a PNG image. Only PDF, DOCX, XLSX"),
    "old word": ("a.doc", files.OLE, "unsupported_type", "an old Office document (save it as DOCX, XLSX or PPTX)"),
    "rtf as docx": ("a.docx", rb"{\rtf1 hello}", "mislabelled", "called DOCX but it is an RTF file."),
    "zip bomb": (
        "a.docx",
        files.with_body(lambda body: body + b" " * 270_000_000),
        "too_complex",
        "The Word document unpacks to more data than is allowed.",
    ),
    "xml bomb": ("a.docx", files.with_body(files.xml_bomb), "damaged", "opened as DOCX"),
    "deep html": ("a.html", b"<div>" * 50_000 + b"x", "too_complex", "nested too deeply"),
}


@pytest.mark.parametrize(("filename", "data", "code", "words"), BAD.values(), ids=BAD.keys())
async def test_bad_file_is_refused_in_words_and_the_next_one_is_parsed(
    parser: Parser, filename: str | None, data: bytes, code: str, words: str
) -> None:
    with pytest.raises(IngestionError) as refused:
        await parser.parse(data, filename=filename, media_type=None, limits=Limits(seconds=30))
    assert refused.value.code == code
    assert words in str(refused.value)
    good = await parser.parse(b"Good.", filename="good.txt", media_type=None, limits=Limits())
    assert good.sections[0].text == "Good."


@pytest.mark.parametrize(
    ("filename", "media_type", "data", "text"),
    [
        (None, "text/plain", DOCX, "We ship within two days."),
        ("a.unknown", None, PDF, "One page."),
        ("a.txt", "text/plain", b"<!DOCTYPE html><p>A page.</p><script>x</script>", "A page."),
        ("a.pdf", None, b"junk before it\xff\n" + PDF, "One page."),
        (None, "application/pdf", PDF, "One page."),
        (None, None, b"No name, no type.", "No name, no type."),
        ("notes", "text/markdown; charset=utf-8", b"*Starred* text.", "Starred text."),
        ("BM.txt", None, b"BM is how a bitmap begins.", "BM is how a bitmap begins."),
    ],
)
async def test_a_supported_file_is_parsed_as_what_it_is(
    parser: Parser, filename: str | None, media_type: str | None, data: bytes, text: str
) -> None:
    document = await parser.parse(data, filename=filename, media_type=media_type, limits=Limits())
    assert document.sections[0].text == text


@pytest.mark.parametrize(
    ("data", "limits", "code", "words"),
    [
        (b"a" * 2000, Limits(max_bytes=1024), "too_large", "larger than 0.000976562 MiB"),
        (b"a " * 2000, Limits(max_characters=100), "too_long", "more text than one document may have"),
        (files.pdf("a", "b", "c"), Limits(max_pages=2), "too_many_pages", "has 3 pages; at most 2"),
        (files.pdf("word " * 500), Limits(max_characters=100), "too_long", "more text"),
    ],
)
async def test_more_than_the_limits_allow(parser: Parser, data: bytes, limits: Limits, code: str, words: str) -> None:
    with pytest.raises(IngestionError, match=words) as refused:
        await parser.parse(data, filename=None, media_type=None, limits=limits)
    assert refused.value.code == code
