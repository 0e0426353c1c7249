import json
from pathlib import Path

import pytest

from bench.dm import Series
from bench.load import Answered, Sample, quantile
from bench.partners import Arrival
from bench.report import line, shortfalls
from bench.scaling import full
from bench.stops import stops

CHATS = {0: 70, 1: 71, 2: 70}


def series(arrivals: list[Arrival], statuses: tuple[int, ...] = (200, 200, 200)) -> Series:
    """Messages 0 and 2 of chat 70 and message 1 of chat 71, a second apart."""
    posted = [Answered(number, float(number), 0.01, status, f"t{number}") for number, status in enumerate(statuses)]
    return Series(CHATS, Sample(posted, 3.0), arrivals, "A colleague will answer.")


def arrival(chat: int, at: float, text: str = "In 30 days.") -> Arrival:
    return Arrival(chat, at, 1000 + at, text)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([3.0, 1.0, 2.0, 4.0], 0.5, 2.0),
        (list(map(float, range(1, 101))), 0.99, 99.0),
        (list(map(float, range(1, 101))), 0.5, 50.0),
        (list(map(float, range(1, 201))), 0.99, 198.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
    ],
)
def test_a_quantile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == expected


def test_there_is_no_quantile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        quantile([], 0.5)


def test_every_message_gets_its_own_reply() -> None:
    whole = series([arrival(71, 1.25), arrival(70, 2.5), arrival(70, 0.5)])
    assert whole.latencies == {0: 0.5, 1: 0.25, 2: 0.5}
    assert (whole.lost, whole.doubled, whole.refused, whole.handed_off) == (0, 0, 0, 0)
    assert whole.summary(0.25)["p50"] == 250.0
    assert whole.summary(0.25)["most"] == 250.0
    assert whole.seconds == 3.0


def test_a_lost_message_is_counted_in_whichever_chat() -> None:
    assert series([arrival(71, 1.25), arrival(70, 0.5)]).lost == 1
    assert series([arrival(70, 0.5), arrival(70, 2.5)]).lost == 1
    nothing = series([])
    assert nothing.lost == 3
    assert nothing.summary()["p50"] is None


def test_a_doubled_message_does_not_hide_a_lost_one() -> None:
    wrong = series([arrival(71, 1.25), arrival(71, 1.5), arrival(70, 0.5)])
    assert (wrong.lost, wrong.doubled) == (1, 1)
    assert series([arrival(71, 1.2), arrival(70, 0.5), arrival(70, 2.5), arrival(70, 2.6)]).doubled == 1
    assert series([arrival(71, 1.2), arrival(70, 0.5), arrival(70, 2.5), arrival(99, 2.6)]).doubled == 0


def test_what_was_not_acknowledged_or_not_answered_by_the_agent_is_told() -> None:
    replies = [arrival(71, 1.25), arrival(70, 2.5), arrival(70, 0.5, "A colleague will answer.")]
    found = series(replies, (200, 503, 200)).summary()
    assert (found["refused"], found["handed_off"]) == (1, 1)


def test_the_stops_of_a_message_add_up_to_its_way(tmp_path: Path) -> None:
    web, worker = tmp_path / "web.log", tmp_path / "worker.log"
    web.write_text(_log({"time": "1970-01-01T00:16:40.010Z", "logger": "jobx.requests", "ms": 8.0}))
    job = {"logger": "app.queue", "message": "job succeeded", "ms": 20.0}
    worker.write_text(
        "not a line of ours\n"
        + _log(job | {"job": "webhooks:handle_event", "time": "1970-01-01T00:16:40.035Z"})
        + _log(
            {
                "logger": "x",
                "message": "m",
                "time": "1970-01-01T00:16:43.130Z",
                "steps_ms": {"draft": 9, "check": 1, "dispatch": 30},
            }
        )
        + _log(job | {"job": "conversations:answer", "time": "1970-01-01T00:16:43.140Z", "ms": 3100.0})
    )
    posted = Sample([Answered(0, 0.0, 0.01, 200, "t0")], 1.0)
    found = stops(Series({0: 70}, posted, [arrival(70, 3.12)]), [web, worker], wait=3.0)
    middle = {name: times["p50"] for name, times in found.items()}
    assert middle == {
        "webhook to acknowledgement": 10.0,
        "wait for the event's job": 5.0,
        "event to message": 20.0,
        "wait for the turn's job": 5.0,
        "turn to graph": 50.0,
        "graph: draft": 9.0,
        "graph: check": 1.0,
        "dispatch to provider call": 20.0,
    }
    assert sum(middle.values()) == pytest.approx(3120 - 3000)


def _log(fields: dict[str, object]) -> str:
    return json.dumps({"level": "INFO", "trace_id": "t0", "message": "m", **fields}) + "\n"


def good() -> dict[str, dict]:
    whole = {"p50": 90.0, "p99": 300.0, "lost": 0, "doubled": 0, "refused": 0}
    return {
        "ack": {"p99_ratio": 2.1, "jobx": {"failed": 0}},
        "dm_to_send_ms": {**whole, "again": dict(whole), "cpu": {"cores": {"others": 0.0}}},
        "serve": {"rss_mb": 130.0, "import_s": 0.9},
        "scaling": [
            {"workers": workers, "per_second": 30.0, "paced": dict(whole), "burst": dict(whole)}
            for workers in (1, 2, 4)
        ],
    }


def test_good_numbers_break_no_promise() -> None:
    assert shortfalls(good()) == []
    assert line(good(), []).startswith("bench: ok (ack 2.1x; DM to send p50 90.0 ms")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("ack", "p99_ratio"), 3.01, "3.01 times"),
        (("ack", "jobx", "failed"), 2, "2 webhooks"),
        (("dm_to_send_ms", "p50"), 120.0, "p50 120.0 ms"),
        (("dm_to_send_ms", "p99"), 400.0, "p99 400.0 ms"),
        (("dm_to_send_ms", "p50"), None, "p50 None ms"),
        (("dm_to_send_ms", "lost"), 1, "1 messages lost"),
        (("dm_to_send_ms", "doubled"), 1, "1 messages doubled"),
        (("dm_to_send_ms", "again", "lost"), 1, "1 messages of chats that wrote again lost"),
        (("serve", "rss_mb"), 150.0, "150.0 MB"),
        (("serve", "import_s"), 1.5, "1.5 s"),
        (("scaling", 0, "burst", "lost"), 4, "4 messages with 1 workers, in a burst lost"),
        (("scaling", 0, "paced", "refused"), 4, "4 messages with 1 workers, paced refused"),
        (("scaling", 2, "workers"), 3, "4 workers was not measured"),
    ],
)
def test_each_broken_promise_is_told(path: tuple[str | int, ...], value: object, told: str) -> None:
    found = good()
    place: dict = found
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    [broken] = shortfalls(found)
    assert told in broken
    assert "FELL SHORT" in line(found, [broken])


def test_other_programs_are_named_in_the_summary() -> None:
    found = good()
    found["dm_to_send_ms"]["cpu"]["cores"]["others"] = 1.26
    assert "other programs took 1.3 cores" in line(found, [])


@pytest.mark.parametrize(
    ("cores", "workers", "told"),
    [
        ({"worker": 1.2, "postgres": 0.5, "generator": 0.1, "others": 0.1}, 4, "the processor: 1.9 of 2 cores"),
        ({"worker": 0.95, "postgres": 0.3, "others": 0.0}, 1, "the workers' event loops"),
        ({"worker": 0.2, "web": 1.85, "postgres": 0.3}, 4, "the processor"),
        ({"worker": 0.2, "web": 1.5, "postgres": 0.0}, 4, "no processor"),
        ({"worker": 0.5, "postgres": 0.3, "others": 0.0}, 2, "no processor: 0.8 of 2"),
    ],
)
def test_what_is_full_is_read_from_the_shares(cores: dict[str, float], workers: int, told: str) -> None:
    assert full(cores, 2, workers, 2).startswith(told)
