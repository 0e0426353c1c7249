"""The benchmark of groundedness: its data, its fit, and floors below which no change may fall."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from bench.grounding import __main__ as command
from bench.grounding.__main__ import RIGHT, UNSUPPORTED, Judged, fitted, judged, read, report, scored
from graphs.support.citations import CitedSentence
from graphs.support.grounding import MODEL, Support
from tests.embedding_cache import cached_embedder


def test_every_kind_of_reply_is_there_in_both_halves() -> None:
    kinds = Counter((of, kind) for of, kind, *_ in read())
    for half in command.SETS:
        assert kinds[half, "close"] == kinds[half, "free"] >= 120
        assert min(kinds[half, kind] for kind in (*UNSUPPORTED, "negated", "swapped", "over_general")) >= 40
        assert min(kinds[half, "true"], kinds[half, "false"]) >= 80
    assert sum(kinds.values()) == 264 * 4 + 396


def reply(kind: str, *features: tuple[float, float], of: str = "fitted") -> Judged:
    found = [Support(CitedSentence("x", (1,)), scored_by(one), {}, [], *one) for one in features]
    return Judged(of, kind, False, found, frozenset())


def scored_by(features: tuple[float, float]) -> float:
    return 1.0 if features[0] < 3 else 0.0


def test_the_fit_finds_the_sentence_that_was_added() -> None:
    right = [reply("close", (0.5, 0.8), (1.0, 0.6)), reply("free", (1.0, 0.5), (1.5, 0.7)), reply("true", (0.2, 0.7))]
    wrong = [reply("added", (0.5, 0.8), (7.0, 0.3)), reply("invented", (8.0, 0.4)), reply("false", (6.0, 0.6))]
    model = fitted([*right, *wrong])
    assert model[1] < 0
    assert all(scored(one, model) > 0.5 for one in right)
    assert all(scored(one, model) < 0.5 for one in wrong)


async def test_a_quarter_of_the_replies_is_told_apart_as_it_was() -> None:
    """The whole is `make bench-grounding`; the model in use is the one that it fits."""
    embed = cached_embedder().embed_sentences
    replies = [await judged(*one, embed) for number, one in enumerate(read()) if number // 4 % 4 == 0]
    shares = defaultdict(list)
    for one in replies:
        if not one.translated:
            shares[one.kind].append(bool(one.refused))
    refused = {kind: sum(found) / len(found) for kind, found in shares.items()}
    assert refused["outside"] >= 0.95
    assert refused["invented"] >= 0.9
    assert refused["added"] >= 0.75
    assert refused["close"] <= 0.25
    assert refused["free"] <= 0.8
    assert refused["true"] <= 0.3
    found = report(replies)
    assert found["auroc_on_the_other_half"].keys() == {f"{half}, {kind}" for half in command.SETS for kind in RIGHT}
    assert min(found["auroc_on_the_other_half"].values()) > 0.75
    assert found["model"]["in_use"] == MODEL


def test_the_command_writes_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBX_DATA_DIR", str(tmp_path))

    async def measured(_embed: object) -> dict[str, int]:
        return {"replies": 1}

    monkeypatch.setattr(command, "measured", measured)
    assert command.main([str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text()) == {"replies": 1}
