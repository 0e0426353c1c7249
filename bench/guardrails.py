"""What the guardrails add to a turn, in milliseconds, without a model: `python -m bench.guardrails [OUT] [CORPUS ...]`.

A turn is a message, a history of four messages, eight passages of 1,000 to 1,400 characters and a draft of three
sentences. Passages are new (never seen, other ones in each turn) or known (the same again); they come from the corpora
given (JSON lines with a `text`), else from the sample shop, whose words are few: what is kept of words helps there.
Fails if new passages take more than 40 ms in the middle.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

from langchain.messages import AIMessage, AnyMessage, HumanMessage

from graphs.support import grounding, guardrails, personal, screening, untrusted
from graphs.support.citations import CitedSentence, cited_sentences
from graphs.support.context import AgentProfile
from graphs.support.evidence import evidence
from graphs.support.prompts import system_prompt
from graphs.support.records import Passage
from graphs.support.text import sentences

_TURNS, _WARM, _PASSAGES, _CHARACTERS = 120, 20, 8, (1000, 1400)
_MOST_MS = 40.0
_FOLDER = Path(__file__).parent.parent / "app/embedded/knowledge"
_AGENT = AgentProfile("Ada", sensitive_topics=("allergic reaction",))
_HISTORY: tuple[AnyMessage, ...] = (
    HumanMessage("Hello, I have a question about my last purchase, order 1234."),
    AIMessage("Of course, what would you like to know about it?"),
    HumanMessage(
        "It came late and the box was open, so I am not sure whether it was used before. My phone: 0171 2345678"
    ),
    AIMessage("I am sorry. Items can be returned within 30 days."),
)


class Turn(NamedTuple):
    """What a turn's checks are given."""

    message: str
    passages: list[Passage]
    draft: str
    drafted: list[CitedSentence]
    supports: list[grounding.Support]


def pieces(corpora: list[Path]) -> list[str]:
    """Texts of 1,000 to 1,400 characters of the corpora, or of the sample shop's knowledge."""
    texts = [json.loads(line)["text"] for path in corpora for line in path.read_text().splitlines() if line.strip()]
    lines = "\n".join(texts or [path.read_text() for path in sorted(_FOLDER.glob("*.md"))]).splitlines()
    return list(_pieces(lines))


def _pieces(lines: list[str]) -> Iterator[str]:
    piece = ""
    for line in lines:
        piece = f"{piece}\n{line}".strip()
        if len(piece) >= _CHARACTERS[0]:
            yield piece[: _CHARACTERS[1]]
            piece = ""


def turns(texts: list[str], fresh: bool) -> Iterator[Turn]:
    """Turns one after another; the passages of `fresh` ones differ from all before, if only by a number."""
    rest = cycle(texts)
    for number in range(_TURNS):
        found = list(islice(rest, _PASSAGES)) if fresh else texts[:_PASSAGES]
        told = [
            Passage(str(place), str(place), "Help", f"{text}\n{number}" if fresh else text, score=0.8)
            for place, text in enumerate(found)
        ]
        yield _turn(number, told)


def _turn(number: int, passages: list[Passage]) -> Turn:
    said = sentences(passages[0].text)
    message = f"{' '.join(said)[: 60 + number * 13 % 240]} Order {number}?"
    draft = " ".join(f"{line.rstrip('.')} [1]." for line in said[1:4])
    drafted = cited_sentences(draft)
    return Turn(
        message, passages, draft, drafted, [grounding.Support(one, 1.0, {1: (1.0, one.text)}, []) for one in drafted]
    )


def checks(turn: Turn, agent: AgentProfile) -> None:
    """All guardrails of a turn, as the graph calls them."""
    screening.injection(turn.message, _HISTORY, agent)
    screening.abuse(turn.message, agent)
    screening.sensitive_topic(turn.message, agent)
    screening.language(turn.message)
    untrusted.safe_history(_HISTORY)
    if agent.mask_personal_data:
        _mask(turn)
    clean = untrusted.screened(turn.passages).passages
    # Once more after passages were widened; these are known then.
    untrusted.screened(clean)
    grounds = evidence(clean, turn.drafted, turn.message)
    guardrails.verdicts(
        turn.draft,
        turn.drafted,
        turn.supports,
        grounds.passages,
        agent,
        asked=turn.message,
        own=turn.message,
        prompt=system_prompt(agent),
        tainted=grounds.tainted,
    )


def _mask(turn: Turn) -> None:
    """What the screening masks, and what is masked for the question and for the draft."""
    personal.mask(turn.message, "Anna Schmidt")
    for _ in range(2):
        for text in (turn.message, turn.message, *(said.text for said in _HISTORY)):
            personal.mask(text, "Anna Schmidt")


def grounded(turn: Turn) -> None:
    """The support of the draft's sentences, which there was before the guardrails; vectors cost nothing here."""

    async def embed(texts: list[str]) -> list[list[float]]:
        return [[1.0] * 384 for _ in texts]

    asyncio.run(_supports(turn, embed))


async def _supports(turn: Turn, embed: Callable[..., object]) -> None:
    await grounding.supports(turn.drafted, turn.passages, embed)  # type: ignore[arg-type]


def measured(found: Iterator[Turn], act: Callable[[Turn], None]) -> dict[str, dict[str, float]]:
    """The middle and the 99th percentile of wall and processor time of a turn, in milliseconds."""
    wall, cpu = list[float](), list[float]()
    for turn in found:
        started, used = perf_counter(), process_time()
        act(turn)
        wall.append((perf_counter() - started) * 1000)
        cpu.append((process_time() - used) * 1000)
    return {"wall": _spread(wall[_WARM:]), "cpu": _spread(cpu[_WARM:])}


def _spread(times: list[float]) -> dict[str, float]:
    return {"p50": round(statistics.median(times), 2), "p99": round(statistics.quantiles(times, n=100)[98], 2)}


def report(texts: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """The figures by what is done: with new and known passages, with masking, and grounding on its own."""
    masking = replace(_AGENT, mask_personal_data=True)
    found = {}
    for kind, fresh in (("new", True), ("known", False)):
        for name, agent in ((kind, _AGENT), (f"{kind}_masked", masking)):
            untrusted.forget()
            found[name] = measured(turns(texts, fresh), lambda turn, agent=agent: checks(turn, agent))  # type: ignore[misc]
    return found | {"grounding": measured(turns(texts, True), grounded)}


def main(arguments: list[str]) -> int:
    """Print the figures, or write them into the first argument, and say whether new passages are fast enough."""
    texts = pieces([Path(one) for one in arguments[1:]])
    found = report(texts)
    text = json.dumps({"turns": _TURNS - _WARM, "passages": _PASSAGES, "texts": len(texts), "ms": found}, indent=2)
    if arguments:
        Path(arguments[0]).write_text(text)
    print(text)
    middle = found["new"]["wall"]["p50"]
    print(f"guardrails: {middle} ms a turn with new passages, {found['known']['wall']['p50']} ms with known ones")
    return 0 if middle <= _MOST_MS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
