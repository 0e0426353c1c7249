"""A run as a page that a person reads: one file, without scripts and without a request to anywhere."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from evals.datasets import Sample
from evals.metrics import Metric, Value
from evals.report import Change, Comparison, Report
from evals.tasks import TASKS

_BAR, _SLICE_BAR = 220, 76
_MOST_FAILURES, _MOST_WELL = 100, 200
_WIDTH, _LEFT, _TOP, _HEIGHT = 580, 40, 20, 240
_MICROS_PER_CENT, _MICROS_PER_DOLLAR = 10_000, 1_000_000


def to_html(
    told: Report,
    samples: Sequence[Sample],
    comparison: Comparison | None = None,
    wrong: Sequence[str] = (),
    *,
    checked: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """The page; `wrong` is what fell short, `checked` whether anything was looked at for that. `notes` go on top."""
    task = TASKS[told.task]
    changes = {change.metric.name: change for change in comparison.changes} if comparison else {}
    names, slices = _slices(told, task.metrics)
    failures = list(_failures(told, samples))
    well = list(_well(told, samples, {failure["sample"].id for failure in failures}))
    return _template().render(
        told=told,
        about=task.about,
        facts=[*notes, *_facts(told)],
        wrong=wrong,
        checked=checked,
        comparison=comparison,
        changes=changes,
        rows=[
            _row(metric, told.metrics[metric.name], changes) for metric in task.metrics if metric.name in told.metrics
        ],
        curve=_lines(told.curve) if told.task == "refusal" else [],
        slice_names=names,
        slices=slices,
        failures=failures[:_MOST_FAILURES],
        hidden=max(0, len(failures) - _MOST_FAILURES),
        well=well[:_MOST_WELL],
        well_hidden=max(0, len(well) - _MOST_WELL),
    )


def _facts(told: Report) -> Iterator[str]:
    """What was run, in a few words each."""
    epochs, unscored = told.run.get("epochs", 1), f", {told.not_scored} not scored" if told.not_scored else ""
    yield f"{told.samples} samples{f' × {epochs} epochs' if epochs > 1 else ''}{unscored}"
    for name in ("at", "agent", "judge", "seed"):
        if (value := told.run.get(name)) is not None:
            yield str(value) if name == "at" else f"{name} {value}"
    if told.spent.get("calls") or told.spent.get("hits"):
        known = f", {told.spent['hits']} more were known" if told.spent["hits"] else ""
        yield f"spent {money(told.spent['cost_micros'])} in {told.spent['calls']} model calls{known}"


def money(micros: int) -> str:
    """Micro US dollars in words."""
    return f"${micros / _MICROS_PER_DOLLAR:.2f}" if micros >= _MICROS_PER_CENT or not micros else "less than $0.01"


def number(metric: Metric, value: float | None) -> str:
    """A metric's value as a person reads it."""
    if value is None:
        return "–"
    places = {"share": ".3f", "ms": ".0f", "tokens": ".0f", "cents": ".3f"}[metric.unit]
    unit = {"share": "", "ms": " ms", "tokens": "", "cents": " ¢"}[metric.unit]
    return f"{value:{places}}{unit}"


def between(metric: Metric, value: Value) -> str:
    """A metric's interval as a person reads it."""
    return f"{number(metric, value.low)} to {number(metric, value.high)}"


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template(
        "report.html"
    )


def _row(metric: Metric, value: Value, changes: Mapping[str, Change]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": metric.name,
        "better": metric.better,
        "value": number(metric, value.value),
        "interval": between(metric, value),
        "bar": _bar(value) if metric.unit == "share" else None,
        "before": None,
        "change": None,
        "verdict": "soft",
    }
    if (change := changes.get(metric.name)) is not None and change.gained.value is not None:
        row["before"] = number(metric, change.before.value)
        row["change"] = f"{change.gained.value:+.3g} ({between(metric, change.gained)})"
        row["verdict"] = "bad" if change.is_worse else "good" if change.is_better else "soft"
    return row


def _bar(value: Value) -> dict[str, float | None]:
    ends = {"value": value.value, "low": value.low, "high": value.high}
    return {name: None if end is None else round(_BAR * min(max(end, 0.0), 1.0), 1) for name, end in ends.items()}


def _slices(told: Report, metrics: Sequence[Metric]) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    names = [metric.name for metric in metrics if any(metric.name in found for found in told.slices.values())]
    return names, [(name, [_cell(found.get(metric)) for metric in names]) for name, found in told.slices.items()]


def _cell(value: Value | None) -> dict[str, Any] | None:
    if value is None or value.value is None:
        return None
    return {"width": round(_SLICE_BAR * min(max(value.value, 0.0), 1.0), 1), "text": f"{value.value:.2f}"}


def _lines(curve: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    shown = (
        ("answered_answerable", "var(--good)", False),
        ("answered_unanswerable", "var(--bad)", False),
        ("refusal_f1", "var(--soft)", True),
    )
    lines = []
    for name, colour, dashed in shown:
        points = [_point(place["threshold"], place[name]) for place in curve if name in place]
        if points:
            lines.append({"points": " ".join(points), "colour": colour, "dashed": dashed})
    return lines


def _point(across: float, up: float) -> str:
    return f"{_LEFT + _WIDTH * across:.1f},{_TOP + _HEIGHT * (1 - up):.1f}"


def _failures(told: Report, samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """The first failed epoch of each sample that was not done well, in the order of the dataset."""
    known, wanted, passes = {sample.id: sample for sample in samples}, set(told.failures), TASKS[told.task].passes
    for result in told.results:
        if result.id in wanted and result.output is not None and passes(result.scores) is False:
            wanted.discard(result.id)
            yield {"sample": known[result.id], "output": result.output, "scores": result.scores}


def _well(told: Report, samples: Sequence[Sample], failed: Collection[str]) -> Iterator[dict[str, Any]]:
    """The first scored epoch of each sample that was done well, or that nothing tells of."""
    known, seen = {sample.id: sample for sample in samples}, set(failed)
    for result in told.results:
        if result.id not in seen and result.output is not None and result.not_scored is None:
            seen.add(result.id)
            yield {"sample": known[result.id], "output": result.output}
