import pytest

from ingestion.parse import Parser
from ingestion.pipeline import ingest
from ingestion.types import IngestedDocument, IngestionError, Limits
from tests.ingestion import files

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run(parser: Parser, data: bytes, filename: str | None, title: str | None = None) -> IngestedDocument:
    return await ingest(
        data, filename=filename, media_type=None, parser=parser, tokenizer=str.split, limits=Limits(), title=title
    )


async def test_a_document_becomes_chunks_with_pages(parser: Parser) -> None:
    data = files.pdf(
        "Shipping\n" + "We ship soon. " * 120,
        "Returns\nWithin 30 days.",
        title="Guide",
        headings=["Shipping", "Returns"],
    )
    document = await run(parser, data, "a.pdf")
    assert (document.title, document.pages) == ("Guide", 2)
    assert [(chunk.page, chunk.heading) for chunk in document.chunks] == [
        *[(1, ("Shipping",))] * (len(document.chunks) - 1),
        (2, ("Returns",)),
    ]
    assert len(document.chunks) > 2


@pytest.mark.parametrize(
    ("data", "filename", "given", "title"),
    [
        (b"---\ntitle: Own\n---\n# Heading\ntext", "file.md", "  Given\x00 name ", "Given name"),
        (b"---\ntitle: Own\n---\n# Heading\ntext", "file.md", None, "Own"),
        (b"# Heading\ntext", "file.md", None, "Heading"),
        (b"text", "shop hours.final.txt", None, "shop hours.final"),
        (b"text", None, None, None),
    ],
)
async def test_title(parser: Parser, data: bytes, filename: str | None, given: str | None, title: str | None) -> None:
    assert (await run(parser, data, filename, given)).title == title


async def test_a_bad_file_fails_in_words(parser: Parser) -> None:
    with pytest.raises(IngestionError, match="damaged"):
        await run(parser, b"%PDF-1.7", "a.pdf")
