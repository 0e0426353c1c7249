"""A run in numbers: JSON for machines, and what of it is below a threshold or a baseline."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evals.datasets import Sample
from evals.metrics import Metric, Value, curve, differences, measured
from evals.results import Result
from evals.tasks import TASKS, Task

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Report:
    """A run that is over. The names of the first five fields, and of the metrics, are fixed: scripts rely on them.

    `slices` are metrics of the samples with one language or tag, `failures` the ids of samples that were not done well.
    `run` tells what was run with which seed; `line_errors` are lines of datasets and corpora that could not be read.
    """

    task: str
    model: str
    samples: int
    not_scored: int
    metrics: dict[str, Value]
    slices: dict[str, dict[str, Value]] = field(default_factory=dict)
    not_scored_reasons: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    spent: dict[str, int] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    line_errors: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


_REPORT = TypeAdapter(Report)


class NotAReport(Exception):
    """A file is no report of `jobx eval run --json`; the message names it."""


def report(
    task: Task,
    model: str,
    samples: Sequence[Sample],
    results: Sequence[Result],
    seed: int,
    metrics: dict[str, Value] | None = None,
    **told: Any,
) -> Report:
    """What a run came to; `metrics` are those that were computed before."""
    scored = [result for result in results if result.not_scored is None]
    reasons: dict[str, int] = {}
    for result in results:
        if result.not_scored is not None:
            reasons[result.not_scored] = reasons.get(result.not_scored, 0) + 1
    return Report(
        task=task.name,
        model=model,
        samples=len(samples),
        not_scored=len(results) - len(scored),
        metrics=_rounded(measured(task.metrics, scored, seed)) if metrics is None else metrics,
        slices=_slices(task, samples, scored),
        not_scored_reasons=reasons,
        failures=list(dict.fromkeys(result.id for result in scored if task.passes(result.scores) is False)),
        curve=curve(scored),
        results=list(results),
        **told,
    )


def _slices(task: Task, samples: Sequence[Sample], scored: Sequence[Result]) -> dict[str, dict[str, Value]]:
    """Metrics by language and tag, where there is more than one and a slice is not all there is."""
    members: dict[str, set[str]] = {}
    for sample in samples:
        for name in (f"language: {sample.language}" if sample.language else None, *sample.tags):
            if name is not None:
                members.setdefault(name, set()).add(sample.id)
    shown = [metric for metric in task.metrics if metric.unit == "share"]
    found = {}
    for name, ids in sorted(members.items()):
        part = [result for result in scored if result.id in ids]
        if part and len(ids) < len(samples):
            # Without intervals: so many would say less than they cost.
            found[name] = _rounded(measured(shown, part, 0, drawings=0))
    return found


def _rounded(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: Value(*(_round(number) for number in asdict(value).values())) for name, value in values.items()}


def _round(number: float | None) -> float | None:
    return None if number is None else round(number, _DIGITS)


def to_json(told: Report) -> str:
    """The report as text."""
    return json.dumps(_REPORT.dump_python(told, mode="json"), ensure_ascii=False, indent=1)


def from_json(path: Path) -> Report:
    """A report that was written; raises NotAReport, and OSError if the file cannot be read."""
    try:
        return _REPORT.validate_json(path.read_bytes())
    except ValidationError:
        raise NotAReport(f"{path} is no report that `jobx eval run --json` wrote.") from None


@dataclass(frozen=True, slots=True)
class Change:
    """A metric in two runs; `gained` is the difference on the samples of both, drawn in pairs."""

    metric: Metric
    before: Value
    after: Value
    gained: Value

    @property
    def is_worse(self) -> bool:
        """Whether the interval of the difference lies on the wrong side of zero."""
        low, high = self.gained.low, self.gained.high
        if low is None or high is None:
            return False
        return high < 0 if self.metric.better == "higher" else low > 0

    @property
    def is_better(self) -> bool:
        """Whether it lies on the right side."""
        low, high = self.gained.low, self.gained.high
        if low is None or high is None:
            return False
        return low > 0 if self.metric.better == "higher" else high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of one task: every metric that both have, and the samples that only one of them did well.

    `shared` counts the samples that were scored in both; `missing` are metrics that only the first has.
    """

    shared: int
    changes: list[Change]
    mended: list[str]
    broken: list[str]
    missing: list[str]


def compare(before: Report, after: Report, seed: int = 0) -> Comparison:
    """What changed from one run to another; raises NotAReport if they are of different tasks."""
    if before.task != after.task:
        raise NotAReport(f"One run is of the task {before.task}, the other of {after.task}.")
    task = TASKS[after.task]
    old, new = ([result for result in told.results if result.not_scored is None] for told in (before, after))
    gained = _rounded(differences(task.metrics, old, new, seed))
    changes = [
        Change(metric, before.metrics[metric.name], after.metrics[metric.name], gained[metric.name])
        for metric in task.metrics
        if metric.name in before.metrics and metric.name in after.metrics and metric.name in gained
    ]
    was, now = _well(task, old), _well(task, new)
    both = was.keys() & now.keys()
    return Comparison(
        len({result.id for result in old} & {result.id for result in new}),
        changes,
        sorted(name for name in both if now[name] and not was[name]),
        sorted(name for name in both if was[name] and not now[name]),
        [one.name for one in task.metrics if one.unit == "share" and one.name in before.metrics.keys() - after.metrics],
    )


def _well(task: Task, results: Sequence[Result]) -> dict[str, bool]:
    """By sample whether every epoch was done well."""
    found: dict[str, bool] = {}
    for result in results:
        passed = task.passes(result.scores)
        if passed is not None:
            found[result.id] = found.get(result.id, True) and passed
    return found


class BadThreshold(Exception):
    """A threshold is no NAME=NUMBER of a metric that the task has; the message says what is wrong."""


def parse_thresholds(task: Task, given: Sequence[str]) -> dict[str, float]:
    """`recall@5=0.8` by name; raises BadThreshold."""
    found: dict[str, float] = {}
    known = {metric.name for metric in task.metrics}
    for text in given:
        name, _, number = text.partition("=")
        if name not in known:
            raise BadThreshold(f"{name!r} is no metric of {task.name}; these are: {', '.join(sorted(known))}.")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise BadThreshold(f"{text!r} is not written as {name}=0.8.")
    return found


def shortfalls(told: Report, thresholds: Mapping[str, float], baseline: Comparison | None = None) -> list[str]:
    """In words, what is not good enough; none if the list is empty.

    A threshold is the least (of a metric that is better when lower: the most) that is enough. A metric that is worse
    than in the baseline, by an interval that does not hold zero, is not good enough unless it has a threshold; nor is
    one that the baseline has and this run has not, nor a run that has no sample with the baseline in common.
    """
    return [*_below(told, thresholds), *(_worse(baseline, thresholds) if baseline else ())]


def _below(told: Report, thresholds: Mapping[str, float]) -> Iterator[str]:
    better = {metric.name: metric.better for metric in TASKS[told.task].metrics}
    for name, limit in thresholds.items():
        value = told.metrics[name].value if name in told.metrics else None
        if value is None:
            yield f"{name} could not be measured"
        elif value < limit if better[name] == "higher" else value > limit:
            yield f"{name} is {value:.4g}, {'at least' if better[name] == 'higher' else 'at most'} {limit:g} is wanted"


def _worse(baseline: Comparison, thresholds: Mapping[str, float]) -> Iterator[str]:
    if not baseline.shared:
        yield "no sample was scored both here and in the baseline"
    for name in baseline.missing:
        if name not in thresholds:
            yield f"{name} could not be measured, and was in the baseline"
    for change in baseline.changes:
        # What a machine's mood changes is no reason to refuse a change.
        if change.is_worse and change.metric.name not in thresholds and change.metric.unit == "share":
            yield (
                f"{change.metric.name} fell short of the baseline by {change.gained.value:+.4g}"
                f" ({change.gained.low:+.4g} to {change.gained.high:+.4g})"
            )
