"""Whatever comes in, the parser's door answers with a document or with words."""

import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.parse import Parser
from ingestion.types import IngestionError, Limits, ParsedDocument
from tests.ingestion import files, office

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMITS = Limits(seconds=20)
NAMES = st.sampled_from(
    ["a.pdf", "a.docx", "a.html", "a.md", "a.txt", "a.csv", "a.eml", "a.rtf", "a.jsonl", "a.zip", "a", ".", ""]
)
PDF = files.pdf("Some words on a page.", title="T", headings=["Some"])
DOCX = files.small_docx()
HTML_PARTS = [
    "<p>",
    "</p>",
    "<table>",
    "<tr>",
    "<td>",
    "<h2>",
    "<li>",
    "<ol>",
    "<pre>",
    "<a href='http://[x'>",
    "<head>",
]
OTHER_PARTS = [
    "&#0;",
    "<!--",
    "-->",
    "<script>",
    "<body hidden>",
    "# ",
    "\n",
    "```",
    "---\n",
    "| a | b |\n",
    "[x](y)",
    "> ",
]
MARKUP = st.lists(st.sampled_from([*HTML_PARTS, *OTHER_PARTS, "\x00", "é"]), max_size=60).map(
    lambda p: "".join(p).encode()
)


FILES = {
    "a.pdf": PDF,
    "a.docx": DOCX,
    "a.xlsx": office.xlsx(("Prices", [["Plan", "Price"], ["Basic", 9.5]])),
    "a.pptx": office.pptx(("Delivery", "In two days.")),
    "a.odt": office.odt('<text:h text:outline-level="1">A</text:h><text:p>B<text:s text:c="2"/></text:p>'),
    "a.epub": office.epub("<h1>A</h1><p>B</p>", labels=["C"]),
    "a.rtf": office.RTF,
    "a.eml": office.mail("Words.", subject="Grüße", html="<p>B", attached={"a.csv": b"A,B\n1,2"}).as_bytes(),
    "a.csv": b'Plan;Price\n"Basic";9\n',
    "a.jsonl": b'{"question": "Q?", "answer": "A."}\n{"questions": ["B?"], "answer": "C."}',
    "a.md": b"# A\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "a.html": b"<h1>A</h1><table><tr><th>a<th>b<tr><td>1<td>2</table>",
    "a.zip": office.archive({"a.txt": "x", "b.zip": office.archive({"c.txt": "y"})}),
}
PACKAGES = [name for name, data in FILES.items() if data.startswith(b"PK") and name != "a.zip"]
KNOWN = frozenset(
    (
        *("empty", "too_large", "unsupported_type", "mislabelled", "damaged", "password", "archive", "malformed"),
        *("too_many_pages", "too_long", "too_complex"),
    )
)
PIECES = st.sampled_from(
    [b"", b"<w:p>", b"&x;", b"\x00", b'"', b"<w:tbl>", b"</", b"<!DOCTYPE x [", b"9" * 30, b"\xff"]
)


@st.composite
def damaged(draw: st.DrawFn, names: Sequence[str] = tuple(FILES)) -> tuple[str, bytes]:
    """A good file with some bytes changed, cut or doubled."""
    name = draw(st.sampled_from(names))
    data = bytearray(FILES[name])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        data[at : at + draw(st.integers(0, 40))] = draw(st.binary(max_size=20))
    return name, bytes(data)


@st.composite
def damaged_inside(draw: st.DrawFn) -> tuple[str, bytes]:
    """A sound archive around a damaged part of a document."""
    name = draw(st.sampled_from(PACKAGES))
    source = zipfile.ZipFile(io.BytesIO(FILES[name]))
    part = draw(st.sampled_from(source.namelist()))
    content = bytearray(source.read(part))
    at = draw(st.integers(0, len(content)))
    content[at : at + draw(st.integers(0, 60))] = draw(PIECES)
    return name, office.changed(FILES[name], {part: lambda _: bytes(content)})


ANY = st.tuples(NAMES, st.binary(max_size=400) | MARKUP)


@settings(max_examples=150, deadline=None)
@given(ANY | damaged() | damaged_inside())
async def test_any_bytes_give_a_document_or_words(parser: Parser, file: tuple[str, bytes]) -> None:
    filename, data = file
    match await answer(parser, data, filename):
        case IngestionError() as error:
            assert error.code in KNOWN
            assert str(error).endswith(".")
        case document:
            assert all(section.text.strip() and "\x00" not in section.text for section in document.sections)
    good = await answer(parser, b"Good.", "good.txt")
    assert isinstance(good, ParsedDocument)


@settings(max_examples=40, deadline=None)
@given(damaged(["a.zip"]))
async def test_any_archive_gives_files_or_words(parser: Parser, file: tuple[str, bytes]) -> None:
    if not file[1]:
        return
    with suppress(IngestionError):
        batch = await parser.members(file[1], start=0, limits=LIMITS)
        assert all(".." not in name.split("/") and content for name, content in batch.files)


@pytest.mark.parametrize("filename", FILES)
async def test_the_files_that_are_damaged_were_good(parser: Parser, filename: str) -> None:
    found = await answer(parser, FILES[filename], filename)
    assert isinstance(found, ParsedDocument) or found.code == "archive"


async def answer(parser: Parser, data: bytes, filename: str) -> ParsedDocument | IngestionError:
    try:
        return await parser.parse(data, filename=filename, media_type=None, limits=LIMITS)
    except IngestionError as error:
        return error
