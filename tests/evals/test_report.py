"""Reports: the fixed fields, comparisons, thresholds, and the documents that are made of them."""

import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from evals.html import to_html
from evals.junit import to_junit
from evals.report import (
    BadThreshold,
    NotAReport,
    compare,
    from_json,
    parse_thresholds,
    report,
    shortfalls,
    to_json,
)
from evals.results import Result
from evals.tasks import TASKS
from tests.evals.parts import handoff, output, sample, verdict

ANSWERS = TASKS["answers"]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} \x00\x1b"


def _told(covered, *, task=ANSWERS, latency=10.0, **fields):
    """A report on samples whose facts are covered so far."""
    samples = [
        sample(str(n), f"Question {n}?", facts=("30 days",), language="de" if n % 2 else "en", tags=("returns",))
        for n in range(len(covered))
    ]
    results = [
        Result(str(n), 0, output(verdicts=(verdict("groundedness"),)), {"facts_covered": value, "latency_ms": latency})
        for n, value in enumerate(covered)
    ]
    return report(task, "jobx/extractive", samples, results, 0, run={"seed": 0}, **fields), samples


def test_the_fixed_fields_are_as_scripts_know_them():
    told, _ = _told([1.0, 0.0, 1.0, 1.0])
    found = json.loads(to_json(told))
    assert {name: found[name] for name in ("task", "model", "samples", "not_scored")} == {
        "task": "answers",
        "model": "jobx/extractive",
        "samples": 4,
        "not_scored": 0,
    }
    assert found["metrics"]["facts_covered"]["value"] == 0.75
    assert set(found["metrics"]["facts_covered"]) == {"value", "low", "high"}
    assert found["failures"] == ["1"]
    assert found["slices"]["language: de"]["facts_covered"]["value"] == 0.5
    # A slice that all samples are in says nothing of its own.
    assert "returns" not in found["slices"]


def test_a_report_is_read_as_it_was_written(tmp_path):
    told, _ = _told([1.0, 0.5])
    (tmp_path / "run.json").write_text(to_json(told))
    assert from_json(tmp_path / "run.json") == told
    (tmp_path / "other.json").write_text('{"task": "answers"}')
    with pytest.raises(NotAReport, match=r"other\.json"):
        from_json(tmp_path / "other.json")


def test_what_is_not_scored_counts_in_no_metric():
    samples = [sample("a"), sample("b"), sample("c")]
    results = [
        Result("a", 0, output(), {"facts_covered": 1.0}),
        Result("b", 0, None, not_scored="model_unavailable"),
        Result("c", 0, None, not_scored="model_unavailable"),
    ]
    told = report(ANSWERS, "m", samples, results, 0)
    assert (told.samples, told.not_scored, told.metrics["facts_covered"].value) == (3, 2, 1.0)
    assert told.not_scored_reasons == {"model_unavailable": 2}
    assert told.failures == []


def test_two_runs_side_by_side():
    before, _ = _told([1.0, 0.0] * 20)
    after, _ = _told([1.0, 1.0] * 20, latency=90.0)
    found = compare(before, after)
    (facts,) = [change for change in found.changes if change.metric.name == "facts_covered"]
    assert (facts.before.value, facts.after.value, facts.gained.value) == (0.5, 1.0, 0.5)
    assert facts.is_better
    assert not facts.is_worse
    assert facts.gained.low > 0
    assert len(found.mended) == 20
    assert found.broken == []
    (slower,) = [change for change in found.changes if change.metric.name == "latency_p50_ms"]
    assert slower.is_worse


def test_a_change_within_its_interval_is_neither():
    before, _ = _told([1.0, 0.0] * 20)
    after, _ = _told([0.0, 1.0] + [1.0, 0.0] * 19)
    (facts,) = [change for change in compare(before, after).changes if change.metric.name == "facts_covered"]
    assert not facts.is_better
    assert not facts.is_worse


def test_runs_of_two_tasks_cannot_be_compared():
    one, _ = _told([1.0])
    other, _ = _told([1.0], task=TASKS["refusal"])
    with pytest.raises(NotAReport, match="refusal"):
        compare(one, other)


def test_thresholds_are_by_the_way_that_is_better():
    told, _ = _told([1.0, 0.0], latency=50.0)
    assert shortfalls(told, {"facts_covered": 0.5, "latency_p50_ms": 50}) == []
    wrong = shortfalls(told, {"facts_covered": 0.6, "latency_p50_ms": 40, "judged": 0.5})
    assert len(wrong) == 3
    assert "at least 0.6" in wrong[0]
    assert "at most 40" in wrong[1]
    assert "judged could not be measured" in wrong[2]


def test_a_baseline_refuses_what_is_surely_worse():
    before, _ = _told([1.0] * 40)
    after, _ = _told([1.0, 0.0] * 20, latency=99.0)
    (wrong,) = shortfalls(after, {}, compare(before, after))
    assert "facts_covered" in wrong
    # A threshold says that so much is enough.
    assert shortfalls(after, {"facts_covered": 0.4}, compare(before, after)) == []
    assert shortfalls(before, {}, compare(after, before)) == []


def test_a_baseline_passes_nothing_that_could_not_be_compared():
    before, samples = _told([1.0] * 4)
    down = [Result(one.id, 0, None, not_scored="model_unavailable") for one in samples]
    after = report(ANSWERS, "m", samples, down, 0, run={"seed": 0})
    wrong = shortfalls(after, {}, compare(before, after))
    assert wrong == [
        "no sample was scored both here and in the baseline",
        "facts_covered could not be measured, and was in the baseline",
    ]
    others = [sample(f"other-{one.id}") for one in samples]
    results = [Result(one.id, 0, output(), {"facts_covered": 0.0}) for one in others]
    comparison = compare(before, report(ANSWERS, "m", others, results, 0, run={"seed": 0}))
    assert comparison.shared == 0
    assert len(shortfalls(after, {}, comparison)) == 1


@pytest.mark.parametrize(
    "text",
    ["recall", "nothing=0.5", "facts_covered=high", "facts_covered", "facts_covered=", "judged=nan", "judged=-inf"],
)
def test_a_threshold_that_is_none_is_refused(text):
    with pytest.raises(BadThreshold):
        parse_thresholds(ANSWERS, [text])


def test_thresholds_are_read():
    assert parse_thresholds(ANSWERS, ["facts_covered=0.8", "groundedness=1"]) == {
        "facts_covered": 0.8,
        "groundedness": 1.0,
    }


class _Page(HTMLParser):
    """Tags and what could ask for something elsewhere."""

    def __init__(self):
        super().__init__()
        self.tags, self.requests, self.handlers = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.requests += [value for name, value in attrs if name in ("src", "href", "action", "srcset", "poster")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def _page(told, samples, **fields):
    page = _Page()
    text = to_html(told, samples, **fields)
    page.feed(text)
    return page, text


def test_the_page_asks_for_nothing_and_runs_nothing():
    asked = sample("x", EVIL, facts=(EVIL,), expected=EVIL, relevant=(EVIL,), tags=(EVIL,))
    said = output(EVIL, verdicts=(verdict("groundedness", 0.2, "handoff"),))
    results = [Result("x", 0, said, {"facts_covered": 0.0})]
    told = report(ANSWERS, EVIL, [asked, sample("y")], results, 0, run={"seed": 0}, line_errors=[EVIL])
    page, text = _page(told, [asked], wrong=[EVIL], checked=True)
    assert page.requests == []
    assert page.handlers == []
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "{{ 7*7 }}" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_the_page_shows_what_went_wrong_beside_what_was_wanted():
    told, samples = _told([1.0, 0.0])
    _, text = _page(told, samples)
    wrong, _, well = text.partition("Done well")
    assert "Question 1?" in wrong
    assert "Question 1?" not in well
    assert "Question 0?" not in wrong
    assert "Question 0?" in well
    assert "groundedness" in wrong
    assert "30 days" in wrong


def test_the_page_of_an_empty_run_says_so():
    _, text = _page(report(ANSWERS, "m", [], [], 0, run={"seed": 0}), [])
    assert "Nothing could be measured" in text


def test_the_page_shows_the_baseline():
    before, _ = _told([1.0, 0.0] * 20)
    after, samples = _told([1.0, 1.0] * 20)
    _, text = _page(after, samples, comparison=compare(before, after), checked=True)
    assert "+0.5" in text
    assert "Good enough" in text


def test_the_curve_is_drawn_for_refusal():
    samples = [sample(str(n), answerable=n % 2 == 0) for n in range(10)]
    scores = [{"refused": 0.0, "should_refuse": float(n % 2), "confidence": n / 10} for n in range(10)]
    results = [Result(str(n), 0, output(), one) for n, one in enumerate(scores)]
    told = report(TASKS["refusal"], "m", samples, results, 0, run={"seed": 0})
    assert "polyline" in to_html(told, samples)


def test_junit_has_a_case_for_each_sample_and_one_for_the_whole():
    samples = [sample("a\uffff"), sample(EVIL), sample("c")]
    results = [
        Result("a\uffff", 0, output(), {"facts_covered": 1.0}),
        Result(EVIL, 0, handoff(), {"facts_covered": 0.0}),
        Result("c", 0, None, not_scored="timed_out"),
    ]
    told = report(ANSWERS, "m", samples, results, 0)
    suite = ET.fromstring(to_junit(told, ["facts_covered is 0.5"]))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    kinds = [[child.tag for child in case] for case in suite]
    assert kinds == [[], ["failure"], ["skipped"], ["failure"]]
    assert suite[3][0].get("message") == "facts_covered is 0.5"
