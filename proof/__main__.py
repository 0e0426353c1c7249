"""`python -m proof [OUT]`: erasure, isolation and egress, one JSON and a last line that sums it up; exits with 1 if one
falls short."""

import argparse
import asyncio
import json
import logging
import secrets
import sys
from pathlib import Path
from typing import Any

from proof import egress, erasure, probes


def run(messages: int, count: int) -> dict[str, Any]:
    """Every proof, one after the other: `messages` are erased, `count` probes made."""
    _say(f"erasing a connection with {messages} messages, a customer, a conversation, a document and an account")
    report = asyncio.run(erasure.run(messages))
    _say("walking the journeys under a watch")
    report["egress"] = egress.run()
    _say(f"{count} probes from tenant to tenant")
    models = Path(".cache/embeddings").absolute()
    report["probes"] = asyncio.run(probes.probe(count, secrets.randbelow(10**6), model_dir=models))
    return report


def shortfalls(report: dict[str, Any], messages: int, count: int) -> list[str]:
    """What did not hold, in words."""
    probed, watched = report["probes"], report["egress"]
    checks = {
        "probes got through": probed["leaks"] > 0,
        f"fewer than {count} probes": probed["made"] < count,
        "connections that nobody declared": watched["undeclared"] > 0,
        "a destination was not seen": bool(watched["not_seen"]),
        "a process was not watched": watched["python_without_hook"] > 0,
    }
    return erasure.shortfalls(report, messages) + [words for words, short in checks.items() if short]


def _say(text: str) -> None:
    print(text, "…", file=sys.stderr, flush=True)


def main() -> int:
    """Run, write the JSON, print the summary."""
    parser = argparse.ArgumentParser(prog="proof", description=__doc__)
    parser.add_argument("out", nargs="?", help="the file for the JSON; standard output without one")
    parser.add_argument("--messages", type=int, default=10_000, help="how many messages the erased connection has")
    parser.add_argument("--probes", type=int, default=10_000, help="how many probes are made")
    asked = parser.parse_args()
    # What is tried goes wrong thousands of times, as it should.
    logging.disable(logging.CRITICAL)
    report = run(asked.messages, asked.probes)
    broken = report["shortfalls"] = shortfalls(report, asked.messages, asked.probes)
    text = json.dumps(report, indent=2) + "\n"
    if asked.out:
        Path(asked.out).write_text(text)
    else:
        sys.stdout.write(text)
    watched, probed = report["egress"], report["probes"]
    parts = [
        erasure.line(report),
        f"{watched['requests']} connections, {watched['undeclared']} undeclared",
        f"{probed['made']} probes, {probed['leaks']} leaks",
        *broken,
    ]
    print("; ".join(parts))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
