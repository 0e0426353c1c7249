"""The checks a draft has to pass before it may be sent. Pure functions: values in, one verdict each out.

What is checked before a model is asked is in `graphs.support.screening`.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from graphs.support import leaks, promises, quoting, speech, vocabulary
from graphs.support.citations import CitedSentence, without_markers
from graphs.support.context import AgentProfile
from graphs.support.facts import invented
from graphs.support.frequencies import frequency
from graphs.support.grounding import Support, is_courtesy
from graphs.support.injection import NO_REPLY, in_passage
from graphs.support.normalising import folded
from graphs.support.records import CONFIGURABLE, Action, Citation, Passage, Verdict
from graphs.support.stray import stray
from graphs.support.text import language_of, sentences, stem, topic_words
from graphs.support.urls import addresses, refused

GROUNDEDNESS, CITATIONS, URLS, LENGTH = "groundedness", "citations_resolve", "url_allow_list", "length"
RELEVANCE = "relevance"
_QUOTE_SCORE = 0.35
_ORDER = 0.7
_EVERYWHERE = 5.3


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


def url_allow_list(
    reply: str, cited: Sequence[Passage], prefixes: Sequence[str], said: Sequence[str] = (), asked: str = ""
) -> Verdict:
    """Every web and mail address stands in a cited passage or lies under a prefix of the agent's settings.

    In the sentences `said`, it stands beside words that the passage has with it, unless it was `asked` for.
    """
    wrong = refused(reply, [f"{passage.title}\n{passage.text}" for passage in cited], prefixes)
    out_of_place = stray(said, [passage.whole for passage in cited], asked, prefixes)
    found = len(addresses(reply))
    bad = {*wrong, *out_of_place}
    evidence = f"{found} addresses"
    if bad:
        evidence = f"not allowed: {', '.join(wrong)}" if wrong else f"out of place: {', '.join(out_of_place)}"
    return _verdict(URLS, not bad, 1 - len(bad) / max(found, len(bad), 1), evidence)


def length(reply: str, max_characters: int) -> Verdict:
    """The reply fits the channel; the score falls by how much it is too long."""
    size = len(reply)
    return _verdict(LENGTH, size <= max_characters, min(1.0, max_characters / max(size, 1)), f"{size} characters")


def facts(
    said: Sequence[str],
    cited: Sequence[Passage],
    allowed: str,
    reply: str,
    tainted: Collection[str] = (),
    asked: str = "",
) -> Verdict:
    """No number, date, price, phone, code, name or odd word that the cited passages lack; `allowed` has names.

    Nor a word of which the stem is `tainted`: it stands only where the passages say how to answer. Nor what was `asked`
    to be said in quotes.
    """
    sources = [passage.whole for passage in cited]
    whole = "\n".join(sources)
    language, theirs = language_of(reply), language_of(whole)
    stated = [text for text in said if not is_courtesy(text)]
    numbers = [number for text in stated for number in invented(text, f"{whole}\n{allowed}")]
    odd = vocabulary.strange(said, sources, allowed, language or theirs, language not in ("", theirs), asked)
    ordered = [word for text in said for word in _ordered(text, tainted, theirs)] if tainted else []
    wrong = list(dict.fromkeys([*numbers, *odd, *ordered, *quoting.said_back(reply, asked, whole)]))
    evidence = f"not in the passages: {', '.join(wrong[:8])}" if wrong else "nothing of its own"
    return _verdict("facts", not wrong, 1 / (1 + len(wrong)), evidence)


def _ordered(text: str, tainted: Collection[str], language: str) -> list[str]:
    """The words of a sentence that only orders have; one that is everywhere says nothing on its own."""
    found = [word for word in topic_words(text, language) if stem(word, language) in tainted]
    return found if len(found) > 1 or any(frequency(word, language) < _EVERYWHERE for word in found) else []


def promised(said: Sequence[str], cited: Sequence[Passage]) -> Verdict:
    """The reply promises nothing that an agent who can only answer and hand over cannot do."""
    found = promises.promised(said, [passage.text for passage in cited])
    evidence = f"an action is promised: “{found[0][:200]}”" if found else "no action is promised"
    return _verdict("promises", not found, 0.0 if found else 1.0, evidence)


def other_customer(reply: str, cited: Sequence[Passage], own: str) -> Verdict:
    """No personal data that neither the passages nor the customer's `own` words have; the evidence tells its kind."""
    found = leaks.foreign(reply, [passage.whole for passage in cited], own)
    evidence = f"not the customer's and not in the passages: {', '.join(found)}" if found else "nobody else's data"
    return _verdict("other_customer", not found, 0.0 if found else 1.0, evidence)


def system_prompt(reply: str, said: Sequence[str], cited: Sequence[Passage], prompt: str, secret: str) -> Verdict:
    """Nothing of the system prompt, and no order to an assistant, which only a prompt or an attack can have."""
    sources = [passage.whole for passage in cited]
    leaked = leaks.prompt_leaked(reply, prompt, secret, sources)
    known = " ".join(" ".join(sources).split())
    order = any(_is_order(text) and text not in known for text in said)
    evidence = leaked or ("the reply has an order to an assistant" if order else "nothing of the system prompt")
    return _verdict("system_prompt", not leaked and not order, 0.0 if leaked or order else 1.0, evidence)


def _is_order(text: str) -> bool:
    """Whether a sentence addresses an assistant; customers may be told what to say at a desk."""
    finding = in_passage(text)
    return finding.score >= _ORDER and finding.family.removeprefix("hidden ") in NO_REPLY


def reply_language(asked: str, reply: str, quotes: bool) -> Verdict:
    """The reply is in the customer's language, as far as both are plain; one that `quotes` cannot translate."""
    differ = speech.other(asked, reply)
    evidence = f"asked in {differ[0]}, answered in {differ[1]}" if differ else "the same language, or not plain"
    verdict = _verdict("reply_language", differ is None, 0.0 if differ else 1.0, evidence)
    return replace(verdict, action="record") if differ and quotes else verdict


def forbidden_phrases(reply: str, phrases: Sequence[str]) -> Verdict:
    """None of the tenant's forbidden phrases, whatever its case, accents and spacing."""
    said = _spaced(reply)
    found = [phrase for phrase in phrases if _spaced(phrase).strip() and _spaced(phrase) in said]
    evidence = f"forbidden: {', '.join(found)}" if found else "none of the forbidden phrases"
    return _verdict("forbidden_phrases", not found, 0.0 if found else 1.0, evidence)


def verdicts(
    draft: str,
    drafted: Sequence[CitedSentence],
    supports: Sequence[Support],
    passages: Sequence[Passage],
    agent: AgentProfile,
    *,
    asked: str = "",
    own: str = "",
    prompt: str = "",
    quotes: bool = False,
    tainted: Collection[str] = (),
) -> list[Verdict]:
    """All checks of one draft, as the tenant set them.

    The passages and the stems that are `tainted` are those of `graphs.support.evidence`. `asked` is the customer's
    message, `own` what they said of themselves, `prompt` the system prompt, and `quotes` says that the model can only
    quote.
    """
    numbers = {number for sentence in drafted for number in sentence.passages}
    cited = [passage for number, passage in enumerate(passages, 1) if number in numbers]
    reply = without_markers(draft)
    said = sentences(reply)
    found = [
        groundedness(supports, _threshold(agent, GROUNDEDNESS, agent.groundedness_threshold)),
        citations_resolve(drafted, passages),
        url_allow_list(reply, cited, agent.allowed_urls, said, asked),
        facts(said, cited, "\n".join([agent.name, *agent.allowed_urls, *own.splitlines()[:1]]), reply, tainted, asked),
        promised(said, cited),
        other_customer(reply, cited, own),
        system_prompt(reply, said, cited, prompt, leaks.canary(agent)),
        reply_language(asked, reply, quotes),
        forbidden_phrases(reply, agent.forbidden_phrases),
        length(reply, agent.max_characters),
    ]
    return [as_set(verdict, agent) for verdict in found]


def as_set(verdict: Verdict, agent: AgentProfile) -> Verdict:
    """The verdict by the tenant's threshold; in shadow mode a finding is recorded and nothing follows."""
    guard = agent.guardrails.get(verdict.name)
    if guard is None or verdict.name not in CONFIGURABLE:
        return verdict
    if (
        guard.threshold is not None
        and verdict.name not in (GROUNDEDNESS, RELEVANCE)
        and verdict.score >= guard.threshold
    ):
        return replace(verdict, passed=True, action="pass")
    return verdict if verdict.passed or guard.mode == "act" else replace(verdict, action="record")


def stops(verdict: Verdict) -> bool:
    """Whether something follows from a verdict."""
    return not verdict.passed and verdict.action != "record"


def _threshold(agent: AgentProfile, name: str, default: float) -> float:
    guard = agent.guardrails.get(name)
    return default if guard is None or guard.threshold is None else guard.threshold


def relevance_of(probability: float, agent: AgentProfile) -> Verdict:
    """`relevance` as the tenant set it."""
    return as_set(relevance(probability, _threshold(agent, RELEVANCE, agent.relevance_threshold)), agent)


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


def _spaced(text: str) -> str:
    said = re.sub(r"\W+", " ", folded(text)).strip()
    return f" {said} "


def _verdict(name: str, passed: bool, score: float, evidence: str) -> Verdict:
    action: Action = "pass" if passed else "redraft"
    return Verdict(name, passed, round(score, 3), evidence, action)
