"""Whatever comes in, the parser's door answers with a document or with words."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.parse import Parser
from ingestion.types import IngestionError, Limits, ParsedDocument
from tests.ingestion import files

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMITS = Limits(seconds=20)
NAMES = st.sampled_from(["a.pdf", "a.docx", "a.html", "a.md", "a.txt", "a", ".", ""])
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


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good file with some bytes changed, cut or doubled."""
    data = bytearray(draw(st.sampled_from([PDF, DOCX])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 40))] = draw(st.binary(max_size=20))
    return bytes(data)


@st.composite
def damaged_inside(draw: st.DrawFn) -> bytes:
    """A sound archive around a damaged Word document."""
    source = zipfile.ZipFile(io.BytesIO(DOCX))
    name = draw(st.sampled_from(source.namelist()))
    content = bytearray(source.read(name))
    at = draw(st.integers(0, len(content)))
    content[at : at + draw(st.integers(0, 60))] = draw(
        st.sampled_from([b"", b"<w:p>", b"&x;", b"\x00", b'"', b"<w:tbl>"])
    )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for other in source.namelist():
            archive.writestr(other, bytes(content) if other == name else source.read(other))
    return target.getvalue()


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=400) | MARKUP | damaged() | damaged_inside(), NAMES)
async def test_any_bytes_give_a_document_or_words(parser: Parser, data: bytes, filename: str) -> None:
    match await answer(parser, data, filename):
        case IngestionError() as error:
            assert error.code not in ("crashed", "timed_out")
            assert str(error).endswith(".")
        case document:
            assert all(section.text.strip() and "\x00" not in section.text for section in document.sections)


async def answer(parser: Parser, data: bytes, filename: str) -> ParsedDocument | IngestionError:
    try:
        return await parser.parse(data, filename=filename, media_type=None, limits=LIMITS)
    except IngestionError as error:
        return error
