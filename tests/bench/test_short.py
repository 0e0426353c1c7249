"""Every part of the benchmark in a short form: that it runs and what its JSON looks like, never how fast it was."""

import asyncio
import json
from typing import Any

import pytest

from bench import ack, growth, journey, scaling, serve
from bench.report import line, shortfalls
from bench.stage import stage

_grown: dict[str, Any] = {}


async def _run() -> dict[str, Any]:
    async with stage() as platform:
        await platform.surroundings()
        found: dict[str, Any] = {
            "dm_to_send_ms": await journey.measure(platform, seconds=1.5, wait=0.2, workers=1, pages=2, warm=0.4),
            "scaling": await scaling.measure(platform, seconds=0.5, messages=6, workers=(1,), web=1, warm=0.4),
            "serve": await serve.measure(platform, webhooks=40, rounds=1, imports=1),
            "ack": await ack.measure(platform, requests=64),
        }
        _grown.update(await growth.measure(platform, seconds=1.0, sizes=(600,), rates=(2.0,), workers=(1,)))
        assert {started.kind for started in platform.processes} == {
            "vectors",
            "provider",
            "model",
        }
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return asyncio.run(_run())


def test_the_journey_loses_and_doubles_nothing(found: dict[str, Any]) -> None:
    way = found["dm_to_send_ms"]
    for series in (way, way["again"]):
        assert (series["lost"], series["doubled"], series["refused"], series["handed_off"]) == (0, 0, 0, 0)
    assert way["messages"] == 30
    assert 0 < way["p50"] <= way["p99"] <= way["most"]


def test_each_stop_of_the_journey_is_timed(found: dict[str, Any]) -> None:
    stops = found["dm_to_send_ms"]["stops_ms"]
    assert list(stops) == [
        "webhook to acknowledgement",
        "wait for the event's job",
        "event to message",
        "wait for the turn's job",
        "turn to graph",
        "graph: screen",
        "graph: retrieve",
        "graph: draft",
        "graph: check",
        "dispatch to provider call",
    ]
    # Medians of stops add up to the median of the way, more or less.
    assert sum(times["p50"] for times in stops.values()) == pytest.approx(found["dm_to_send_ms"]["p50"], rel=0.8)


def test_who_used_the_processors_is_told(found: dict[str, Any]) -> None:
    cpu = found["dm_to_send_ms"]["cpu"]
    kinds = {"web", "worker", "postgres", "vectors", "provider", "model", "generator", "others"}
    assert set(cpu["cores"]) == set(cpu["ms_per_message"]) == kinds
    assert cpu["ms_per_message"]["worker"] > 0
    assert cpu["ms_per_message"]["postgres"] > 0
    assert sum(found["dm_to_send_ms"]["connections"].values()) > 0


def test_a_row_for_each_number_of_workers(found: dict[str, Any]) -> None:
    [row] = found["scaling"]
    assert (row["web"], row["workers"]) == (1, 1)
    assert row["per_second"] > 0
    assert row["burst"]["messages"] == 6
    assert row["burst"]["lost"] == row["paced"]["lost"] == 0
    assert isinstance(row["full"], str)


@pytest.mark.usefixtures("found")
def test_a_rate_by_workers_and_a_row_for_what_is_stored() -> None:
    assert [row["workers"] for row in _grown["rates"]] == [1]
    held = [row for row in _grown["rates"] if row["per_second"]]
    assert all(row["per_second"] <= 2.0 and row["p99"] <= growth.LIMIT_MS and row["full"] for row in held)
    assert all(row["cpu"]["ms_per_message"]["worker"] > 0 for row in held)
    [row] = _grown["growth"]
    assert row["conversations"] >= 600
    assert (row["messages"], row["doubled"]) == (8, 0)
    assert growth.line(_grown).startswith("growth: DMs/s by workers ")


def test_the_web_process_served_what_it_was_measured_with(found: dict[str, Any]) -> None:
    web = found["serve"]
    assert web["webhooks"] == 40
    assert set(web["pages"].values()) == {200}
    assert 20 < web["rss_mb_started"] <= web["rss_mb"] + 5
    assert web["import_s"] > 0


def test_both_handlers_took_every_webhook(found: dict[str, Any]) -> None:
    both = found["ack"]
    assert both["p99_ratio"] > 0
    for side in ("bare", "jobx"):
        assert both[side]["requests"] == 64
        assert both[side]["failed"] == 0


def test_the_report_is_json_and_is_judged(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert line(found, shortfalls(found)).startswith("bench: ")
