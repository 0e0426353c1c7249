"""`python -m bench.searching [OUT]`: a search in 1,000, 20,000 and 100,000 chunks and in one of 1,000 tenants, as JSON.

Each row has a process of its own; the rows of a server are measured where JOBX_QDRANT_URL names one. Exits with 1 if a
p99 of the embedded store is above its limit.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from bench import common, tree

# Tenants, chunks of each, and the most milliseconds of a search that may be its p99.
ROWS = ((1, 1_000, 25.0), (1, 20_000, 50.0), (1, 100_000, 100.0), (1_000, 50, 100.0))
# Chunks up to which the whole of a search is timed, too: the database's rows are what takes long to make.
_WHOLE = 20_000
_QUERIES = 1000
STORES = ("embedded", "server")


def run(seed: int, scale: float) -> dict[str, Any]:
    """All rows; a scale below 1 makes less of everything."""
    rows = []
    for store in STORES if os.environ.get("JOBX_QDRANT_URL") else STORES[:1]:
        for tenants, chunks, limit in ROWS:
            many = max(1, round(tenants * scale)) if tenants > 1 else 1
            each = chunks if tenants > 1 else max(1, round(chunks * scale))
            rows.append({"limit_ms": limit, **_row(store, many, each, max(40, round(_QUERIES * scale)), seed)})
    return {"seed": seed, "scale": scale, "cores": os.cpu_count(), "rows": rows, "shortfalls": shortfalls(rows)}


def _row(store: str, tenants: int, chunks: int, queries: int, seed: int) -> dict[str, Any]:
    print(f"{store}: {tenants} tenants with {chunks} chunks …", file=sys.stderr, flush=True)
    whole = store == "embedded" and tenants == 1 and chunks <= _WHOLE
    arguments = [store, *map(str, (tenants, chunks, queries, seed, int(whole)))]
    ran = tree.run("bench.searching.measure", arguments)
    return {
        "store": store,
        "tenants": tenants,
        "chunks": chunks,
        "queries": queries,
        "others_cores": ran.others,
        **ran.found,
    }


def shortfalls(rows: list[dict[str, Any]]) -> list[str]:
    """In words, which row of the embedded store is slower than it may be, or found nothing."""
    broken = []
    for row in rows:
        name = f"{row['store']}, {row['tenants']} x {row['chunks']} chunks"
        if not row["matches"]:
            broken.append(f"{name}: nothing was found")
        if row["store"] == "embedded" and row["search_ms"]["p99"] > row["limit_ms"]:
            broken.append(f"{name}: p99 {row['search_ms']['p99']} ms, at most {row['limit_ms']:g}")
    return broken


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as lines; a time is p50 / p99 in milliseconds."""
    names = ("store", "tenants", "chunks", "search", "with embedding", "whole", "MB", "files", "threads", "maps")
    lines = ["".join(f"{name:>16}" for name in names)]
    for row in rows:
        times = [_times(row.get(name)) for name in ("search_ms", "query_ms", "whole_ms")]
        held = [row["after"][name] for name in ("rss_mb", "files", "threads", "maps")]
        lines.append("".join(f"{cell:>16}" for cell in (row["store"], row["tenants"], row["chunks"], *times, *held)))
    return lines


def _times(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{found['p50']:.1f} / {found['p99']:.1f}"


def line(found: dict[str, Any]) -> str:
    """One line that says it all."""
    told = ", ".join(
        f"{row['store']} {row['tenants']} x {row['chunks']}: p99 {row['search_ms']['p99']} ms" for row in found["rows"]
    )
    broken = found["shortfalls"]
    return f"bench-search: {'ok' if not broken else 'FELL SHORT: ' + '; '.join(broken)} ({told})"


def main() -> int:
    """Run, write the JSON, print the table and the summary."""
    parser = argparse.ArgumentParser(prog="bench.searching", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, help="the file for the JSON; standard output without one")
    parser.add_argument("--seed", type=int, default=1, help="what the vectors and questions are made of")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of it; 0.01 is a short run")
    asked = parser.parse_args()
    found = run(asked.seed, asked.scale)
    common.write(found, asked.out)
    print("\n".join(table(found["rows"])))
    print(line(found))
    return 1 if found["shortfalls"] else 0


if __name__ == "__main__":
    sys.exit(main())
