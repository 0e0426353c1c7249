"""`jobx/extractive`: answers by quoting the best supporting sentences of the passages, or says that it does not know.

No model stands behind it. A sentence is scored by how much of the question's vocabulary it and the headings above it
share, rare words counting more; what it cannot support well it leaves to a person.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphs.support.prompts import NO_ANSWER, FencedPassage, parse_draft_prompt
from graphs.support.text import bullets, content, language_of, related, sentences

MAX_SENTENCES = 3
MAX_LIST_ITEMS = 6
_HEADING_WORDS = 9
# Tuned on questions to the sample knowledge base; a question of few words has to be met more fully.
_ENOUGH, _ENOUGH_OF_FEW, _FEW = 0.45, 0.6, 2
_CONTEXT = 0.7  # a word that only the heading has counts this much
_EXPECTED = 0.4  # for a number where one is asked for
_CONDITIONAL = 0.25  # off what holds for a case that the question does not name: "Outlet items: 14 days"
_GENERIC_WEIGHT = 0.3  # of a word that is about everything in a shop
_HEADED = 0.3  # for a passage whose title and heading name the topic
_RANK = 0.5  # for what the retriever thinks of the passage
_NEAR = 0.45  # of the best sentence's score, to be quoted beside it

_SPAN = (
    r"\d\W{0,3}(?:\w+\W{1,3}){0,3}?(?:day|week|month|year|hour|minute|am\b|pm\b|tag|werktag|woche|monat|jahr|stunde|uhr|d[íi]a|"
    r"semana|mes|año|hora|jour|semaine|mois|heure|giorn|settiman|ore\b|dag|maand|uur|д[не]|недел|месяц|час|год|тиж|рок|"
    r"dni|dzie|tyg|miesi|godz|gün|hafta|ay\b|saat)"
)
_ASKED_AND_EXPECTED = (
    (
        r"how (long|soon|late|often)|\bwhen\b|\bwann\b|wie lange|cu[áa]ndo|cu[áa]nto tiempo|\bquand\b|combien de temps|"
        r"сколько времени|скільки часу|когда|коли|quanto tempo|kiedy|jak długo|ile czasu|hoe lang|wanneer|ne zaman",
        _SPAN,
    ),
    (r"how many|wie viele|cu[áa]nt[oa]s|combien|quant[ie]\b|quant[oa]s|сколько|hoeveel|ile|kaç", r"\d"),
    (
        r"how much|\b(price|costs?|fees?)\b|kosten|kostet|teuer|cu[áa]nto (cuesta|vale)|combien|стоит|коштує|"
        r"quanto (costa|custa)|ile kosztuje|hoeveel|ne kadar",
        r"[€$£¥₽₴₺]|\b(eur|usd|gbp|free|kostenlos|gratis|gratuit|рубл|грн|zł)",
    ),
    (r"\b(phone|call|telefon|tel[ée]fono|t[ée]l[ée]phone|телефон)", r"\+?\d[\d ()/-]{5,}\d"),
    (r"\b(e-?mail|correo|почт)", r"\S+@\S+\.\S+"),
)
_EXPECTATIONS = [tuple(re.compile(part, re.IGNORECASE) for part in pair) for pair in _ASKED_AND_EXPECTED]
_CONDITION = re.compile(
    r"(?:\W*(?:if|when|for|in case|wenn|falls|bei|für|si|cuando|para|pour|se|quando|per|als|bij|voor|если|для|якщо|"
    r"jeśli|dla)\b[^,.:]*,|\W*[^:.!?]{2,40}:\W)",
    re.IGNORECASE,
)
_GENERIC_WORDS = "item order parcel thing artikel war produkt bestell articul product pedid article produit товар заказ"
_GENERIC = frozenset(_GENERIC_WORDS.split())
# What customers say, and the word that help pages have for it.
_SAID_OTHERWISE = (
    (r"\bmoney back\b", "refund"),
    (r"\b(?:send|sent|sending|bring|take|give|giving)\b(.*)\bback\b", r"return \1"),
    (r"\bwhere(?:'s| is| are) my\b", "track"),
    (r"\b(?:wo ist|wo bleibt|wann kommt) mein\w*\b", "sendungsverfolgung"),
    (r"\bgeld\b(.*)\bzurück\b", r"erstattung \1"),
    (r"\bdinero\b", "reembolso"),
    (r"\b(phone|telephone) number\b", r"\1"),
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence with what stands over it: title and headings, and the line that opens its list."""

    passage: FencedPassage
    position: int
    text: str
    stems: frozenset[str]
    over: frozenset[str]
    context: frozenset[str]
    opener: "_Unit | None"
    condition: frozenset[str]
    quotable: bool


def answer(prompt: str) -> str:
    """The reply to a prompt of `graphs.support.prompts.draft_messages`: quotes with `[n]`, or `NO_ANSWER`."""
    passages, question = parse_draft_prompt(prompt)
    passages = _spoken(passages, language_of(question))
    language = language_of(" ".join(passage.text for passage in passages)) or language_of(question)
    wanted = _wanted(question, language)
    if not passages or all(stem.isdigit() for stem in wanted):
        return NO_ANSWER
    units = [unit for passage in passages for unit in _units(passage, language)]
    chosen = _chosen(units, _weights(wanted, units), question)
    return "\n".join(f"{plain(unit.text)} [{unit.passage.id}]" for unit in chosen) or NO_ANSWER


def _spoken(passages: list[FencedPassage], language: str) -> list[FencedPassage]:
    """The passages in the customer's language if there are any: a quote cannot be translated."""
    return [passage for passage in passages if language_of(passage.text) == language] or passages


def plain(text: str) -> str:
    """A sentence without Markdown's marks: its words, numbers and addresses stay as they are."""
    text = re.sub(r"\[([^\]]+)\]\((\S+?)\)", r"\1 (\2)", text)
    text = re.sub(r"\*\*|__|`", "", text)
    return ", ".join(cell.strip() for cell in text.split("|") if cell.strip()) if "|" in text else text


def _wanted(question: str, language: str) -> frozenset[str]:
    for said, meant in _SAID_OTHERWISE:
        question = re.sub(said, meant, question, flags=re.IGNORECASE)
    return frozenset(content(question, language))


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
        unit = _Unit(
            passage, position, text, frozenset(stems), frozenset(over), above, opener, condition, not announces
        )
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


def _chosen(units: Sequence[_Unit], weights: Mapping[str, float], question: str) -> list[_Unit]:
    expected = [pattern for asked, pattern in _EXPECTATIONS if asked.search(question)]
    enough = _ENOUGH_OF_FEW if len(weights) <= _FEW else _ENOUGH
    scored = {unit: _score(unit, weights, expected) for unit in units if unit.quotable}
    good = [unit for unit, score in scored.items() if score >= enough]
    if not good:
        return []
    top = max(good, key=lambda unit: scored[unit] + _standing(unit, weights))
    beside = [unit for unit in scored if unit.passage is top.passage and scored[unit] >= _NEAR * scored[top]]
    best = sorted(beside, key=lambda unit: -scored[unit])[: _room(top)]
    opened = [unit.opener for unit in best if unit.opener]
    return sorted({*best, *opened}, key=lambda unit: unit.position)


def _room(top: _Unit) -> int:
    return MAX_LIST_ITEMS if top.opener else MAX_SENTENCES


def _score(unit: _Unit, weights: Mapping[str, float], expected: Sequence[re.Pattern[str]]) -> float:
    whole = sum(weights.values())
    direct = sum(weight * related(stem, unit.stems) for stem, weight in weights.items()) / whole
    above = sum(
        weight * max(0.0, _CONTEXT * related(stem, unit.context) - related(stem, unit.stems))
        for stem, weight in weights.items()
    )
    score = direct + above / whole
    if any(not related(stem, weights) for stem in unit.condition):
        score *= 1 - _CONDITIONAL
    if expected and all(not pattern.search(unit.text) for pattern in expected):
        return score * (1 - _EXPECTED)
    return score


def _standing(unit: _Unit, weights: Mapping[str, float]) -> float:
    """What speaks for the unit's passage as a whole: its headings and the retriever's score."""
    headed = sum(weight * related(stem, unit.over) for stem, weight in weights.items()) / sum(weights.values())
    return _HEADED * headed + _RANK * min(unit.passage.score, 1.0)
