"""Results of a run as they are stored, and as evals have them. Of passages only the documents are kept."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from evals.datasets import Sample
from evals.results import Output, Quote, Result
from graphs.support.records import Usage, Verdict

Content = dict[str, Any]


def content_of(result: Result | None) -> Content:
    """A result as JSON; None is a sample that the task has nothing to say of.

    Documents are named by `document_id` under `citations` and `passages`, by which what quotes one goes with it.
    """
    if result is None:
        return {"outcome": None, "reply": "", "verdicts": [], "citations": [], "passages": [], "skipped": True}
    said = result.output
    return {
        "outcome": said.outcome if said else None,
        "reason": said.reason if said else None,
        "reply": said.reply if said else "",
        "model": said.model if said else None,
        "citations": [_quote(one) for one in said.citations] if said else [],
        "passages": [{"document_id": one.document, "title": one.title} for one in said.passages] if said else [],
        "verdicts": [asdict(verdict) for verdict in said.verdicts] if said else [],
        "usage": asdict(said.usage) if said else {},
        "milliseconds": said.milliseconds if said else 0.0,
        "scores": dict(result.scores),
        "not_scored": result.not_scored,
    }


def results_of(rows: Iterable[tuple[Sample, int, Content]]) -> tuple[list[Sample], list[Result]]:
    """Samples, each once, and their results; epochs are counted from 0 here."""
    samples: dict[str, Sample] = {}
    results: list[Result] = []
    for sample, epoch, content in rows:
        if not content.get("skipped"):
            samples[sample.id] = sample
            results.append(_result(sample, epoch - 1, content))
    return list(samples.values()), results


def _result(sample: Sample, epoch: int, content: Content) -> Result:
    output = None
    if content["outcome"] is not None:
        output = Output(
            outcome=content["outcome"],
            reason=content["reason"],
            reply=content["reply"],
            citations=tuple(Quote(one["document_id"], one["title"], one["quote"]) for one in content["citations"]),
            passages=tuple(Quote(one["document_id"], one["title"], "") for one in content["passages"]),
            verdicts=tuple(Verdict(**one) for one in content["verdicts"]),
            model=content["model"],
            usage=Usage(**content["usage"]),
            milliseconds=content["milliseconds"],
        )
    return Result(sample.id, epoch, output, content["scores"], content["not_scored"])


def _quote(one: Quote) -> Content:
    return {"document_id": one.document, "title": one.title, "page": one.page, "quote": one.text}
