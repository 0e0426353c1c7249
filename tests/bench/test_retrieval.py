"""The retrieval benchmark: what it refuses to read, what its measures are, and a small set through all of it."""

import json
import math
from pathlib import Path

import pytest

from bench.retrieval import __main__ as command
from bench.retrieval import rivals
from bench.retrieval.data import NotBeir, read
from bench.retrieval.measures import SYSTEMS, line, measure, shortfalls
from tests.embedding_cache import CACHE
from vectorstore.model_files import find_model

HEADER = "query-id\tcorpus-id\tscore\n"
CORPUS = [
    {"_id": "a b/ü<::>1", "title": "Returns", "text": "You can return shoes within 30 days of delivery."},
    {"_id": "2", "title": "Returns", "text": "Returning by post costs 3 pounds, in the shop it is free."},
    {"_id": "3", "title": "", "text": "We deliver to Ireland and France within five days."},
    {"_id": "4", "text": "We deliver to Ireland and France within five days.\n"},
    {"_id": "4 again", "text": "We deliver to Ireland and France within five days."},
    {"_id": 5, "title": "Gift cards", "text": "A gift card is valid for three years. " * 40},
    {"_id": "rtf", "title": "Not what it is called", "text": "{\\rtf1 no plain text}"},
    {"_id": "empty", "title": "Nothing", "text": " \n"},
]
QUERIES = [
    {"_id": "q1", "text": "how long can I return shoes?"},
    {"_id": "q2", "text": "Do you deliver to Ireland?"},
    {
        "_id": "q3",
        "text": "customer: hello\nagent: how can I help?\n" * 150 + "customer: how long is my gift card valid?",
    },
    {"_id": "nobody judged it", "text": "Where are you?"},
    {"_id": "nothing is relevant", "text": "Who are you?"},
]
JUDGEMENTS = [
    ("q1", "a b/ü<::>1", 2),
    ("q1", "2", 1),
    ("q1", "3", 0),
    ("q2", "3", 1),
    ("q2", "4", 1),
    ("q2", "4 again", 1),
    ("q3", "5", 1),
    ("nothing is relevant", "3", 0),
    ("unheard of", "3", 1),
]


def write(folder: Path, *, corpus: str | None = None, queries: str | None = None, qrels: str | None = None) -> Path:
    (folder / "qrels").mkdir(parents=True)
    judged = "".join(f"{query}\t{document}\t{score}\n" for query, document, score in JUDGEMENTS)
    (folder / "corpus.jsonl").write_text(corpus if corpus is not None else _lines(CORPUS))
    (folder / "queries.jsonl").write_text(queries if queries is not None else _lines(QUERIES))
    (folder / "qrels" / "test.tsv").write_text(qrels if qrels is not None else HEADER + judged)
    return folder


def _lines(objects: list[dict]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def test_a_set_is_read_and_what_cannot_be_measured_is_counted(tmp_path: Path) -> None:
    found = read(write(tmp_path / "shop"))
    assert found.name == "shop"
    assert [entry.id for entry in found.documents] == ["a b/ü<::>1", "2", "3", "4", "4 again", "5", "rtf"]
    assert list(found.queries) == ["q1", "q2", "q3"]
    assert found.judgements["q1"] == {"a b/ü<::>1": 2, "2": 1, "3": 0}
    assert found.left_out == {
        "documents without text": 1,
        "queries without a relevant document": 2,
        "judgements of unknown queries": 1,
    }


@pytest.mark.parametrize(
    "qrels",
    [
        "q1\t2\t1\n",
        "\ufeffquery-id\tcorpus-id\tscore\r\nq1\t2\t1\r\n\r\n",
        "q1\t2\t1.0",
        '"q1"\t"2"\t"1"\n',
        "q1\t2\t1\nq1\t2\t1\n",
    ],
)
def test_judgements_come_in_several_spellings(tmp_path: Path, qrels: str) -> None:
    assert read(write(tmp_path / "set", qrels=qrels)).judgements == {"q1": {"2": 1}}


def test_a_line_separator_in_a_text_ends_no_line(tmp_path: Path) -> None:
    corpus = "\ufeff" + '{"_id": "2", "title": null, "text": "one\u2028two", "more": [1]}\r\n\n' * 2
    [entry] = read(write(tmp_path / "set", corpus=corpus)).documents
    assert (entry.title, entry.text) == ("", "one\u2028two")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"corpus": '{"_id": "1", "text": "x"}\n\n{"_id": "2",\n'}, r"corpus\.jsonl:3: this is not JSON"),
        ({"corpus": "[1]\n"}, r"corpus\.jsonl:1: this is not a JSON object"),
        ({"corpus": '{"_id": null, "text": "x"}'}, r"corpus\.jsonl:1: `_id`"),
        ({"queries": '{"text": "x"}'}, r"queries\.jsonl:1: `_id`"),
        ({"queries": '{"_id": "1"}'}, r"queries\.jsonl:1: `text` is missing"),
        ({"corpus": '{"_id": "1", "text": ["x"]}'}, r"corpus\.jsonl:1: `text` is no text"),
        ({"corpus": '{"_id": "1", "text": "x"}\n{"_id": "1", "text": "y"}'}, r"corpus\.jsonl:2: the _id '1'"),
        ({"qrels": HEADER + "q1\t2\n"}, r"test\.tsv:2: .* three fields .* not 2"),
        ({"qrels": "q1 2 1\n"}, r"test\.tsv:1: .* three fields"),
        ({"qrels": HEADER + "q1\t2\thigh\n"}, r"test\.tsv:2: the score 'high'"),
        ({"qrels": HEADER + "q1\t2\t0.5\n"}, r"test\.tsv:2: the score '0\.5'"),
        ({"qrels": "q1\t2\t1\nq1\t2\t2\n"}, r"test\.tsv:2: .* another score"),
        ({"corpus": ""}, "there is no document"),
        ({"qrels": ""}, "there is no query with a relevant document"),
    ],
)
def test_what_is_malformed_is_told_with_its_line(tmp_path: Path, files: dict[str, str], told: str) -> None:
    folder = write(tmp_path / "set", **files)
    with pytest.raises(NotBeir, match=told):
        read(folder)


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "1", "text": "x"}\n\xff\n')
    with pytest.raises(NotBeir, match=r"corpus\.jsonl:2: this is not UTF-8"):
        read(folder)
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(NotBeir, match=r"corpus\.jsonl: it cannot be read"):
        read(folder)


def test_the_measures_are_those_computed_by_hand() -> None:
    judgements = {"one": {"a": 2, "b": 1, "c": 0}, "two": {"x": 1, "y": 1}, "three": {"z": 1}}
    answers = {"one": ["c", "b", "a"], "two": ["1", "2", "3", "4", "5", "x"]}
    one = (1 / math.log2(3) + 2 / math.log2(4)) / (2 + 1 / math.log2(3))
    two = (1 / math.log2(7)) / (1 + 1 / math.log2(3))
    found = measure(judgements, answers)
    assert found == {
        "ndcg@10": pytest.approx((one + two) / 3, abs=1e-4),
        "recall@5": pytest.approx(1 / 3, abs=1e-4),
        "mrr@10": pytest.approx((1 / 2 + 1 / 6) / 3, abs=1e-4),
    }


def rows(**scores: float) -> list[dict]:
    given = {name: scores.get(name.partition("-")[0], 0.5) for name in SYSTEMS}
    return [{"system": name, "ndcg@10": score} for name, score in given.items()]


@pytest.mark.parametrize(
    ("scores", "best", "told"),
    [
        ({"jobx": 0.5}, 0.505, []),
        ({"jobx": 0.495}, 0.5, []),
        ({"jobx": 0.494, "bm25": 0.4}, 0.494, ["dense", "llamaindex-default", "langchain-qdrant-default"]),
        ({"jobx": 0.506, "llamaindex": 0.512}, 0.5, ["llamaindex-default has 0.512"]),
        ({"jobx": 0.6}, 0.607, ["a weight of 0.5 has 0.607"]),
    ],
)
def test_falling_short_is_told(scores: dict[str, float], best: float, told: list[str]) -> None:
    measured = rows(**scores)
    weights = [{"weight": 0.1, "ndcg@10": 0.1}, {"weight": 0.5, "ndcg@10": best}]
    broken = shortfalls(measured, weights)
    assert len(broken) == len(told)
    assert all(words in text for words, text in zip(told, broken, strict=True))
    said = line({"set": "s", "rows": measured, "weights": weights, "shortfalls": broken})
    assert said.startswith("bench-retrieval s: " + ("FELL SHORT" if told else "ok"))


def test_a_system_that_was_not_measured_is_a_shortfall() -> None:
    assert shortfalls([{"system": "jobx", "ndcg@10": 1.0}], [])[0] == "bm25 was not measured"


@pytest.fixture
def small_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOBX_MODEL_DIR", str(CACHE))
    return write(tmp_path / "shop")


def test_a_small_set_goes_through_all_of_it(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rivals, "missing", lambda: ["langchain_qdrant"])
    out = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["bench.retrieval", str(small_set), str(out)])
    # Without the rivals it cannot be known whether Jobx falls short of them.
    assert command.main() == 1
    found = json.loads(out.read_text())
    assert [row["system"] for row in found["rows"]] == ["bm25", "dense", "jobx"]
    assert (found["set"], found["documents"], found["queries"], sum(found["unread"].values())) == ("shop", 7, 3, 1)
    assert found["longer_than_the_api_takes"] == 1
    assert found["chunks"] > 5
    jobx = found["rows"][-1]
    # All documents with the same text were found, and of the long one the best chunk.
    assert jobx == {"system": "jobx", "ndcg@10": 1.0, "recall@5": 1.0, "mrr@10": 1.0}
    assert [row["weight"] for row in found["weights"]] == [tenth / 10 for tenth in range(11)]
    assert [found["weights"][place]["mrr@10"] for place in (0, -1)] == [row["mrr@10"] for row in found["rows"][:2]]
    assert found["shortfalls"] == ["llamaindex-default was not measured", "langchain-qdrant-default was not measured"]
    printed = capsys.readouterr().out.splitlines()
    assert "Left out: 1 documents without text" in printed
    assert printed[-1].startswith("bench-retrieval shop: FELL SHORT")


def test_a_folder_that_is_none_is_told_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench.retrieval", str(tmp_path)])
    assert command.main() == 2
    assert "corpus.jsonl: it cannot be read" in capsys.readouterr().err


@pytest.mark.skipif(bool(rivals.missing()), reason="the extra `bench` is not installed: make bench-retrieval")
@pytest.mark.filterwarnings("ignore")
def test_the_rivals_find_the_same_documents(tmp_path: Path) -> None:
    found = rivals.answers(read(write(tmp_path / "shop")), find_model(None), print)
    assert list(found) == ["llamaindex-default", "langchain-qdrant-default"]
    for answers in found.values():
        assert answers["q1"][0] == "a b/ü<::>1"
        assert set(answers["q2"][:3]) == {"3", "4", "4 again"}
        assert sorted(answers["q3"]) == ["2", "3", "4", "4 again", "5", "a b/ü<::>1", "rtf"]
