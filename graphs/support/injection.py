"""How much a text looks like an attack on an assistant: 0 harmless, 1 certain, by families of signals.

A customer's message may ask for nearly anything, so it takes an order to drop rules, to show them, to be somebody else,
or to speak words that are given. Knowledge is about the business and not about how to answer, so in a passage every
order to an assistant, or about "your answer", is one.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from graphs.support import attack_orders, attack_patterns
from graphs.support.attack_orders import (
    ABOUT_SAYING,
    ALWAYS,
    CONTACT,
    MUST,
    OF_FORM,
    OF_WORDS,
    ON_THINGS,
    SECRETS,
    SILENT,
    TO_A_CUSTOMER,
    TO_A_MACHINE,
    TO_WHO_ASKS,
    WHO_IS_TOLD,
)
from graphs.support.attack_patterns import (
    ABOVE,
    ADDRESSED,
    AUTHORITY,
    CONDITION,
    CREATION,
    FENCE,
    IGNORE_PLAIN,
    LOUD,
    MARKUP,
    MY,
    ORDER,
    PAYLOAD,
    PERSONA,
    PLAIN_ENGLISH,
    REPORTED,
    REVEAL_PLAIN,
    SQUEEZED,
    YOUR_REPLY,
)
from graphs.support.attack_words import CONCEPTS, UNSPACED
from graphs.support.gates import Gates
from graphs.support.normalising import decoded, folded, readings, turned
from graphs.support.wordlists import compiled, pattern_of

# What an attack is at least, unless a tenant sets it otherwise.
CERTAIN = 0.5
_REPORT = 0.4
_HEARTS = ("instruct", "rules", "prompt", "youarenow", "oublie", "игнорируй", "theword", "replywith", "respondwith")
# Whoever makes one of these count without another concept or pattern takes it out here.
_NOTHING_ALONE = ("rules", "before", "reveal", "say")
_BACKWARDS = tuple(word[::-1] for word in _HEARTS)
_TURNED_HEARTS = (*_HEARTS, *_BACKWARDS, *(codecs.encode(word, "rot13") for word in _HEARTS))
_LETTERS = re.compile(r"[^\W_]+")
_QUOTED = re.compile(r"[\"“„«「『][^\"”“»」』\n]*[\"”“»」』]")
_BIDDEN = re.compile(r"(?:^|[.,;:!?(]\s*|\b(?:and|or|then|please|to|und|oder|bitte|y|o|et|ou|e|и|та|i) )$")
# How long a word is that says something, and how many of these are about more than the words to be said.
_LONG, _MANY = 4, 4


class _Spans(dict[str, list[tuple[int, int]]]):
    """From where to where each word of a kind stands in a folded text; looked for when it is asked for."""

    def __init__(self, plain: str) -> None:
        super().__init__()
        self._plain = plain

    def __missing__(self, name: str) -> list[tuple[int, int]]:
        pattern = _concepts()[name]
        may = _gates().may(pattern, self._plain)
        found = self[name] = [match.span() for match in pattern.finditer(self._plain)] if may else []
        return found


@dataclass(frozen=True, slots=True)
class Finding:
    """A score in 0..1, 1 is an attack for certain, and the family of signals that gave it."""

    score: float
    family: str


NOTHING = Finding(0.0, "")
# What an order begins with: the sentences after it are its body, whatever they say.
HEADS = frozenset({"addresses an assistant", "imitates a prompt"})
# What no reply to a customer says.
NO_REPLY = HEADS | {"drops the rules", "asks for the rules", "gives a role", "is about the answer"}


def in_message(text: str) -> Finding:
    """What speaks against a customer's message; what a label or a screen says is not their order."""
    found = _scan(text, _of_message)
    if found.score >= CERTAIN and (bare := REPORTED.sub(" ", text)) != text:
        rest = _scan(bare, _of_message)
        return rest if rest.score >= CERTAIN else Finding(max(rest.score, _REPORT), f"reported {found.family}")
    return found


def in_passage(text: str) -> Finding:
    """What speaks against a sentence, a title or a cell of knowledge."""
    return _scan(text, _of_passage)


def _scan(text: str, judge: Callable[[str, str], Finding]) -> Finding:
    if not text.strip():
        return NOTHING
    plain, *others = readings(text)
    found = [judge(text, plain)]
    if "_" in plain:
        # Keys of JSON and YAML are words, too.
        found.append(judge(text.replace("_", " "), plain.replace("_", " ")))
    found += [_raised(judge(other, other)) for other in others]
    if decoded(text) and found[0].score < CERTAIN:
        found.append(Finding(0.3, "encoded"))
    if max(found, key=_by_score).score < CERTAIN and any(map(_may_be_turned, {folded(text), plain})):
        found += [_crude(other) for other in (*turned(text), plain)]
    return max(found, key=_by_score)


def _by_score(finding: Finding) -> float:
    return finding.score


def _raised(finding: Finding) -> Finding:
    """What has to be made readable first was hidden on purpose."""
    return Finding(min(1.0, finding.score * 1.3), f"hidden {finding.family}") if finding.score else finding


def _crude(text: str) -> Finding:
    """Plain English orders without the blanks, which no other text has by chance."""
    bare = _bare(text)
    # Looking for one word is many times faster than the pattern.
    told = any(word in bare for word in _HEARTS) and SQUEEZED.search(bare)
    return Finding(0.9, "hidden order") if told else NOTHING


def _may_be_turned(plain: str) -> bool:
    """Whether a folded text, or what `turned` makes of it, has a word of the orders; told without turning it."""
    bare, from_the_end = _bare(plain), _bare(" ".join(plain.split()[::-1]))
    return any(word in bare for word in _TURNED_HEARTS) or any(word in from_the_end for word in _BACKWARDS)


def _bare(text: str) -> str:
    return "".join(_LETTERS.findall(text))


def _of_message(raw: str, plain: str) -> Finding:
    if not (_telling()(plain) or _telling()(raw)):
        return NOTHING
    spans = _Spans(plain)
    return _best(_anywhere(raw, plain, spans), _ordered(raw, plain, spans), (_matches(CREATION, plain) * 0.2, "task"))


def _of_passage(raw: str, plain: str) -> Finding:
    if not (_telling()(plain) or _telling()(raw)):
        return NOTHING
    spans = _Spans(plain)
    aloud = 0.3 if _is_to_customers(raw, plain, spans) else 0.8
    return _best(
        _anywhere(raw, plain, spans),
        (_matches(ADDRESSED, plain) * 0.9, "addresses an assistant"),
        (_about_replies(plain, spans), "is about the answer"),
        (_told_to_tell(raw, plain, spans), "orders what is said"),
        (_matches(TO_A_MACHINE, plain) * 0.8, "addresses an assistant"),
        (_subtle(raw, plain), "orders what is said"),
        ((_matches(ORDER, plain) or _matches(LOUD, raw)) * aloud, "orders what is said"),
        (_matches(FENCE, raw) * 0.8, "imitates a prompt"),
        (_matches(CREATION, plain) * 0.6, "sets a task"),
    )


def _is_to_customers(raw: str, plain: str, spans: _Spans) -> bool:
    """Whether words to be said are for customers: on a box, as "we" ask of "you", or among other things to be done.

    What a reply that obeys would have left is looked at once more then (`graphs.support.evidence`).
    """
    if _matches(ON_THINGS, plain):
        return True
    # "Reply “yes” to us" is for customers, "in your reply" is not.
    if spans["assistant"] or any(not _BIDDEN.search(plain[:at]) for at, _ in spans["reply"]):
        return False
    others = [word for word in _LETTERS.findall(_QUOTED.sub(" ", raw)) if len(word) >= _LONG]
    return _matches(TO_A_CUSTOMER, plain) or (
        len(others) >= _MANY and not spans["customers"] and not _matches(CONDITION, plain)
    )


def _best(*found: Finding | tuple[float, str]) -> Finding:
    return max((Finding(*one) if isinstance(one, tuple) else one for one in found), key=_by_score)


def _anywhere(raw: str, plain: str, spans: _Spans) -> Finding:
    """What is an attack wherever it stands."""
    return _best(
        (_overrides(plain, spans), "drops the rules"),
        (_reveals(plain, spans), "asks for the rules"),
        (_matches(PERSONA, plain) * 0.9, "gives a role"),
        (_matches(AUTHORITY, plain) * 0.7, "claims to be in charge"),
        (_matches(MARKUP, raw) * 0.9, "imitates a prompt"),
    )


def _ordered(raw: str, plain: str, spans: _Spans) -> Finding:
    """Of a customer: words to be spoken are put into the assistant's mouth."""
    return _best(
        (_matches(ORDER, plain) * 0.8, "orders what is said"),
        (0.6 * (_near(spans, "say", "customers", 25) and bool(PAYLOAD.search(raw))), "orders what is said"),
    )


def _overrides(plain: str, spans: _Spans) -> float:
    best = _matches(IGNORE_PLAIN, plain) * 0.8
    for first, second in (("ignore", "rules"), ("rules", "ignore")):
        for start, end in _pairs(spans, first, second, 45 if first == "ignore" else 25):
            between = plain[max(start - 6, 0) : end]
            if MY.search(between) or re.search(r"[.!?;]\s", between):
                continue
            named = any(start <= at and until <= end for at, until in spans["before"])
            best = max(best, 1.0 if named else 0.3 if PLAIN_ENGLISH.search(between) else 0.8)
    return best


def _reveals(plain: str, spans: _Spans) -> float:
    asked = _near(spans, "reveal", "prompt", 45) or (not plain.isascii() and _near(spans, "prompt", "reveal", 30))
    secret = _near(spans, "reveal", "secret", 30) or (not plain.isascii() and _near(spans, "secret", "reveal", 20))
    return max(asked * 1.0, secret * 0.7, _matches(REVEAL_PLAIN, plain) * 0.9, _matches(ABOVE, plain) * 0.9)


def _about_replies(plain: str, spans: _Spans) -> float:
    """Words such as "in your answer", with an order to say something or to change it."""
    if _matches(YOUR_REPLY, plain):
        return 0.8
    both = _near(spans, "say", "reply", 30) or _near(spans, "reply", "say", 30)
    return 0.6 if both and (not plain.isascii() or spans["assistant"]) else 0.0


def _told_to_tell(raw: str, plain: str, spans: _Spans) -> float:
    """An order to say something to customers, or when they ask, with the very words or an address."""
    told = _near(spans, "say", "customers", 25) or (not plain.isascii() and _near(spans, "customers", "say", 25))
    when = bool(spans["say"]) and _matches(CONDITION, plain)
    payload = (told or when) and _matches(PAYLOAD, raw)
    addressed = _near(spans, "assistant", "say", 40) and not PLAIN_ENGLISH.search(plain)
    return max(0.3 * told, 0.6 * (told and payload), 0.7 * when * payload, 0.55 * when * told, 0.7 * addressed)


def _subtle(raw: str, plain: str) -> float:
    """Orders that name neither an assistant nor a reply; some are ones only with the very words or an address."""
    payload = bool(PAYLOAD.search(raw))
    told = payload and not _matches(CONTACT, plain)
    return max(
        0.8 * _matches(OF_FORM, plain),
        0.7 * _matches(OF_WORDS, plain),
        (0.6 if payload else 0.3) * _matches(ALWAYS, plain),
        (0.6 if payload else 0.2) * _matches(TO_WHO_ASKS, plain),
        0.5 * _matches(SILENT, plain),
        0.5 * _matches(SECRETS, plain),
        0.55 * (told and _matches(ABOUT_SAYING, plain) and _matches(MUST, plain)),
        0.55 * (told and _matches(WHO_IS_TOLD, plain)),
    )


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return _gates().matches(pattern, text)


def _near(spans: _Spans, first: str, second: str, most: int) -> bool:
    return bool(_pairs(spans, first, second, most))


def _pairs(spans: _Spans, first: str, second: str, most: int) -> Sequence[tuple[int, int]]:
    """From where to where a word of the first kind and one of the second follow each other, `most` characters apart."""
    return [
        (start, until)
        for start, end in spans[first]
        for at, until in spans[second]
        if at >= start and 0 <= at - end <= most
    ]


@lru_cache(maxsize=1)
def _concepts() -> dict[str, re.Pattern[str]]:
    return {name: compiled(words, UNSPACED.get(name, "")) for name, words in CONCEPTS.items()}


@lru_cache(maxsize=1)
def _gates() -> Gates:
    """What the patterns here and the words of the lists need; a pattern of another module is always tried."""
    listed = (*vars(attack_patterns).values(), *vars(attack_orders).values())
    told = [pattern for pattern in listed if isinstance(pattern, re.Pattern)]
    return Gates({**{one: one for one in told}, **{_concepts()[name]: _plainly(name) for name in CONCEPTS}})


@lru_cache(maxsize=1)
def _telling() -> Callable[[str], bool]:
    """Whether a text has anything but what is nothing alone, nor with others of its kind: most sentences have not."""
    concepts = {_concepts()[name] for name in _NOTHING_ALONE}
    return _gates().any_but(frozenset({PAYLOAD, PLAIN_ENGLISH, MY, *concepts}))


def _plainly(name: str) -> re.Pattern[str]:
    """The words of a list one after another, slow to match and easy to read; Arabic ones anywhere in a word."""
    spaced = [folded(word) for word in CONCEPTS[name].split()]
    ways = [rf"\b{pattern_of(word)}\b" for word in spaced]
    arabic = [pattern_of(word) for word in spaced if "\u0600" <= word[0] <= "\u06ff"]
    return re.compile("|".join([*ways, *arabic, *(re.escape(folded(one)) for one in UNSPACED.get(name, "").split())]))
