"""A run as a page for people: made when it is asked for, of what is there then. It loads nothing and runs nothing."""

from collections.abc import Sequence

from app.evaluations.contents import Content, results_of
from app.models import EvalRun
from evals.datasets import Sample
from evals.html import to_html
from evals.metrics import Value
from evals.report import report
from evals.tasks import TASKS

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def page(run: EvalRun, name: str, rows: Sequence[tuple[Sample, int, Content]]) -> str:
    """The report of a run on the dataset `name`, with its metrics once it is done."""
    samples, results = results_of(rows)
    found = (run.result or {}).get("metrics", {})
    metrics = {metric: Value(**value) for metric, value in found.items()}
    models = dict.fromkeys(one.output.model for one in results if one.output and one.output.model)
    told = report(TASKS[run.task], ", ".join(models), samples, results, 0, metrics)
    notes = [f"dataset {name}", run.status, f"asked {len(rows)} of {run.total}"]
    return to_html(told, samples, wrong=[run.error] if run.error else (), notes=notes)
