"""`python -m bench.ingestion [OUT]`: a folder of documents through Jobx and through a rival, as JSON, and a last line.

Each side has a process of its own. Exits with 1 if Jobx does not embed 3 times the rival's chunks per second, or 85 %
of what its embedder does alone, or takes more memory than the rival.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import common, tree
from bench.ingestion import folder, report, rival
from bench.ingestion.report import JOBX, RIVAL


def run(seed: int, scale: float) -> dict[str, Any]:
    """Everything measured on one folder."""
    with tempfile.TemporaryDirectory(prefix="jobx-bench-") as name:
        written = folder.write(Path(name), seed, scale)
        _say(f"{sum(written.files.values())} documents of {written.characters:,} characters")
        ours = tree.run("bench.ingestion.ours", [name])
        beside = None
        if absent := rival.missing():
            _say(f"without the rival: {', '.join(absent)} not installed (pip install '.[bench]')")
        else:
            beside = tree.run("bench.ingestion.rival", [name])
    rows = [report.row(JOBX, ours), *([report.row(RIVAL, beside)] if beside else [])]
    shares = report.shares(ours, beside)
    return {
        "seed": seed,
        "scale": scale,
        "cores": os.cpu_count(),
        "files": written.files,
        "characters": written.characters,
        "rows": rows,
        "raw": report.raw_row(ours),
        "shares": shares,
        "unread": ours.found["unread"],
        "shortfalls": report.shortfalls(rows, shares),
    }


def _say(text: str) -> None:
    print(text, "…", file=sys.stderr, flush=True)


def main() -> int:
    """Run, write the JSON, print the table and the summary."""
    parser = argparse.ArgumentParser(prog="bench.ingestion", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, help="the file for the JSON; standard output without one")
    parser.add_argument("--seed", type=int, default=1, help="what the documents are made of")
    parser.add_argument("--scale", type=float, default=1.0, help="how many there are; 0.1 is a short run")
    asked = parser.parse_args()
    found = run(asked.seed, asked.scale)
    common.write(found, asked.out)
    print("\n".join(report.table(found)))
    print(report.line(found))
    return 1 if found["shortfalls"] else 0


if __name__ == "__main__":
    sys.exit(main())
