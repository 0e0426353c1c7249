"""The benchmark of searches: how it judges, and a few chunks in both stores."""

from typing import Any

import pytest

from bench.searching import __main__ as command
from bench.searching.measure import percentiles
from tests.embedding_cache import CACHE
from tests.fakes.qdrant import FakeQdrant, serving


def test_the_first_searches_do_not_count() -> None:
    assert percentiles([9.0] * 20 + [0.001] * 99 + [0.002]) == {"p50": 1.0, "p99": pytest.approx(1.0, abs=0.1)}


def row(**changed: Any) -> dict[str, Any]:
    found = {"store": "embedded", "tenants": 1, "chunks": 10, "matches": 5, "limit_ms": 25.0}
    return found | {"search_ms": {"p50": 1.0, "p99": 25.0}} | changed


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"search_ms": {"p50": 1.0, "p99": 25.1}}, ["p99 25.1 ms, at most 25"]),
        ({"search_ms": {"p50": 1.0, "p99": 25.1}, "store": "server"}, []),
        ({"matches": 0}, ["nothing was found"]),
    ],
)
def test_falling_short_is_told(changed: dict[str, Any], told: list[str]) -> None:
    broken = command.shortfalls([row(**changed)])
    assert len(broken) == len(told)
    assert all(words in text for words, text in zip(told, broken, strict=True))


def test_a_few_chunks_are_searched_in_both_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ROWS", ((1, 30, 1e6), (3, 5, 1e6)))
    monkeypatch.setattr(command, "_QUERIES", 40)
    monkeypatch.setenv("JOBX_MODEL_DIR", str(CACHE))
    with serving(FakeQdrant()) as url:
        monkeypatch.setenv("JOBX_QDRANT_URL", url)
        found = command.run(seed=1, scale=1.0)
    assert [(row["store"], row["tenants"], row["chunks"]) for row in found["rows"]] == [
        *(("embedded", 1, 30), ("embedded", 3, 5)),
        *(("server", 1, 30), ("server", 3, 5)),
    ]
    assert found["shortfalls"] == []
    assert all(row["search_ms"]["p50"] > 0 and row["after"]["rss_mb"] > 0 for row in found["rows"])
    assert [row.get("whole_ms") is not None for row in found["rows"]] == [True, False, False, False]
    assert len(command.table(found["rows"])) == 5
    assert command.line(found).startswith("bench-search: ok")
