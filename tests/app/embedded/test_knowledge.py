"""The sample knowledge base: complete, reproducible, and what the sample questions stand on."""

import io
import re
from functools import cache
from pathlib import Path

import docx
import pypdfium2
import pytest
import trafilatura
from docx.table import Table

from app.embedded.knowledge_src import build
from evals.datasets import Sample, read_samples

KNOWLEDGE = build.KNOWLEDGE
PAGES = sorted(KNOWLEDGE.iterdir())
DATASET = Path(__file__).parents[3] / "evals" / "datasets" / "sample.jsonl"
BUILT = sorted(build.SOURCES.glob("*.md"))
CHROME = ("Skip to content", "Basket (0)", "Accept all", "Was this page helpful?", "Legal notice", "Warenkorb (0)")


def pdf_text(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def docx_text(data: bytes) -> str:
    document = docx.Document(io.BytesIO(data))
    parts = []
    for block in document.iter_inner_content():
        rows = block.rows if isinstance(block, Table) else []
        parts += [" ".join(cell.text for cell in row.cells) for row in rows] or [getattr(block, "text", "")]
    return "\n".join(parts)


def html_text(data: bytes) -> str:
    return trafilatura.extract(data.decode(), include_tables=True) or ""


READERS = {".pdf": pdf_text, ".docx": docx_text, ".html": html_text, ".md": bytes.decode}


@cache
def text_of(page: Path) -> str:
    return " ".join(READERS[page.suffix](page.read_bytes()).split())


@cache
def samples() -> list[Sample]:
    found, errors = read_samples(DATASET)
    assert errors == []
    return found


def test_there_are_enough_pages_in_all_four_formats():
    assert len(PAGES) >= 25
    assert {page.suffix for page in PAGES} == {".md", ".html", ".pdf", ".docx"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_text_and_is_small(page):
    assert len(text_of(page).split()) > 200
    assert page.stat().st_size < 40_000


@pytest.mark.parametrize("page", [page for page in PAGES if page.suffix == ".md"], ids=lambda page: page.name)
def test_a_markdown_page_has_one_title(page):
    assert len(re.findall(r"^# \S", page.read_text(encoding="utf-8"), re.MULTILINE)) == 1


@pytest.mark.parametrize("page", [page for page in PAGES if page.suffix == ".html"], ids=lambda page: page.name)
def test_a_web_page_is_more_than_its_main_content(page):
    source = page.read_text(encoding="utf-8")
    assert all(f"<{tag}" in source for tag in ("main", "nav", "header", "footer", "h1"))
    assert 'id="cookie-banner"' in source
    assert [words for words in CHROME if words in text_of(page)] == []


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    return {file.name: file for file in build.build(tmp_path_factory.mktemp("knowledge"))}


@pytest.mark.parametrize("name", [source.stem for source in BUILT])
def test_a_built_page_says_what_its_source_says(rebuilt, name):
    assert text_of(rebuilt[name]) == text_of(KNOWLEDGE / name)


def test_every_pdf_and_word_file_has_a_source(rebuilt):
    assert sorted(rebuilt) == [page.name for page in PAGES if page.suffix in (".pdf", ".docx")]


def test_two_builds_are_the_same_bytes(rebuilt, tmp_path):
    assert all(file.read_bytes() == rebuilt[file.name].read_bytes() for file in build.build(tmp_path))


def test_pdf_pages_and_word_styles_are_real():
    several = [page for page in PAGES if page.suffix == ".pdf" and len(pypdfium2.PdfDocument(page)) > 1]
    documents = [docx.Document(str(page)) for page in PAGES if page.suffix == ".docx"]

    assert len(several) >= 2
    assert sum(bool(document.tables) for document in documents) >= 2
    assert all(document.paragraphs[0].style.name == "Heading 1" for document in documents)
    assert all(any(p.style.name == "Heading 2" for p in document.paragraphs) for document in documents)


def test_a_source_without_a_title_is_refused(tmp_path, monkeypatch):
    (tmp_path / "untitled.pdf.md").write_text("Only a paragraph.\n", encoding="utf-8")
    monkeypatch.setattr(build, "SOURCES", tmp_path)

    with pytest.raises(ValueError, match=r"untitled\.pdf\.md"):
        build.build(tmp_path)


def test_the_sample_questions_refer_to_pages_that_hold_their_facts():
    wrong = [
        (sample.id, fact)
        for sample in samples()
        for fact in sample.facts
        if not any(fact in text_of(KNOWLEDGE / name) for name in sample.relevant)
    ]
    assert wrong == []
    assert {name for sample in samples() for name in sample.relevant} <= {page.name for page in PAGES}


def test_the_sample_questions_are_of_both_kinds_and_three_languages():
    answerable = [sample for sample in samples() if sample.answerable]
    unanswerable = [sample for sample in samples() if not sample.answerable]

    assert (len(answerable), len(unanswerable)) == (60, 25)
    assert all(sample.facts and sample.relevant for sample in answerable)
    assert not any(sample.facts or sample.relevant for sample in unanswerable)
    assert [sum(s.language == code for s in answerable) for code in ("en", "de", "es")] == [50, 6, 4]


def test_every_page_says_only_invented_addresses():
    text = " ".join(page.read_text(encoding="utf-8") for page in PAGES if page.suffix in (".md", ".html"))
    text += " ".join(text_of(page) for page in PAGES if page.suffix in (".pdf", ".docx"))

    hosts = set(re.findall(r"(?:https?://|@)([\w.-]+\w)", text))
    phones = set(re.findall(r"\+\d[\d ]{6,}\d", text))
    assert all(host.endswith("marlowandfinch.example") for host in hosts)
    assert all(re.fullmatch(r"\+44 20 7946 0\d{3}", phone) for phone in phones)
    assert len(phones) > 5
