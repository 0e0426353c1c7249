"""The benchmark of "nothing relevant": its measures, and two small sets through all of it."""

import json
import random
import sys
from pathlib import Path

import pytest

from bench.retrieval import relevance as command
from bench.retrieval.relevance import Model, Sample, fitted, worth
from tests.bench.test_retrieval import write
from tests.embedding_cache import CACHE
from vectorstore.relevance import NAMES

SURE = Model(-10.0, (20.0, *[0.0] * (len(NAMES) - 1)))


def sample(value: float, relevant: bool, *, held_out: bool = True, kind: command.Kind = "asked") -> Sample:
    return Sample("set", kind, held_out, (value, *[0.0] * (len(NAMES) - 1)), relevant)


def test_a_model_that_is_always_right_loses_nothing_and_tells_all() -> None:
    found = worth(SURE, [sample(1, True), sample(0, False, kind="removed"), sample(0, False, kind="unrelated")])
    assert (found["auroc"], found["lost"], found["removed_told"], found["unrelated_told"]) == (1.0, 0.0, 1.0, 1.0)
    assert (found["brier"], found["ece"]) == pytest.approx((0.0, 0.0), abs=1e-3)


def test_a_model_that_is_always_wrong_loses_all() -> None:
    found = worth(SURE, [sample(0, True), sample(1, False, kind="removed")])
    assert (found["auroc"], found["lost"], found["removed_told"], found["unrelated_told"]) == (0.0, 1.0, 0.0, None)
    assert found["ece"] == pytest.approx(1.0, abs=1e-3)


def test_only_what_is_not_held_out_is_fitted() -> None:
    draw = random.Random(5)
    samples = [
        sample(draw.gauss(relevant, 0.5), bool(relevant), held_out=False) for relevant in (0, 1) for _ in range(200)
    ]
    misleading = [sample(0.0, True) for _ in range(1000)]
    model = fitted([*samples, *misleading])
    assert model is not None
    assert model == fitted(samples)
    assert model.weights[0] > 2
    assert worth(model, samples)["auroc"] > 0.9
    assert fitted(misleading) is None


def test_two_sets_are_asked_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOBX_MODEL_DIR", str(CACHE))
    other = write(
        tmp_path / "biology",
        corpus='{"_id": "b", "text": "The enzyme lactase splits lactose in the small intestine."}\n',
        queries='{"_id": "e", "text": "Which enzyme splits lactose?"}\n',
        qrels="e\tb\t1\n",
    )
    out = tmp_path / "report.json"
    monkeypatch.setattr(sys, "argv", ["bench", str(write(tmp_path / "shop")), str(other), "--out", str(out)])
    assert command.main() == 0
    found = json.loads(out.read_text())
    held_out = found["in_use"]["all"]
    assert held_out["samples"] > 0
    assert held_out["brier"] < 0.5
    assert "auroc" in capsys.readouterr().out


def test_a_folder_that_is_no_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", str(tmp_path)])
    assert command.main() == 2
