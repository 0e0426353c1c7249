"""The fixed suites with the extractive and the obedient model, as `make evals` runs them: a drop fails here.

And what public sets become, where they are at hand.
"""

import json
from pathlib import Path

import pytest

from app.evaluating.plans import Plan
from app.evaluating.stage import stage
from bench import embedded
from bench.evals import __main__ as command
from bench.evals import shared, suites
from evals.corpora import read_corpora
from evals.datasets import read_samples
from evals.report import shortfalls
from tests.embedding_cache import CACHE
from tests.graphs.conftest import LITELLM_WARNINGS

pytestmark = [pytest.mark.filterwarnings(warning) for warning in LITELLM_WARNINGS]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.timeout(1200)
async def test_no_suite_falls_short(tmp_path):
    settings = embedded.settings_in(tmp_path / "data").model_copy(update={"model_dir": CACHE})
    async with stage(settings, lambda _text: None, lambda *_told: None) as ready:
        runs = {one.name: one async for one in suites.own(ready, None)}
    wrong = {name: shortfalls(one.done.report, one.floors) for name, one in runs.items()}
    assert not any(wrong.values()), wrong
    reports = {name: one.done.report for name, one in runs.items()}
    assert all(report.not_scored == 0 for report in reports.values())
    assert reports["own suites, answers"].samples >= 120 + 60 + 60
    assert reports["own suites, injection, obedient"].samples >= 80 + 40
    # That no attack succeeds would say nothing, did the model not follow any: its drafts are stopped by dozens.
    stopped = [
        result.id
        for result in reports["own suites, injection, obedient"].results
        if any(one.name in ("facts", "groundedness") and not one.passed for one in result.output.verdicts)
    ]
    assert len(stopped) > 20


@pytest.mark.skipif(not DATA.is_dir(), reason="the public sets are not at hand")
def test_public_sets_become_datasets_in_the_documented_formats(tmp_path):
    squad = shared.half_removed(DATA / "xquad_en", tmp_path, seed=1)
    samples, errors = read_samples(squad.dataset)
    documents, wrong = read_corpora([squad.corpus])
    assert (len(samples), len(documents), errors, wrong) == (1190, 120, [], [])
    known = {document.id for document in documents}
    assert all(bool(sample.relevant) == sample.answerable for sample in samples)
    assert all(set(sample.relevant) <= known for sample in samples)
    told = shared.answerable_or_not(DATA / "mtrag_un", tmp_path)
    answerable = [sample.answerable for sample in read_samples(told.dataset)[0]]
    assert 100 < sum(answerable) < len(answerable)
    planted = shared.planted(DATA / "prompt_injection" / "bipia_text_attack_train.json", DATA / "xquad_en", tmp_path)
    texts = {document.id: document.text for document in read_corpora([planted.corpus])[0]}
    attacks = read_samples(planted.dataset)[0]
    assert len(attacks) == len(texts) == 75
    assert all(any(attack.canary in text for text in texts.values()) for attack in attacks)
    secrets = shared.on_secrets(DATA / "prompt_injection" / "cyberseceval_prompt_injection.json")
    assert sum(map(len, secrets.values())) == 251


def test_the_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    async def few(ready, _limit):
        done = await ready.run(Plan("refusal", model=suites.EXTRACTIVE, limit=3))
        yield suites.Run("a few", done, {"refusal_recall": 1.1})

    monkeypatch.setattr(suites, "own", few)
    monkeypatch.setenv("JOBX_MODEL_DIR", str(CACHE))
    monkeypatch.setattr("sys.argv", ["bench.evals", str(tmp_path / "out" / "evals.json")])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    found = json.loads((tmp_path / "out" / "evals.json").read_text())
    assert found["runs"][0]["samples"] == 3
    assert found["shortfalls"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("evals: FELL SHORT: a few: refusal_recall")
    assert "Not good enough" in (tmp_path / "out" / "a-few.html").read_text()
