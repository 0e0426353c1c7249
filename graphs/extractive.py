"""`jobx/extractive`: answers by quoting the best supporting sentences of the passages, or says that it does not know.

No model that writes stands behind it. A sentence is scored by how much of the question's vocabulary it and the headings
above it share, rare words counting more, and by how close its vector is to the question's if there is an embedder; what
it cannot support well it leaves to a person.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphs.support.context import Embed
from graphs.support.prompts import NO_ANSWER, FencedPassage, parse_draft_prompt
from graphs.support.text import bullets, content, cosine, language_of, related, sentences

MAX_SENTENCES = 3
MAX_LIST_ITEMS = 6
# Two vectors each, 2 to 4 ms a vector: more cost time and changed no answer where it was measured.
_CANDIDATES = 16
_HEADING_WORDS = 9
# Chosen on XQuAD's paragraphs, with and without the right one, and on questions to the sample knowledge base.
_ENOUGH = 0.5
# By words alone; a question of few words has to be met more fully.
_ENOUGH_WORDS, _ENOUGH_OF_FEW, _FEW = 0.45, 0.6, 2
# The share of the vectors in a score. The default embedder is English: in other languages its vectors say less.
_CLOSENESS, _CLOSENESS_ELSEWHERE = 0.5, 0.3
_PARAPHRASE = 0.77  # of closeness alone, where the vectors can be trusted
_CONDITIONAL = 0.25  # off what holds for a case that the question does not name: "Outlet items: 14 days"
_HEADED = 0.2  # for a title or heading that names the matter, where units are compared
_RANK = 0.2  # for what the retriever thinks of the passage
_NEAR = 0.6  # of the best sentence's score, to be quoted beside it

_CONDITION = re.compile(
    r"(?:\W*(?:if|when|for|in case|wenn|falls|bei|für|si|cuando|para|pour|se|quando|per|als|bij|voor|если|для|якщо|"
    r"jeśli|dla)\b[^,.:]*,|\W*[^:.!?]{2,40}:\W)",
    re.IGNORECASE,
)

# In a shop these are about everything: a question is rarely decided by them.
_GENERIC_WORDS = "item order parcel thing artikel war produkt bestell articul product pedid article produit товар заказ"
_GENERIC = frozenset(_GENERIC_WORDS.split())
_GENERIC_WEIGHT = 0.5
# "How long", "how much": an answer has a number in it.
_ASKS_A_NUMBER = re.compile(
    r"\bhow (?:long|much|many|soon|late|often|far|big|old|wide)\b|\bwie (?:lange?|viele?|oft|weit|teuer|hoch|groß)\b|"
    r"\bcu[áa]nt[oa]s?\b|\bcombien\b|\bquant[ieoa]\b|\bсколько\b|\bскільки\b|\bhoe (?:lang|veel)\b|\bile\b|\bkaç\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d|\b(?:free|one|two|three|four|five|six|seven|eight|nine|ten)\b", re.IGNORECASE)
_WITHOUT_A_NUMBER = 0.2

# What customers say, and the word that help pages have for it: neither words nor vectors get from one to the other.
_SAID_OTHERWISE = (
    (r"\bmoney back\b", "refund"),
    (r"\b(?:send|sent|sending|bring|take|give|giving)\b(.*)\bback\b", r"return \1"),
    (r"\bgeld\b(.*)\b(?:zurück|wieder)\b", r"erstattung \1"),
    (r"\bdinero\b", "reembolso"),
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence with what stands over it: title and headings, and the line that opens its list."""

    passage: FencedPassage
    position: int
    text: str
    stems: frozenset[str]
    context: frozenset[str]
    opener: "_Unit | None"
    condition: frozenset[str]
    quotable: bool


async def answer(prompt: str, embed: Embed | None = None) -> str:
    """The reply to a prompt of `graphs.support.prompts.draft_messages`: quotes with `[n]`, or `NO_ANSWER`.

    `embed` is called at most once, with the question and the candidates; without it words alone decide.
    """
    passages, question = parse_draft_prompt(prompt)
    passages = _spoken(passages, language_of(question))
    language = language_of(" ".join(passage.text for passage in passages)) or language_of(question)
    question = _as_help_pages_say(question)
    # "How long" over another matter is no sign of an answer; that a number is wanted is used below.
    wanted = frozenset(content(_ASKS_A_NUMBER.sub(" ", question), language))
    units = [unit for passage in passages for unit in _units(passage, language)]
    if not units or all(stem.isdigit() for stem in wanted):
        return NO_ANSWER
    weights = _weights(wanted, units)
    numeric = bool(_ASKS_A_NUMBER.search(question))
    scored = {
        unit: _shared(unit, weights) * (1 - _WITHOUT_A_NUMBER * (numeric and not _NUMBER.search(unit.text)))
        for unit in units
        if unit.quotable
    }
    enough = _ENOUGH_OF_FEW if len(wanted) <= _FEW else _ENOUGH_WORDS
    if embed is not None and scored:
        share = _CLOSENESS if language in ("", "en") else _CLOSENESS_ELSEWHERE
        scored = await _with_closeness(scored, question, embed, share)
        enough = _ENOUGH
    chosen = _chosen(scored, weights, enough)
    return "\n".join(f"{plain(unit.text)} [{unit.passage.id}]" for unit in chosen) or NO_ANSWER


def _spoken(passages: list[FencedPassage], language: str) -> list[FencedPassage]:
    """The passages in the customer's language if there are any: a quote cannot be translated."""
    return [passage for passage in passages if language_of(passage.text) == language] or passages


def plain(text: str) -> str:
    """A sentence without Markdown's marks: its words, numbers and addresses stay as they are."""
    text = re.sub(r"\[([^\]]+)\]\((\S+?)\)", r"\1 (\2)", text)
    text = re.sub(r"\*\*|__|`", "", text)
    return ", ".join(cell.strip() for cell in text.split("|") if cell.strip()) if "|" in text else text


def _as_help_pages_say(question: str) -> str:
    for said, meant in _SAID_OTHERWISE:
        question = re.sub(said, meant, question, flags=re.IGNORECASE)
    return question


def _units(passage: FencedPassage, language: str) -> list[_Unit]:
    over = content(f"{passage.title} {passage.heading}", language)
    listed, opener, heading = set(bullets(passage.text)), None, list[str]()
    units: list[_Unit] = []
    for position, text in enumerate(sentences(passage.text)):
        stems = content(text, language)
        announces = text not in listed and _announces(text)
        named = _CONDITION.match(text)
        condition = frozenset(content(named.group(), language)) if named else frozenset[str]()
        opener = opener if text in listed else None
        above = frozenset([*over, *heading, *(opener.stems if opener else ())])
        unit = _Unit(passage, position, text, frozenset(stems), above, opener, condition, not announces)
        units.append(unit)
        if text.endswith(":"):
            opener = unit
        elif announces:
            heading = stems
    return units


def _announces(text: str) -> bool:
    """Whether a line only says what follows: a heading, a question, the start of a list, a table's ruler."""
    if text.endswith(("?", "？", ":")) or not re.search(r"[^\W_]", text):
        return True
    return text[-1].isalnum() and "|" not in text and len(text.split()) <= _HEADING_WORDS and not re.search(r"\d", text)


def _weights(wanted: frozenset[str], units: Sequence[_Unit]) -> dict[str, float]:
    """How much each word of the question counts: 1 if no sentence has it, down to a half if all do."""
    total = math.log(1 + len(units))
    counts = {stem: sum(stem in unit.stems for unit in units) for stem in wanted}
    return {
        stem: (1.0 - 0.5 * math.log(1 + count) / total) * (_GENERIC_WEIGHT if stem in _GENERIC else 1.0)
        for stem, count in counts.items()
    }


def _shared(unit: _Unit, weights: Mapping[str, float]) -> float:
    """The share, 0..1, of the question's words that the sentence has or that stand over it."""
    met = sum(weight * related(stem, unit.stems | unit.context) for stem, weight in weights.items())
    unasked = any(not related(stem, weights) for stem in unit.condition)
    return met / sum(weights.values()) * (1 - _CONDITIONAL if unasked else 1)


async def _with_closeness(
    shared: Mapping[_Unit, float], question: str, embed: Embed, share: float
) -> dict[_Unit, float]:
    """The most promising units, scored by words and by the closeness of the sentence, alone or below its heading."""
    units = sorted(shared, key=lambda unit: -shared[unit] - _standing(unit))[:_CANDIDATES]
    asked, *vectors = await embed([question, *(text for unit in units for text in _readings(unit))])
    close = [cosine(asked, vector) for vector in vectors]
    pairs = zip(units, close[::2], close[1::2], strict=True)
    return {unit: _mixed(shared[unit], max(alone, below), share) for unit, alone, below in pairs}


def _mixed(shared: float, close: float, share: float) -> float:
    """The mean by weight; a paraphrase that shares few words can do with being very close."""
    return max((1 - share) * shared + share * close, _PARAPHRASE * close if share == _CLOSENESS else 0.0)


def _readings(unit: _Unit) -> tuple[str, str]:
    text = plain(unit.text)
    opener = f"{unit.opener.text} " if unit.opener else ""
    return text, f"{unit.passage.heading or unit.passage.title}: {opener}{text}"


def _chosen(scored: Mapping[_Unit, float], weights: Mapping[str, float], enough: float) -> list[_Unit]:
    good = [unit for unit, score in scored.items() if score >= enough]
    if not good:
        return []
    top = max(good, key=lambda unit: scored[unit] + _standing(unit) + _HEADED * _headed(unit, weights))
    beside = [unit for unit in scored if unit.passage is top.passage and scored[unit] >= _NEAR * scored[top]]
    best = sorted(beside, key=lambda unit: -scored[unit])[: MAX_LIST_ITEMS if top.opener else MAX_SENTENCES]
    opened = [unit.opener for unit in best if unit.opener]
    return sorted({*best, *opened}, key=lambda unit: unit.position)


def _headed(unit: _Unit, weights: Mapping[str, float]) -> float:
    """The share, 0..1, of the question's words in title and headings: a page on the matter goes before a mention."""
    return sum(weight * related(stem, unit.context) for stem, weight in weights.items()) / sum(weights.values())


def _standing(unit: _Unit) -> float:
    """What the retriever's score of the passage adds where units are compared; it says nothing of an answer's worth."""
    return _RANK * min(unit.passage.score, 1.0)
