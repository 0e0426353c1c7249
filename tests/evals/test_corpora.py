"""Corpora and test sets in BEIR layout: what is read of them, and what is wrong with the rest."""

import json
import os

import pytest

from evals.corpora import Entry, NoCorpus, read_corpora
from evals.datasets import LineError, Sample, Turn, read_samples


@pytest.fixture
def beir(tmp_path):
    (tmp_path / "qrels").mkdir()
    corpus = [{"_id": "a", "title": "Returns", "text": "30 days.\u2028More."}, {"_id": 2, "text": "Two."}]
    queries = [
        {"_id": "q1", "text": "How long?", "answers": ["30 days", "thirty days"]},
        {
            "_id": "q2",
            "text": "And else?",
            "history": [{"role": "user", "text": "Hi"}],
            "answerability": "UNANSWERABLE",
        },
    ]
    lines = [json.dumps(one, ensure_ascii=False) for one in corpus] + ["[1]", "{broken", '{"_id": "e", "text": " "}']
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    (tmp_path / "queries.jsonl").write_text("\n".join([*map(json.dumps, queries), '"no"', '{"_id": "q3"}']))
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t1\nq1\t2\t0\n")
    return tmp_path


def test_a_folder_in_beir_layout_is_a_corpus_and_a_dataset(beir):
    entries, errors = read_corpora([beir])
    assert entries == [Entry("a", "Returns", "30 days.\u2028More."), Entry("2", "", "Two.")]
    assert [error.line for error in errors] == [3, 4, 5]
    samples, wrong = read_samples(beir)
    assert samples == [
        Sample("q1", "How long?", facts=("30 days|thirty days",), relevant=("a",)),
        Sample("q2", "And else?", history=(Turn("user", "Hi"),), answerable=False, tags=("unanswerable",)),
    ]
    assert wrong[0] == LineError(3, "this is not a JSON object")
    assert wrong[1].line == 4


def test_a_folder_of_files_is_known_by_their_paths(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.md").write_text("# B")
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / ".hidden").write_text("no")
    entries, errors = read_corpora([tmp_path])
    assert [(entry.id, entry.read()) for entry in entries] == [("a.txt", b"A"), ("deep/b.md", b"# B")]
    assert errors == []
    assert [entry.id for entry in read_corpora([tmp_path / "a.txt"])[0]] == ["a.txt"]


def test_the_first_of_two_equal_ids_is_kept_and_nothing_at_all_is_an_error(tmp_path):
    (tmp_path / "one.jsonl").write_text('{"_id": "a", "text": "first"}\n{"_id": "a", "text": "second"}')
    entries, errors = read_corpora([tmp_path / "one.jsonl"])
    assert ([entry.text for entry in entries], [error.line for error in errors]) == (["first"], [2])
    (tmp_path / "none.jsonl").write_text("\n")
    for path in (tmp_path / "none.jsonl", tmp_path / "missing"):
        with pytest.raises(NoCorpus, match=path.name):
            read_corpora([path])


def test_what_cannot_be_written_is_no_document(tmp_path):
    (tmp_path / "a.md").write_text("Text.")
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("Text.")
    entries, errors = read_corpora([tmp_path])
    assert [entry.id for entry in entries] == ["a.md"]
    assert "UTF-8" in errors[0].reason
    lines = tmp_path / "set.jsonl"
    lines.write_text('{"_id": "a", "text": "half \\ud800"}\n{"_id": "b", "text": "whole"}\n')
    entries, errors = read_corpora([lines])
    assert ([entry.id for entry in entries], [error.line for error in errors]) == (["b"], [1])


def test_questions_in_beir_layout_may_be_numbered_and_have_one_answer(beir):
    queries = [{"_id": 1, "text": "How long?", "answers": "30 days"}, {"_id": "2", "text": "Else?", "answers": 5}]
    (beir / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (beir / "qrels" / "test.tsv").write_text('1\t"a\t1\n2\tb\t1\r\n')
    samples, errors = read_samples(beir)
    assert errors == []
    assert [(one.id, one.facts, one.relevant) for one in samples] == [("1", ("30 days",), ('"a',)), ("2", (), ("b",))]


def test_one_broken_row_of_a_csv_costs_no_other(tmp_path):
    file = tmp_path / "set.csv"
    file.write_text('ID, Question,label,canary\n\na,How?,yes,\nb,"bad"q,,\nc,More?,no,\n,Nameless?,,\nd,Last?,,X-1\n')
    samples, errors = read_samples(file)
    assert [(one.id, one.label, one.canary) for one in samples] == [
        ("a", True, None),
        ("c", False, None),
        ("d", None, "X-1"),
    ]
    assert [error.line for error in errors] == [4, 6]


def test_a_csv_is_read_by_its_header(tmp_path):
    file = tmp_path / "set.csv"
    file.write_text(
        "id,question,facts,answerable,history\n"
        'a,How long?,"30 days\n£5",,"[{""role"": ""user"", ""text"": ""Hi""}]"\n'
        "b,Boats?,,No,\n"
        "c,Odd?,,perhaps,\n"
        "d,More?,,,,too many\n"
    )
    samples, errors = read_samples(file)
    assert samples == [
        Sample("a", "How long?", facts=("30 days", "£5"), history=(Turn("user", "Hi"),)),
        Sample("b", "Boats?", answerable=False),
    ]
    assert [error.line for error in errors] == [5, 6]
    assert "answerable" in errors[0].reason
    assert "more cells" in errors[1].reason
