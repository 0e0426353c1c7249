"""Where the time of a message goes, from the JSON logs of all processes: one trace id from the webhook to the send."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from bench.dm import Series
from bench.load import quantile

_STEPS = ("screen", "rewrite", "retrieve", "draft", "check")
# They hold the provider call.
_LAST_STEPS = ("dispatch", "handoff")
_JOBS = {
    "webhooks:handle_event": "event",
    "conversations:answer": "turn",
}


def stops(series: Series, logs: Iterable[Path], wait: float = 0.0) -> dict[str, dict[str, float]]:
    """p50 and p99 in milliseconds of each stop, in the order of the way; `wait` seconds of burst are taken out.

    The names of the stops: "wait …" is the time in the queue until the job begins, "graph: …" a step of the graph.
    """
    traces = _traces(logs)
    unix = {arrival.chat: arrival.unix for arrival in series.arrivals}
    found: dict[str, list[float]] = defaultdict(list)
    for request in series.posted.requests:
        marks = traces.get(request.trace, {})
        if {"request", "event", "turn", "graph"} <= marks.keys() and request.number in series.latencies:
            marks["arrived"] = unix[series.chats[request.number]]
            for name, seconds in _way(marks, request.seconds, wait).items():
                found[name].append(seconds * 1000)
    return {
        name: {"p50": round(quantile(values, 0.5), 1), "p99": round(quantile(values, 0.99), 1)}
        for name, values in found.items()
    }


def _way(marks: dict[str, Any], acknowledged: float, wait: float) -> dict[str, float]:
    """Seconds by stop; marks are (begin, end) in Unix seconds."""
    (_, asked), event, turn = (marks[name] for name in ("request", "event", "turn"))
    ended, steps = marks["graph"]
    began = ended - sum(steps.values())
    graph = {f"graph: {name}": steps[name] for name in _STEPS if name in steps}
    dispatched = ended - sum(steps[name] for name in _LAST_STEPS if name in steps)
    return {
        "webhook to acknowledgement": acknowledged,
        "wait for the event's job": event[0] - asked,
        "event to message": event[1] - event[0],
        "wait for the turn's job": turn[0] - event[1],
        "turn to graph": began - turn[0] - wait,
        **graph,
        "dispatch to provider call": marks["arrived"] - dispatched,
    }


def _traces(logs: Iterable[Path]) -> dict[str, dict[str, Any]]:
    traces: dict[str, dict[str, Any]] = defaultdict(dict)
    for line in _lines(logs):
        trace, at = traces[line["trace_id"]], _unix(line["time"])
        name = _JOBS.get(line.get("job", ""))
        if line["logger"] == "jobx.requests":
            trace["request"] = (at - line["ms"] / 1000, at)
        elif "steps_ms" in line:
            trace["graph"] = (at, {step: ms / 1000 for step, ms in line["steps_ms"].items()})
        elif name is not None and line["message"].startswith("job ") and "ms" in line:
            trace[name] = (at - line["ms"] / 1000, at)
    return traces


def _lines(logs: Iterable[Path]) -> Iterable[dict[str, Any]]:
    for log in logs:
        with log.open("rb") as file:
            for raw in file:
                if b'"trace_id"' in raw:
                    yield orjson.loads(raw)


def _unix(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
