"""What `jobx eval` does: runs with their progress and reports, and two reports side by side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.errors import JobxError
from app.evaluating.plans import Plan
from app.evaluating.stage import evaluate
from app.settings import Settings
from evals.html import between, money, number, to_html
from evals.junit import to_junit
from evals.report import (
    BadThreshold,
    Comparison,
    NotAReport,
    Report,
    compare,
    from_json,
    parse_thresholds,
    shortfalls,
    to_json,
)
from evals.tasks import TASKS

_NAMED = 20


class BadReport(JobxError):
    """A report cannot be read, or a threshold not be understood."""

    code = "bad_report"


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a run is written to, and what it has to be as good as."""

    json: Path | None = None
    html: Path | None = None
    junit: Path | None = None
    baseline: Path | None = None
    fail_under: Sequence[str] = ()


def show_tasks(console: Console) -> None:
    """The tasks, with what they measure and the suites that come with Jobx."""
    for task in TASKS.values():
        console.print(f"{task.name:<10} {task.about}")
        suites = ", ".join(task.datasets) or "none: name one with --dataset"
        console.print(f"{'':<10} suites: {suites}", style="dim")
        console.print(f"{'':<10} metrics: {', '.join(metric.name for metric in task.metrics)}\n", style="dim")


def run(console: Console, settings: Settings, plan: Plan, reports: Reports) -> bool:
    """Run a plan and write its reports; tells whether it is good enough."""
    with _understood():
        thresholds = parse_thresholds(TASKS[plan.task], reports.fail_under)
        before = None if reports.baseline is None else from_json(reports.baseline)
    for path in (reports.json, reports.html, reports.junit):
        _check_writable(path)
    with _bar(console) as show:
        done = evaluate(settings, plan, console.print, show)
    with _understood():
        comparison = None if before is None else compare(before, done.report, plan.seed)
    wrong = shortfalls(done.report, thresholds, comparison)
    checked = bool(thresholds or comparison)
    # Shown first: what cannot be written is not lost then.
    _print(console, done.report, comparison)
    console.print(_line(done.report, wrong))
    _write(reports.json, lambda: to_json(done.report))
    _write(reports.html, lambda: to_html(done.report, done.samples, comparison, wrong, checked=checked))
    _write(reports.junit, lambda: to_junit(done.report, wrong))
    return not wrong


def show_comparison(console: Console, before: Path, after: Path, seed: int) -> None:
    """What changed from one report to another."""
    with _understood():
        new = from_json(after)
        comparison = compare(from_json(before), new, seed)
    _print(console, new, comparison)
    for what, names in (("done well only now", comparison.mended), ("done well only before", comparison.broken)):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            console.print(f"{what}: {', '.join(names[:_NAMED])}{more}")


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (NotAReport, BadThreshold) as error:
        raise BadReport(str(error)) from None


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bars: dict[str, TaskID] = {}

        def show(what: str, done: int, every: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=every)
            progress.update(bars[what], completed=done, total=every)

        yield show


def _check_writable(path: Path | None) -> None:
    """Before hours are spent on what cannot be written then; leaves no empty report behind."""
    if path is None:
        return
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()


def _write(path: Path | None, text: Callable[[], str]) -> None:
    if path is None:
        return
    with _writing(path):
        path.write_bytes(text().encode("utf-8", "replace"))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadReport(f"{path} cannot be written: {error.strerror}.") from None


def _print(console: Console, told: Report, comparison: Comparison | None) -> None:
    table = Table("metric", box=None, pad_edge=False)
    headers = ("value", "95 % interval") if comparison is None else ("before", "now", "change", "95 % interval")
    for header in headers:
        table.add_column(header, justify="right")
    if comparison is None:
        for metric in TASKS[told.task].metrics:
            if (value := told.metrics.get(metric.name)) is not None:
                table.add_row(metric.name, number(metric, value.value), between(metric, value))
    else:
        for change in comparison.changes:
            cells = (number(change.metric, change.before.value), number(change.metric, change.after.value))
            mark = " worse" if change.is_worse else " better" if change.is_better else ""
            gained = f"{change.gained.value:+.3g}{mark}"
            table.add_row(change.metric.name, *cells, gained, between(change.metric, change.gained))
    console.print(table)
    if comparison is not None:
        console.print(f"The change is of the {comparison.shared} samples that were scored in both.", style="dim")


def _line(told: Report, wrong: Sequence[str]) -> str:
    """One line that says it all."""
    spent = told.spent
    reasons = ", ".join(f"{count} {reason}" for reason, count in told.not_scored_reasons.items())
    cost = f", spent {money(spent['cost_micros'])} in {spent['calls']} model calls" if spent.get("calls") else ""
    verdict = "ok" if not wrong else f"FELL SHORT: {'; '.join(wrong)}"
    unscored = f", not scored: {reasons}" if reasons else ""
    return f"eval {told.task}: {verdict} ({told.model}, {told.samples} samples{unscored}{cost})"
