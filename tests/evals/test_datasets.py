import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from evals.datasets import LineError, Sample, Turn, read_samples

FULL = {
    "id": "s-1",
    "question": "Und nach Österreich?",
    "history": [{"role": "user", "text": "Was kostet der Versand?"}, {"role": "assistant", "text": "14,95 €."}],
    "expected": "Auch 14,95 €.",
    "facts": ["14,95 €"],
    "relevant": ["lieferung-und-versand.md"],
    "answerable": True,
    "attack": False,
    "canary": "k-77",
    "language": "de",
}


@pytest.fixture
def dataset(tmp_path):
    def write(*lines: str | bytes | dict) -> Path:
        raw = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
        path = tmp_path / "set.jsonl"
        path.write_bytes(b"\n".join(line.encode() if isinstance(line, str) else line for line in raw))
        return path

    return write


def test_every_field_is_read(dataset):
    samples, errors = read_samples(dataset(FULL))

    assert errors == []
    assert samples == [
        Sample(
            id="s-1",
            question="Und nach Österreich?",
            history=(Turn("user", "Was kostet der Versand?"), Turn("assistant", "14,95 €.")),
            expected="Auch 14,95 €.",
            facts=("14,95 €",),
            relevant=("lieferung-und-versand.md",),
            answerable=True,
            attack=False,
            canary="k-77",
            language="de",
        )
    ]


def test_all_but_id_and_question_is_optional(dataset):
    samples, errors = read_samples(dataset({"id": "a", "question": "  Do you ship to Malta? "}))

    assert errors == []
    assert samples == [Sample(id="a", question="Do you ship to Malta?")]
    assert (samples[0].answerable, samples[0].attack, samples[0].facts, samples[0].canary) == (True, False, (), None)


def test_a_sample_cannot_be_changed(dataset):
    (sample,), _ = read_samples(dataset(FULL))

    with pytest.raises(FrozenInstanceError):
        sample.answerable = False


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("{not json", "JSON"),
        ("[1, 2]", "object"),
        ("[" * 100_000, "JSON"),
        (b'{"id": "x", "question": "\xff\xfe"}', "JSON"),
        ('{"id": "x", "question": "\\ud800"}', "JSON"),
        ({"question": "no id"}, "id"),
        ({"id": "x"}, "question"),
        ({"id": " ", "question": "q"}, "id"),
        ({"id": "x", "question": ""}, "question"),
        ({"id": 7, "question": "q"}, "id"),
        ({"id": "x", "question": "q", "answerable": "yes"}, "answerable"),
        ({"id": "x", "question": "q", "attack": 1}, "attack"),
        ({"id": "x", "question": "q", "attack": True, "canary": " "}, "canary"),
        ({"id": "x", "question": "q", "facts": "£4.50"}, "facts"),
        ({"id": "x", "question": "q", "facts": ["£4.50", ""]}, "facts.1"),
        ({"id": "x", "question": "q", "relevant": [3]}, "relevant.0"),
        ({"id": "x", "question": "q", "history": [{"role": "system", "text": "t"}]}, "history.0.role"),
        ({"id": "x", "question": "q", "history": [{"role": "user"}]}, "history.0.text"),
    ],
)
def test_a_malformed_line_is_reported_and_the_rest_is_read(dataset, line, where):
    samples, errors = read_samples(dataset({"id": "a", "question": "first"}, line, {"id": "b", "question": "last"}))

    assert [sample.id for sample in samples] == ["a", "b"]
    assert [error.line for error in errors] == [2]
    assert where in errors[0].reason


def test_the_first_of_two_equal_ids_is_kept(dataset):
    samples, errors = read_samples(dataset({"id": "a", "question": "first"}, {"id": "a", "question": "second"}))

    assert [sample.question for sample in samples] == ["first"]
    assert errors == [LineError(2, "id 'a' is already used by an earlier line")]


def test_an_id_of_a_broken_line_may_be_used_again(dataset):
    samples, errors = read_samples(dataset({"id": "a"}, {"id": "a", "question": "whole"}))

    assert [sample.question for sample in samples] == ["whole"]
    assert [error.line for error in errors] == [1]


def test_byte_order_mark_windows_lines_and_blank_lines(dataset):
    path = dataset('{"id": "a", "question": "one"}\r', "", "  \r", '{"id": "b", "question": "two\u2028lines"}', "oops")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    samples, errors = read_samples(path)

    assert [sample.question for sample in samples] == ["one", "two\u2028lines"]
    assert [error.line for error in errors] == [5]


def test_a_reason_does_not_repeat_the_text_of_the_line(dataset):
    _, errors = read_samples(dataset({"id": ["secret words"], "question": 5}))

    assert "secret" not in errors[0].reason
    assert "id" in errors[0].reason
    assert "question" in errors[0].reason


def test_an_empty_file_has_no_samples_and_no_errors(dataset):
    assert read_samples(dataset()) == ([], [])


def test_a_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_samples(tmp_path / "none.jsonl")


def test_unknown_fields_are_ignored(dataset):
    samples, errors = read_samples(dataset({"id": "a", "question": "q", "note": "checked by hand"}))

    assert (len(samples), errors) == (1, [])
