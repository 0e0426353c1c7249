"""A run as a page for people: made when it is asked for, of what is there then. It loads nothing and runs nothing."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from app.models import EvalResult, EvalRun, EvalSample

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #767676;padding:.4rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}"
)


def page(run: EvalRun, name: str, results: Sequence[tuple[EvalSample, EvalResult]]) -> str:
    """The report of a run on the dataset `name`."""
    metrics = (run.result or {}).get("metrics", {})
    facts = [("status", run.status), ("asked", f"{len(results)} of {run.total}"), ("error", run.error)]
    values = [(name, f"{metric['value']:.3f}") for name, metric in metrics.items()]
    said = [_row(sample.content, result.epoch, result.content) for sample, result in results]
    head = ("sample", "epoch", "question", "expected", "outcome", "reply", "found")
    title = html.escape(f"{run.task}: {name}")
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><main><h1>{title}</h1>"
        f"{_table(('', ''), [fact for fact in facts if fact[1]])}<h2>Metrics</h2>{_table(('metric', 'value'), values)}"
        f"<h2>Samples</h2>{_table(head, said)}</main>"
    )


def _row(sample: Any, epoch: int, said: Any) -> tuple[Any, ...]:
    found = [one["name"] for one in said.get("verdicts", ()) if not one["passed"]]
    outcome = " ".join(filter(None, (said["outcome"], said.get("reason") and f"({said['reason']})")))
    return sample["id"], epoch, sample["question"], sample.get("expected"), outcome, said["reply"], ", ".join(found)


def _table(head: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    shown = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{_cell(cell)}</th>' for cell in head)}</tr></thead>{shown}</table>"


def _cell(value: Any) -> str:
    return html.escape("" if value is None else str(value))
