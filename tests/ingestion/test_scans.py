"""PDF pages that are pictures, with a fake tesseract at the wire and with the real one where it is installed."""

import shutil
import sys
import textwrap
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from ingestion.parse import Parser
from ingestion.pipeline import ingest
from ingestion.types import IngestedDocument, IngestionError, Limits
from tests.ingestion import files

pytestmark = pytest.mark.asyncio(loop_scope="session")
REAL = shutil.which("tesseract")

FAKE = """#!{python} -IS
import os, socket, sys, time
if sys.argv[1] == "--list-langs":
    print("List of available languages in /packs (4):\\nafr\\ndeu\\neng\\nosd")
    raise SystemExit
picture = sys.stdin.buffer.read()
kind, width, height, _ = picture.split(None, 4)[:4]
assert kind == b"P5" and len(picture) >= int(width) * int(height)
{behaviour}
"""


def scan(*pages: str) -> bytes:
    """A PDF whose pages are pictures of these words; one that begins with "=" has the rest of it as text."""
    document = FPDF()
    document.set_font("Helvetica", size=11)
    for words in pages:
        document.add_page()
        if words.startswith("="):
            document.multi_cell(0, 6, words[1:])
            continue
        picture = Image.new("L", (1240, 400), 255)
        ImageDraw.Draw(picture).text((60, 60), words, fill=0, font=ImageFont.load_default(40))
        document.image(picture, x=10, y=10, w=190)
    return bytes(document.output())


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str | None) -> None:
    """Put a tesseract on the path that does so, or none."""
    if behaviour is not None:
        program = folder / "tesseract"
        program.write_text(FAKE.format(python=sys.executable, behaviour=textwrap.dedent(behaviour)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


async def read(parser: Parser, data: bytes, **limits: float) -> IngestedDocument:
    return await ingest(
        data,
        filename="a.pdf",
        media_type=None,
        parser=parser,
        tokenizer=str.split,
        limits=Limits(**limits),  # type: ignore[arg-type]
    )


async def test_pictures_are_read_at_their_place(
    parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, 'print("Read:", *sys.argv[1:], "from\\x00 a pic-\\nture.\\n\\x0c")')
    german = "=Die Ware kann innerhalb von dreißig Tagen zurückgegeben werden, wenn sie unbenutzt ist. " * 3
    document = await read(parser, scan(german, "x", "=" + "Ende der Seite. " * 20, "y"))
    assert [(chunk.page, chunk.text[:60]) for chunk in document.chunks] == [
        (1, german[1:61]),
        (2, "Read: stdin stdout -l deu+eng from a picture."),
        (3, ("Ende der Seite. " * 20)[:60].strip()),
        (4, "Read: stdin stdout -l deu+eng from a picture."),
    ]
    assert (document.pages, document.warnings) == (4, ())


async def test_without_text_recognition_the_pages_are_told(
    parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, None)
    document = await read(parser, scan("=Words.", "x", "x", "x", "=More.", "x"))
    assert document.warnings == ("Pages 2-4 and 6 are pictures without text, and no text recognition is installed.",)
    assert len(document.chunks) == 2
    with pytest.raises(IngestionError, match="Page 1 is a picture without text, and no text recognition") as refused:
        await read(parser, scan("x"))
    assert refused.value.code == "no_text"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("raise SystemExit(1)", "Pages 1-2 are pictures that could not be read"),
        ("time.sleep(60)", "Pages 1-2 are pictures that could not be read, or not in time."),
        ("bytearray(2_000_000_000)", "could not be read"),
        ("with open('written', 'w') as file: file.write('x')", "could not be read"),
        ("print(' ')", "Pages 1-2 are pictures in which no text was found."),
    ],
)
async def test_recognition_that_fails_costs_only_the_pages(
    parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, words: str
) -> None:
    install(tmp_path, monkeypatch, f"os.chdir({str(tmp_path)!r})\n{behaviour}")
    seconds = 1.0 if "sleep" in behaviour else 30.0
    with pytest.raises(IngestionError, match=words) as refused:
        await read(parser, scan("x", "y"), ocr_seconds=seconds)
    assert refused.value.code == "no_text"
    good = await read(parser, files.pdf("Good."))
    assert good.chunks[0].text == "Good."


async def test_a_page_with_nothing_on_it_is_no_picture(parser: Parser) -> None:
    document = await read(parser, files.pdf("Words.", ""))
    assert (document.pages, document.warnings) == (2, ())


@pytest.mark.skipif(REAL is None, reason="the program tesseract is not installed")
async def test_the_real_program_reads_words(parser: Parser) -> None:
    document = await read(parser, scan("Parcels arrive within two days."))
    assert "Parcels arrive within two days" in document.chunks[0].text
