"""`python -m bench [OUT]`: every part, one JSON, and a last line that sums it up; exits with 1 if one falls short."""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from bench import ack, journey, scaling, serve
from bench.report import line, shortfalls
from bench.stage import stage

# A machine that does not keep up must not keep the run from its end.
_SECONDS_BEFORE_LAST_ROW = 150.0


async def run(seconds: float) -> dict[str, Any]:
    """All parts on one stage; `seconds` is how long the main part runs, and the others shrink with it."""
    share, until = min(1.0, seconds / 60), time.monotonic() + seconds + _SECONDS_BEFORE_LAST_ROW
    async with stage() as platform:
        await platform.surroundings()
        found: dict[str, Any] = {"cores": os.cpu_count(), "load_before": [round(load, 2) for load in os.getloadavg()]}
        _say(f"direct messages for {seconds:g} s")
        found["dm_to_send_ms"] = await journey.measure(platform, seconds=seconds)
        _say("1, 2 and 4 workers")
        found["scaling"] = await scaling.measure(
            platform, seconds=6 * share, messages=max(20, round(200 * share)), until=until
        )
        # After the workers' parts: what comes in now stays in the queue.
        _say("a web process's memory and imports")
        found["serve"] = await serve.measure(platform)
        _say("acknowledgement beside a bare handler")
        found["ack"] = await ack.measure(platform, requests=max(100, round(1500 * share)))
    return found


def _say(text: str) -> None:
    print(text, "…", file=sys.stderr, flush=True)


def main() -> int:
    """Run, write the JSON, print the summary."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("out", nargs="?", help="the file for the JSON; standard output without one")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the main part runs")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run(asked.seconds))
    broken = shortfalls(found)
    found["shortfalls"] = broken
    text = json.dumps(found, indent=2) + "\n"
    if asked.out:
        Path(asked.out).write_text(text)
    else:
        sys.stdout.write(text)
    print(line(found, broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
