"""`python -m bench.retrieval DATA [OUT]`: five systems on a test set in BEIR layout, as JSON, and a line that sums up.

Exits with 1 if Jobx is more than .005 nDCG@10 below any other system, or more than 1 % below the best fixed weight.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from app.documents.schemas import SearchRequest
from bench import common
from bench.retrieval import ours, rivals
from bench.retrieval.data import BeirSet, NotBeir, read
from bench.retrieval.measures import SYSTEMS, line, measure, shortfalls
from vectorstore.model_files import find_model, model_name


def run(test: BeirSet) -> dict[str, Any]:
    """Everything measured on a test set."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobx-bench-") as folder:
        settings = ours.settings_in(Path(folder) / "data")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(ours.answers(test, settings, _say))
    systems = dict(found.systems)
    if absent := rivals.missing():
        _say(f"without the rivals: {', '.join(absent)} not installed (pip install '.[bench]')")
    else:
        systems |= rivals.answers(test, find_model(settings.embedding_model), _say)
    rows = [{"system": name, **measure(test.judgements, systems[name])} for name in SYSTEMS if name in systems]
    weights = [{"weight": weight, **measure(test.judgements, got)} for weight, got in found.weights.items()]
    return {
        "set": test.name,
        "rows": rows,
        "weights": weights,
        "shortfalls": shortfalls(rows, weights),
        "model": model_name(settings.embedding_model),
        "documents": len(test.documents),
        "chunks": found.chunks,
        "queries": len(test.queries),
        "longer_than_the_api_takes": sum(len(query) > _most_characters() for query in test.queries.values()),
        "left_out": test.left_out,
        "unread": found.unread,
        "seconds": round(time.monotonic() - began),
    }


def _most_characters() -> int:
    """How long a question of POST /v1/search may be; here longer ones are asked whole, as an agent's graph does."""
    limits = SearchRequest.model_fields["query"].metadata
    return next(int(limit.max_length) for limit in limits if hasattr(limit, "max_length"))


def _say(text: str) -> None:
    print(text, "…", file=sys.stderr, flush=True)


def _tell(found: dict[str, Any]) -> None:
    """The rows as a table, and what was not measured or not measured as it is used."""
    names = [name for name in found["rows"][0] if name != "system"]
    print(f"{found['set']:26}" + "".join(f"{name:>10}" for name in names))
    for row in found["rows"]:
        print(f"{row['system']:26}" + "".join(f"{row[name]:10.4f}" for name in names))
    for what, count in (found["left_out"] | found["unread"]).items():
        print(f"Left out: {count} {what}")
    if found["longer_than_the_api_takes"]:
        limit = f"POST /v1/search takes {_most_characters()} characters"
        print(f"{found['longer_than_the_api_takes']} questions are longer than {limit}; they were searched for whole.")


def main() -> int:
    """Read, run, write the JSON, print the table and the summary."""
    parser = argparse.ArgumentParser(prog="bench.retrieval", description=__doc__)
    parser.add_argument("data", type=Path, help="a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv")
    parser.add_argument("out", nargs="?", type=Path, help="the file for the JSON; standard output without one")
    asked = parser.parse_args()
    try:
        test = read(asked.data)
    except NotBeir as error:
        print(f"bench-retrieval: {error}", file=sys.stderr)
        return 2
    found = run(test)
    common.write(found, asked.out)
    _tell(found)
    print(line(found))
    return 1 if found["shortfalls"] else 0


if __name__ == "__main__":
    sys.exit(main())
