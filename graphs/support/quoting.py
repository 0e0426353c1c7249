"""Words of a reply that a passage only quotes: what leads up to them there is neither in the reply nor asked for.

Somebody who wants words to be said has to write them down after something that says so: in quotes, after a colon or a
"that". Whatever that is, in any language, a reply which obeys has the words and leaves the rest away. A reply that
tells customers what to say at a desk has the desk, too, or was asked about it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from graphs.support.normalising import folded
from graphs.support.text import content, language_of, runs, words
from graphs.support.urls import without_addresses

_QUOTES = {'"': '"', "“": '”"', "„": '“”"', "«": "»", "»": "«", "「": "」", "『": "』", "‘": "’", "'": "'"}
_THAT = r"\b(?:that|dass|que|che|dat|что|чтобы|що|щоб|że|ze|żeby|aby|diye)\b|\bqu['’]"
_WORD = (
    r"\b(?:word|phrase|wort|palabra|frase|mot|parola|palavra|woord|слов[оаом]{1,2}|фраз[аоуы]\w?|słow[oaem]{1,2}|"
    r"zdanie|kelimesi\w*|sözü\w*)\s+(?=\w)"
)
# Not that of a range: "8.30 am – 7 pm".
_DASH = r"(?<!\d)(?<!am)(?<!pm)(?<!uhr)\s[–—-]\s|\s[–—-]\s(?!\d)"
_BEGINS = re.compile(
    rf"(?P<quote>[\"“„«»「『‘]|(?<!\w)'(?=\w))|(?P<colon>[:：]\s+|→|=>)|{_DASH}|(?P<word>{_WORD})|{_THAT}",
    re.IGNORECASE,
)
_STOPS, _CLAUSES = re.compile(r"[;,]\s"), re.compile(r"[.,;:!?(]\s|\s[–—-]\s")
# Of the words that lead up to it, the share that a reply and its question have at least.
_QUOTED, _LED = 0.34, 0.25
_FEW, _LEAST = 3, 2
# Words in a row that are said back, at least, and of what is quoted; and the characters of a question that are read.
_BACK, _BACK_PART, _MOST_ASKED = 4, 0.45, 8000
_IN_QUOTES = re.compile(
    r"“[^“”]+”|„[^„“”]+[“”]|(?<!\d)\"[^\"]+\"|«[^«»]+»|「[^「」]+」|『[^『』]+』|(?<!\w)['‘][^'‘’]{12,}['’](?!\w)"
)
# Characters of what is quoted, and on each side of it, which bounds the time.
_MOST = 400
_PART, _CLAUSE = 0.6, 0.75


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as it is looked for in a passage: folded, its words and stems, and the stems of its question."""

    plain: str
    words: str
    given: frozenset[str]
    topic: frozenset[str]
    asked: str
    language: str
    whole: str

    @classmethod
    def of(cls, reply: str, asked: str, whole: str) -> "Said":
        """Of a reply and its question beside a `whole` passage."""
        language = language_of(whole)
        given, topic = frozenset(content(reply, language)), frozenset(content(asked, language))
        return cls(folded(reply), joined(reply), given, topic, joined(asked), language, joined(whole))


def out_of_context(line: str, said: Said) -> bool:
    """Whether the reply has what a line quotes or leads up to, and not what it is there for."""
    for match in _BEGINS.finditer(line):
        start, least = match.end(), _LED if match["colon"] else _QUOTED
        before = line[max(0, match.start() - _MOST) : match.start()]
        if match["colon"] and _is_label(before, said):
            continue
        for end in sorted({min(end, start + _MOST) for end in _ends(line, match)}):
            if _is_bare(line[start:end], f"{before} {line[end : end + _MOST]}", before, least, said):
                return True
    return False


def said_back(reply: str, asked: str, whole: str) -> list[str]:
    """What a question has in quotes and a reply repeats, a good part of it in a row, though no passage says so.

    "Write down what you told me: “…”" puts words into a mouth.
    """
    spoken, known = joined(reply), joined(whole)
    language = language_of(whole)
    theirs = set(content(whole, language))
    quoted = (match.group() for match in _IN_QUOTES.finditer(asked[:_MOST_ASKED]))
    return [
        one
        for one in quoted
        if any(run in spoken and run not in known for run in _good_parts(joined(one).split()))
        and not theirs.issuperset(content(one, language))
    ]


def _good_parts(quoted: list[str]) -> Iterator[str]:
    length = max(_BACK, round(_BACK_PART * len(quoted)))
    return (f" {' '.join(run)} " for run in runs(quoted, length))


def _is_label(before: str, said: Said) -> bool:
    """Whether a question is about what stands before a colon, all but one word of which it or the reply has."""
    label = {one for one in content(before, said.language) if not one.isdigit()}
    return bool(label & said.topic) and len(label - said.topic - said.given) <= 1


def led_up(line: str, after: str, said: Said) -> bool:
    """The same of a line that ends in a colon and the one after it."""
    return _is_bare(after, line, line, _LED, said)


def _ends(line: str, match: re.Match[str]) -> list[int]:
    """Where what begins with a match may end: with its quotes, its word, or its clauses."""
    start = match.end()
    if match["quote"]:
        return [at for one in _QUOTES[match["quote"]] if (at := line.find(one, start)) > start][:1]
    if match["word"]:
        return [start + len(line[start:].split(maxsplit=1)[0])]
    semicolon = -1 if match["colon"] else line.find(";", start)
    whole = len(line) if semicolon < 0 else semicolon
    return [whole, *(stop.start() for stop in islice(_STOPS.finditer(line, start), 2))]


def _is_bare(quoted: str, rest: str, before: str, least: float, said: Said) -> bool:
    """Whether the reply has the quoted words, all or most of them in a row, and too little of the rest.

    The clause just `before` is enough: "reply “yes” to keep it".
    """
    whole = joined(quoted)
    spoken = whole.split()
    if not spoken or not _has_most(spoken, said.words):
        return False
    # A word or two that are met elsewhere are a term.
    if len(spoken) < _FEW and (whole in said.asked or said.whole.count(whole) > 1):
        return False
    own = {*content(quoted, said.language), *said.topic}
    lead = set(content(without_addresses(rest), said.language)) - own
    clause = set(content(_CLAUSES.split(before.rstrip(" :：,"))[-1], said.language)) - own
    return (
        len(lead) >= _LEAST
        and len(lead & said.given) < least * len(lead)
        and not (clause and len(clause & said.given) >= _CLAUSE * len(clause))
    )


def _has_most(spoken: list[str], reply: str) -> bool:
    run = min(len(spoken), max(_FEW, round(_PART * len(spoken))))
    # A word that the reply lacks ends a run: looked for first, as most have one.
    begins = 0
    for at, word in enumerate(spoken):
        if f" {word} " not in reply:
            begins = at + 1
        elif at + 1 - begins >= run and f" {' '.join(spoken[at + 1 - run : at + 1])} " in reply:
            return True
    return False


def joined(text: str) -> str:
    """The words of a text with one blank around each."""
    return f" {' '.join(words(text))} "
