"""What the guardrails add to a turn, in milliseconds, without a model: `python -m bench.guardrails [FILE]`."""

import asyncio
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from graphs.support import guardrails, screening, untrusted
from graphs.support.citations import cited_sentences
from graphs.support.context import AgentProfile
from graphs.support.grounding import Support
from graphs.support.prompts import system_prompt
from graphs.support.records import Passage
from graphs.support.text import sentences

_TURNS = 200
_MOST_MS = 40.0
_FOLDER = Path(__file__).parent.parent / "app/embedded/knowledge"
_QUESTIONS = (
    "How long do I have to return an item?",
    "Wie lange kann ich Ware zurückgeben?",
    "What does delivery cost?",
)


def passages() -> list[Passage]:
    """Eight passages of a page or so each, of the sample shop's knowledge."""
    texts = [path.read_text()[:1200] for path in sorted(_FOLDER.glob("*.md"))[:8]]
    return [Passage(str(place), str(place), "Help", text, score=0.8) for place, text in enumerate(texts)]


def turn(number: int, found: list[Passage], agent: AgentProfile, fresh: bool) -> float:
    """The milliseconds of one turn; `fresh` passages have not been seen before."""
    message = f"{_QUESTIONS[number % len(_QUESTIONS)]} Order {number}."
    if fresh:
        found = [replace(passage, text=f"{passage.text}\n{number}") for passage in found]
    draft = " ".join(f"{line.rstrip('.')} [1]." for line in sentences(found[0].text)[1:4])
    drafted = cited_sentences(draft)
    supports = [Support(one, 1.0, {1: (1.0, one.text)}, []) for one in drafted]
    started = perf_counter()
    screening.injection(message, [], agent)
    screening.abuse(message, agent)
    screening.sensitive_topic(message, agent)
    screening.language(message)
    untrusted.screened(found)
    guardrails.verdicts(draft, drafted, supports, found, agent, asked=message, own=message, prompt=system_prompt(agent))
    return (perf_counter() - started) * 1000


async def _main(arguments: list[str]) -> int:
    found, agent = passages(), AgentProfile("Ada", sensitive_topics=("allergic reaction",))
    report: dict[str, dict[str, float]] = {}
    for kind in ("known", "fresh"):
        times = [await asyncio.to_thread(turn, number, found, agent, kind == "fresh") for number in range(_TURNS)][20:]
        report[kind] = {
            "p50": round(statistics.median(times), 2),
            "p99": round(statistics.quantiles(times, n=100)[98], 2),
        }
    text = json.dumps({"turns": _TURNS, "passages": len(found), "ms": report}, indent=2)
    if arguments:
        await asyncio.to_thread(Path(arguments[0]).write_text, text)
    print(text)
    print(f"guardrails: {report['known']['p50']} ms a turn, {report['fresh']['p50']} ms with passages not seen before")
    return 0 if report["known"]["p50"] <= _MOST_MS else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1:])))
