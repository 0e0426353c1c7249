"""`python -m bench.evals [OUT]`: every suite with its metrics as JSON, and a line that sums up.

Exits with 1 if a run falls short of what it has to reach. HTML reports go beside OUT.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from app.evaluating.stage import Stage, stage
from app.telemetry import set_up_logging
from bench import common, embedded
from bench.evals import suites
from bench.evals.suites import Run
from evals.html import to_html
from evals.report import shortfalls


async def run(data: Path | None, limit: int | None, seed: int, reports: Path | None) -> list[dict[str, Any]]:
    """Everything measured, run by run."""
    found = []
    with tempfile.TemporaryDirectory(prefix="jobx-bench-") as folder:
        settings = embedded.settings_in(Path(folder) / "data")
        async with stage(settings, _say, lambda *_told: None) as ready:
            async for one in _runs(ready, data, Path(folder), limit, seed):
                found.append(_row(one))
                _say(_line(found[-1]))
                if reports is not None:
                    name = re.sub(r"\W+", "-", one.name) + ".html"
                    wrong = found[-1]["shortfalls"]
                    page = to_html(one.done.report, one.done.samples, None, wrong, checked=bool(one.floors))
                    (reports / name).write_text(page)
    return found


async def _runs(ready: Stage, data: Path | None, folder: Path, limit: int | None, seed: int) -> AsyncIterator[Run]:
    async for one in suites.own(ready, limit):
        yield one
    if data is not None:
        async for one in suites.public(ready, data, folder, limit, seed):
            yield one


def _row(one: Run) -> dict[str, Any]:
    told = one.done.report
    return {
        "name": one.name,
        "task": told.task,
        "model": told.model,
        "samples": told.samples,
        "not_scored": told.not_scored,
        "metrics": {name: asdict(value) for name, value in told.metrics.items()},
        "curve": told.curve,
        "failures": told.failures,
        "shortfalls": shortfalls(told, one.floors),
    }


def _line(row: dict[str, Any]) -> str:
    shown = [
        f"{name} {value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
        for name, value in row["metrics"].items()
        if not name.endswith(("_ms", "_mean"))
    ]
    return f"{row['name']}: {row['samples']} samples, {', '.join(shown)}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Run what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.evals", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, help="where the JSON goes; to standard output without it")
    parser.add_argument("--data", type=Path, help="the folder of public sets")
    parser.add_argument("--limit", type=int, help="at most so many samples of each suite")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    set_up_logging("WARNING")
    began = time.monotonic()
    reports = None if given.out is None else given.out.parent
    if reports is not None:
        reports.mkdir(parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(run(given.data, given.limit, given.seed, reports))
    broken = [f"{row['name']}: {text}" for row in rows for text in row["shortfalls"]]
    common.write({"runs": rows, "shortfalls": broken, "seconds": round(time.monotonic() - began)}, given.out)
    sys.stdout.write(f"evals: {'ok' if not broken else 'FELL SHORT: ' + '; '.join(broken)} ({len(rows)} runs)\n")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
