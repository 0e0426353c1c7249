"""Questions with their answers, a pair a line."""

import json

import pytest

from ingestion.chunk import embedding_text, split
from ingestion.parse import Parser
from ingestion.types import IngestionError, Limits, ParsedDocument

pytestmark = pytest.mark.asyncio(loop_scope="session")


def lines(*pairs: dict[str, object]) -> bytes:
    return "\n".join(json.dumps(pair, ensure_ascii=False) for pair in pairs).encode()


async def read(parser: Parser, data: bytes, filename: str | None = "faq.jsonl") -> ParsedDocument:
    return await parser.parse(data, filename=filename, media_type=None, limits=Limits())


async def test_each_pair_is_a_section_under_its_question(parser: Parser) -> None:
    data = lines(
        {"question": "When do you open?", "answer": "At nine.\u2028Every day."},
        {"questions": ["Can I return it?", "Do you take\u0000 returns?"], "answer": "Yes, within 30 days."},
        {"question": "Where?", "questions": ["In which town?"], "answer": "Oslo."},
    )
    document = await read(parser, data + b"\r\n\r\n")
    assert [(section.heading, section.question, section.text) for section in document.sections] == [
        (("When do you open?",), "When do you open?", "When do you open?\nAt nine.\nEvery day."),
        (
            ("Can I return it?",),
            "Can I return it?\nDo you take returns?",
            "Can I return it?\nDo you take returns?\nYes, within 30 days.",
        ),
        (("Where?",), "Where?\nIn which town?", "Where?\nIn which town?\nOslo."),
    ]
    assert document.language is None
    assert (await read(parser, data, None)).sections == document.sections


async def test_the_language_is_what_all_lines_say(parser: Parser) -> None:
    pair = {"question": "Wann?", "answer": "Um neun.", "language": "de-AT"}
    assert (await read(parser, lines(pair, pair))).language == "de"
    assert (await read(parser, lines(pair, pair | {"language": "fr"}))).language is None
    assert (await read(parser, lines(pair | {"language": "Ann's own words"}))).language is None


async def test_a_pair_is_a_chunk_and_a_long_one_no_approved_answer(parser: Parser) -> None:
    long = "One word after another. " * 40
    document = await read(parser, lines(*[{"question": f"Q{n}?", "answer": f"A{n}."} for n in range(5)]))
    chunks = split(document, str.split, chunk_tokens=64, overlap=8)
    assert [(chunk.question, chunk.text) for chunk in chunks] == [(f"Q{n}?", f"Q{n}?\nA{n}.") for n in range(5)]
    assert embedding_text("FAQ", chunks[0]) == "FAQ\nQ0?\nA0."
    first, second, *_ = split(await read(parser, lines({"question": "Q?", "answer": long})), str.split, 64, 8)
    # Half an answer is none that could be given word for word.
    assert first.question is second.question is None
    assert embedding_text(None, second).startswith("Q?\nOne word")


async def test_a_pair_of_the_full_length_is_not_cut(parser: Parser) -> None:
    question, answer = "word " * 30 + "?", "word " * 29
    (chunk,) = split(await read(parser, lines({"question": question, "answer": answer})), str.split, 64, 8)
    assert chunk.text == f"{' '.join(question.split())}\n{answer.strip()}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "Line 2 is not JSON"),
        (b"[" * 5000, "nested too deeply"),
        (b'["Q", "A"]', "Line 2 is not an object"),
        (b'{"question": "Q"}', "Line 2 has no “answer”"),
        (b'{"question": "Q", "answer": " "}', "Line 2 has no “answer”"),
        (b'{"answer": "A"}', "Line 2 has no “question”"),
        (b'{"questions": "Q", "answer": "A"}', "Line 2 has no “question”"),
        (b'{"questions": ["Q", 1], "answer": "A"}', "Line 2 has no “question”"),
        (b'{"question": "Q", "answer": "A", "tags": []}', "Line 2 has a field “tags”"),
        (b'{"question": "Q", "answer": "A", "language": 1}', "Line 2 has a “language”"),
    ],
)
async def test_a_line_that_is_no_pair_fails_the_file(parser: Parser, line: bytes, words: str) -> None:
    with pytest.raises(IngestionError, match=words) as refused:
        await read(parser, lines({"question": "Q", "answer": "A"}) + b"\n" + line)
    assert refused.value.code in ("malformed", "too_complex")


async def test_json_of_another_shape_without_a_name_is_text(parser: Parser) -> None:
    assert (await read(parser, b'{"a": 1}\n{"a": 2}', None)).sections[0].text == '{"a": 1}\n{"a": 2}'
