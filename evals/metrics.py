"""Metrics: one number from the scores of all samples, with an interval by bootstrap.

Samples are drawn with replacement, each with all of its epochs, and the interval holds the middle 95 % of what is found
(the percentile method of Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979). Where nothing varies, as
with no success in eighty attacks, it has no width: that is a limit of the method, not of what can happen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evals.results import Result

Numbers = NDArray[np.float64]
# By the name of a score its values, samples by epochs, NaN where there is none.
Columns = Mapping[str, Numbers]
RESAMPLES = 1000
_EDGES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, how it is computed of the columns (NaN if it cannot be), which way is better, and its unit in words."""

    name: str
    of: Callable[[Columns], float]
    better: Literal["higher", "lower"] = "higher"
    unit: Literal["share", "ms", "tokens", "cents"] = "share"


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's value and the ends of its interval, all None if nothing could be computed."""

    value: float | None
    low: float | None
    high: float | None


def mean(name: str, better: Literal["higher", "lower"] = "higher") -> Metric:
    """The mean of a score of the same name."""
    return Metric(name, lambda columns: _mean(columns.get(name)), better)


def columns_of(results: Sequence[Result]) -> dict[str, Numbers]:
    """The scores as columns: a row for each sample in order of its first result, a cell for each epoch."""
    rows = {name: row for row, name in enumerate(dict.fromkeys(result.id for result in results))}
    epochs = max((result.epoch for result in results), default=0) + 1
    names = dict.fromkeys(name for result in results for name in result.scores)
    columns = {name: np.full((len(rows), epochs), np.nan) for name in names}
    for result in results:
        for name, score in result.scores.items():
            columns[name][rows[result.id], result.epoch] = score
    return columns


def measured(
    metrics: Sequence[Metric], results: Sequence[Result], seed: int, drawings: int = RESAMPLES
) -> dict[str, Value]:
    """Every metric that can be computed of the results, by its name, in order; without drawings no intervals."""
    columns = columns_of(results)
    known = {metric: value for metric in metrics if not np.isnan(value := metric.of(columns))}
    found: dict[Metric, list[float]] = {metric: [] for metric in known}
    # One after the other: all of them together would be a thousand times the run.
    for rows in resamples(_rows(columns), seed, drawings):
        drawing = _drawn(columns, rows)
        for metric, values in found.items():
            values.append(metric.of(drawing))
    return {metric.name: Value(known[metric], *interval(values)) for metric, values in found.items()}


def differences(
    metrics: Sequence[Metric], one: Sequence[Result], other: Sequence[Result], seed: int
) -> dict[str, Value]:
    """What every metric gains from `one` to `other`, on the samples that both have, drawn in pairs."""
    shared = {result.id for result in one} & {result.id for result in other}
    left, right = (
        columns_of(sorted((result for result in results if result.id in shared), key=lambda result: result.id))
        for results in (one, other)
    )
    known = {metric: gained for metric in metrics if not np.isnan(gained := metric.of(right) - metric.of(left))}
    found: dict[Metric, list[float]] = {metric: [] for metric in known}
    for rows in resamples(len(shared), seed):
        one_drawn, other_drawn = _drawn(left, rows), _drawn(right, rows)
        for metric, gains in found.items():
            gains.append(metric.of(other_drawn) - metric.of(one_drawn))
    return {metric.name: Value(known[metric], *interval(gains)) for metric, gains in found.items()}


def resamples(count: int, seed: int, drawings: int = RESAMPLES) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each resample."""
    random = np.random.default_rng(seed)
    for _ in range(drawings if count else 0):
        yield random.integers(0, count, count)


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The ends of the middle 95 %, of those values that could be computed."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return None, None
    low, high = np.percentile(known, _EDGES)
    return float(low), float(high)


def refusal_precision(columns: Columns) -> float:
    """Of the questions that were left to people, the share that had to be."""
    refused, should = _pairs(columns)
    return _share(refused * should, refused)


def refusal_recall(columns: Columns) -> float:
    """Of the questions that have no answer, the share that was left to people."""
    refused, should = _pairs(columns)
    return _share(refused * should, should)


def refusal_f1(columns: Columns) -> float:
    """The harmonic mean of both; NaN without a question that has no answer."""
    refused, should = _pairs(columns)
    return _share(2 * refused * should, refused + should) if should.any() else np.nan


def auroc(columns: Columns) -> float:
    """The chance that a question with an answer is given more confidence than one without (Mann and Whitney)."""
    if "confidence" not in columns:
        return np.nan
    sure, answerable = columns["confidence"].ravel(), 1 - columns["should_refuse"].ravel()
    known = ~np.isnan(sure)
    sure, answerable = sure[known], answerable[known]
    with_answer, without = sure[answerable == 1], np.sort(sure[answerable == 0])
    if not with_answer.size or not without.size:
        return np.nan
    below, up_to = (np.searchsorted(without, with_answer, side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / without.size)


def curve(results: Sequence[Result]) -> list[dict[str, float]]:
    """What a higher `relevance_threshold` would do: the share answered of both kinds of questions, and the F1."""
    columns = columns_of([result for result in results if result.scores])
    if "confidence" not in columns:
        return []
    sure, should = columns["confidence"].ravel(), columns["should_refuse"].ravel()
    known = ~np.isnan(sure)
    sure, should = sure[known], should[known]
    return [_point(step / 20, sure, should) for step in range(21)]


def _point(threshold: float, sure: Numbers, should: Numbers) -> dict[str, float]:
    """One place of the curve; what cannot be computed is left out."""
    refused = ((sure < 0) | (sure < threshold)).astype(float)
    one = {"refused": refused[:, None], "should_refuse": should[:, None]}
    found = {
        "threshold": threshold,
        "answered_answerable": _share((1 - refused) * (1 - should), 1 - should),
        "answered_unanswerable": _share((1 - refused) * should, should),
        "refusal_f1": refusal_f1(one),
    }
    return {name: round(value, 4) for name, value in found.items() if not np.isnan(value)}


def percentile(score: str, name: str, at: float, unit: Literal["ms", "tokens"]) -> Metric:
    """A percentile of a score."""

    def of(columns: Columns) -> float:
        values = columns.get(score)
        known = values[~np.isnan(values)] if values is not None else np.array([])
        return float(np.percentile(known, at)) if known.size else np.nan

    return Metric(name, of, "lower", unit)


def _pairs(columns: Columns) -> tuple[Numbers, Numbers]:
    if "refused" not in columns:
        return np.zeros(0), np.zeros(0)
    return np.nan_to_num(columns["refused"]), np.nan_to_num(columns["should_refuse"])


def _share(part: Numbers, whole: Numbers) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else np.nan


def _mean(values: Numbers | None) -> float:
    if values is None or np.isnan(values).all():
        return np.nan
    return float(np.nanmean(values))


def _rows(columns: Columns) -> int:
    return next((values.shape[0] for values in columns.values()), 0)


def _drawn(columns: Columns, rows: NDArray[np.int64]) -> dict[str, Numbers]:
    return {name: values[rows] for name, values in columns.items()}
