"""`python -m chaos [OUT] --turns N`: one run, its JSON, a last line that sums it up; exits with 1 if it fell short."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from chaos.plan import PROVOKING, Plan
from chaos.run import run

COUNTS = ("lost", "doubled", "out_of_order", "after_takeover")


def main() -> int:
    """Run, write the JSON, print the summary."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("out", nargs="?", help="the file for the JSON; standard output without one")
    parser.add_argument("--turns", type=int, default=1000, help="how many messages customers write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--fault", choices=("dedup", "lock", "recheck", "all"), help="take a guard away: it has to be found"
    )
    asked = parser.parse_args()
    provoking = PROVOKING.get(asked.fault, {})
    found = asyncio.run(run(Plan(turns=asked.turns, seed=asked.seed, fault=asked.fault, **provoking), aloud=True))
    told = json.dumps(found, indent=2) + "\n"
    if asked.out:
        Path(asked.out).write_text(told)
    else:
        sys.stdout.write(told)
    counts = ", ".join(f"{found[name]} {name.replace('_', ' ')}" for name in COUNTS)
    print(f"chaos: {found['turns']} turns, {found['kills']} kills: {counts}, {found['unknown_flagged']} flagged")
    return 1 if any(found[name] for name in COUNTS) else 0


if __name__ == "__main__":
    sys.exit(main())
