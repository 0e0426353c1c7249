"""Metrics of known scores, and intervals that hold what they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from evals import metrics
from evals.judge import agreement
from evals.metrics import Metric, columns_of, curve, differences, mean, measured
from tests.evals.parts import result

_REFUSING = [
    Metric("precision", metrics.refusal_precision),
    Metric("recall", metrics.refusal_recall),
    Metric("f1", metrics.refusal_f1),
    Metric("auroc", metrics.auroc),
]
_JUDGED = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-1, 1)), min_size=2, max_size=40)


@given(_JUDGED)
def test_refusal_is_measured_as_scikit_learn_has_it(cases):
    results = [
        result(str(number), refused=refused, should_refuse=should, confidence=sure)
        for number, (refused, should, sure) in enumerate(cases)
    ]
    columns = columns_of(results)
    refused, should, sure = zip(*cases, strict=True)
    if any(refused):
        assert metrics.refusal_precision(columns) == pytest.approx(precision_score(should, refused, zero_division=0))
    if any(should):
        assert metrics.refusal_recall(columns) == pytest.approx(recall_score(should, refused))
        assert metrics.refusal_f1(columns) == pytest.approx(f1_score(should, refused))
    if any(should) and not all(should):
        wanted = roc_auc_score([not one for one in should], sure)
        assert metrics.auroc(columns) == pytest.approx(wanted)


def test_what_cannot_be_measured_is_left_out():
    results = [result("a", refused=0.0, should_refuse=0.0, confidence=0.5)]
    assert measured(_REFUSING, results, 0) == {}
    assert measured([mean("facts_covered")], [], 0) == {}


def test_the_interval_holds_the_value_and_narrows_with_more_samples():
    few = [result(str(n), facts_covered=n % 2) for n in range(20)]
    many = [result(str(n), facts_covered=n % 2) for n in range(2000)]
    wide, narrow = (measured([mean("facts_covered")], results, 0)["facts_covered"] for results in (few, many))
    assert wide.low < wide.value == 0.5 < wide.high
    assert wide.low < narrow.low < 0.5 < narrow.high < wide.high


def test_a_seed_gives_the_same_interval_again():
    results = [result(str(n), facts_covered=n % 3 == 0) for n in range(50)]
    first, again, other = (measured([mean("facts_covered")], results, seed) for seed in (1, 1, 2))
    assert first == again
    assert first["facts_covered"].value == other["facts_covered"].value
    assert first != other


def test_the_interval_is_honest():
    """Of many runs of a fair coin about 95 % have the coin's half in their intervals."""
    random = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        results = [result(str(n), facts_covered=float(random.random() < 0.5)) for n in range(60)]
        found = measured([mean("facts_covered")], results, 0)["facts_covered"]
        held += found.low <= 0.5 <= found.high
    assert held >= 87


def test_epochs_of_a_sample_stay_together():
    """Ten epochs of each of ten samples say no more about other samples than one of each does."""
    once = [result(str(n), facts_covered=n % 2) for n in range(10)]
    often = [result(str(n), epoch, facts_covered=n % 2) for n in range(10) for epoch in range(10)]
    one, ten = (measured([mean("facts_covered")], results, 3)["facts_covered"] for results in (once, often))
    assert (one.low, one.high) == (ten.low, ten.high)


def test_a_difference_is_of_the_same_samples():
    before = [result(str(n), facts_covered=n / 100) for n in range(100)]
    after = [result(str(n), facts_covered=n / 100 + 0.05) for n in range(50, 150)]
    gained = differences([mean("facts_covered")], before, after, 0)["facts_covered"]
    # Each has gained the same, so that there is nothing to doubt, however far the samples are apart.
    assert gained.value == pytest.approx(0.05)
    assert (gained.low, gained.high) == (pytest.approx(0.05), pytest.approx(0.05))


def test_the_curve_answers_less_as_the_threshold_rises():
    results = [result(str(n), refused=0.0, should_refuse=n < 5, confidence=n / 10) for n in range(10)]
    places = curve(results)
    assert places[0] == {"threshold": 0.0, "answered_answerable": 1.0, "answered_unanswerable": 1.0, "refusal_f1": 0.0}
    assert places[10]["answered_unanswerable"] == 0
    assert places[10]["refusal_f1"] == 1
    shares = [place["answered_answerable"] for place in places]
    assert shares == sorted(shares, reverse=True)
    assert curve([]) == []


def test_percentiles():
    results = [result(str(n), latency_ms=float(n)) for n in range(101)]
    assert metrics.percentile("latency_ms", "p95", 95, "ms").of(columns_of(results)) == 95


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([(1, 1), (0, 0)], 1.0),
        ([(1, 0), (0, 1)], -1.0),
        ([(1, 1), (1, 0), (0, 1), (0, 0)], 0.0),
        # Cohen's own kind of table: 20 and 15 agreed, 5 and 10 not.
        ([(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15, 0.4),
    ],
)
def test_agreement_is_cohens_kappa(pairs, kappa):
    results = [result(str(n), judge_says=judge, label_says=label) for n, (judge, label) in enumerate(pairs)]
    assert agreement(columns_of(results)) == pytest.approx(kappa)
