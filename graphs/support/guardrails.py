"""The checks a draft has to pass before it may be sent. Pure functions: values in, one verdict each out."""

from collections.abc import Sequence

from graphs.support.citations import CitedSentence, without_markers
from graphs.support.context import AgentProfile
from graphs.support.grounding import Support
from graphs.support.records import Citation, Passage, Verdict
from graphs.support.urls import addresses, refused

GROUNDEDNESS, CITATIONS, URLS, LENGTH = "groundedness", "citations_resolve", "url_allow_list", "length"
RELEVANCE = "relevance"
_QUOTE_SCORE = 0.35


def groundedness(supports: Sequence[Support], threshold: float) -> Verdict:
    """Every sentence that states something has the passages' support, and no number of its own; scored by the worst."""
    if not supports:
        return _verdict(GROUNDEDNESS, False, 0.0, "the draft states nothing")
    worst = min(supports, key=lambda support: 0.0 if support.invented else support.score)
    if worst.invented:
        evidence = f"not in the passages: {', '.join(worst.invented)} in “{worst.sentence.text}”"
        return _verdict(GROUNDEDNESS, False, 0.0, evidence)
    return _verdict(
        GROUNDEDNESS, worst.score >= threshold, worst.score, f"support {worst.score:.2f} for “{worst.sentence.text}”"
    )


def relevance(probability: float, threshold: float) -> Verdict:
    """One of the passages answers the question likely enough; scored by the probability."""
    passed = probability >= threshold
    evidence = f"the passages found answer the question with a probability of {probability:.0%}"
    return Verdict(RELEVANCE, passed, round(probability, 3), evidence, "pass" if passed else "handoff")


def citations_resolve(drafted: Sequence[CitedSentence], passages: Sequence[Passage]) -> Verdict:
    """Something is cited, and everything cited is there."""
    cited = [number for sentence in drafted for number in sentence.passages]
    missing = sorted({number for number in cited if not 1 <= number <= len(passages)})
    if not cited:
        return _verdict(CITATIONS, False, 0.0, "no passage is cited")
    score = 1 - sum(number in missing for number in cited) / len(cited)
    evidence = f"no passage {', '.join(map(str, missing))}" if missing else f"{len(set(cited))} passages cited"
    return _verdict(CITATIONS, not missing, score, evidence)


def url_allow_list(reply: str, cited: Sequence[Passage], prefixes: Sequence[str]) -> Verdict:
    """Every web and mail address stands in a cited passage or lies under a prefix of the agent's settings."""
    wrong = refused(reply, [f"{passage.title}\n{passage.text}" for passage in cited], prefixes)
    found = len(addresses(reply))
    score = 1 - len(wrong) / found if found else 1.0
    return _verdict(URLS, not wrong, score, f"not allowed: {', '.join(wrong)}" if wrong else f"{found} addresses")


def length(reply: str, max_characters: int) -> Verdict:
    """The reply fits the channel; the score falls by how much it is too long."""
    size = len(reply)
    return _verdict(LENGTH, size <= max_characters, min(1.0, max_characters / max(size, 1)), f"{size} characters")


def verdicts(
    draft: str,
    drafted: Sequence[CitedSentence],
    supports: Sequence[Support],
    passages: Sequence[Passage],
    agent: AgentProfile,
) -> list[Verdict]:
    """All checks of one draft."""
    numbers = {number for sentence in drafted for number in sentence.passages}
    cited = [passage for number, passage in enumerate(passages, 1) if number in numbers]
    reply = without_markers(draft)
    return [
        groundedness(supports, agent.groundedness_threshold),
        citations_resolve(drafted, passages),
        url_allow_list(reply, cited, agent.allowed_urls),
        length(reply, agent.max_characters),
    ]


def citations(supports: Sequence[Support], passages: Sequence[Passage]) -> list[Citation]:
    """The source sentences behind the reply in its order, each once; a passage named without need is left out."""
    found: dict[Citation, None] = {}
    for support in supports:
        best = max((score for score, _ in support.quotes.values()), default=0.0)
        for number, (score, quote) in support.quotes.items():
            if quote and (score >= _QUOTE_SCORE or score == best):
                passage = passages[number - 1]
                page = passage.page_of(quote)
                found[Citation(passage.document_id, passage.title, page, passage.heading, quote)] = None
    return list(found)


def _verdict(name: str, passed: bool, score: float, evidence: str) -> Verdict:
    return Verdict(name, passed, round(score, 3), evidence, "pass" if passed else "redraft")
