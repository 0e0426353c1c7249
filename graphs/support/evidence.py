"""What a reply may rest on: what passages say to customers, and not what they say of how customers are answered.

An order to say something is no evidence of it. Orders that are told apart by themselves were taken out before a model
saw them (`graphs.support.untrusted`); in words of everyday they look like sentences to customers ("mention the code at
the till"). With the reply at hand there is more to go by: one that obeys has the words that were ordered and leaves out
the order. So a sentence does not support a reply that

- does not repeat its words of telling, answering or asking (`graphs.support.answering_words`), or
- has what it quotes, or what follows its colon or its "that", and hardly a word of what leads up to it, nor has the
  question (`graphs.support.quoting`), which goes for all languages and words.

Nor do examples of talks and letters, and what stands beside a line about the words of answers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from graphs.support.answering_words import (
    ALL,
    BEFORE,
    BOUND,
    CLOSE,
    CUSTOMER_SAYS,
    KINDS,
    NEXT,
    OF_ITSELF,
    OF_THIS_TEXT,
    ORDERED,
    SALUTATION,
    SOMEBODY_SAYS,
    TO_STAFF,
    TO_US,
)
from graphs.support.citations import CitedSentence
from graphs.support.fleeting import of_a_run
from graphs.support.languages import COURTESY
from graphs.support.normalising import folded
from graphs.support.quoting import Said, joined, led_up, out_of_context
from graphs.support.records import Passage
from graphs.support.text import content, language_of, runs
from graphs.support.untrusted import units, without
from graphs.support.wordlists import compiled

# From one word to the other, in characters.
_NEAR, _APART = 50, 80
# Two words that begin the same are one.
_STEM = 4
# The lines after a colon that may be its list, and the most words of a line that only points to the next one.
_LIST, _POINTS = 5, 6
# Words in a row that nobody has by chance.
_RUN = 5
# The lines of a letter or a quote at most.
_LETTER = 12
_QUOTES = (("«", "»"), ("“", "”"), ("„", "“”"), ("「", "」"), ("『", "』"))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The passages as a reply may rest on them, in their order, and the stems of what only the rest can have told."""

    passages: list[Passage]
    tainted: frozenset[str]


def evidence(passages: Sequence[Passage], drafted: Sequence[CitedSentence], asked: str = "") -> Evidence:
    """The passages without the sentences that say how to answer and that the draft does not repeat as such.

    Those that are not cited are left as they are, as nothing rests on them.
    """
    reply = " ".join(sentence.text for sentence in drafted)
    cited = {number for sentence in drafted for number in sentence.passages}
    kept: list[Passage] = []
    left_out: list[str] = []
    for number, passage in enumerate(passages, 1):
        if number not in cited:
            kept.append(passage)
            continue
        lines, said = units(passage.text), Said.of(reply, asked, passage.whole)
        # As often as one of the two finds it: a closing that all examples have stands there again and again.
        out = list((Counter(_talked(passage.text)) | Counter(lines[at] for at in _left_out(lines, said))).elements())
        out = _with_rows(passage.text, out)
        labels = [label for label in (passage.title, passage.heading) if _is_no_support(label, said)]
        left_out += [*out, *labels]
        kept.append(
            replace(
                passage,
                text=without(passage.text, out) if out else passage.text,
                title="" if passage.title in labels else passage.title,
                heading="" if passage.heading in labels else passage.heading,
            )
            if out or labels
            else passage
        )
    if not left_out:
        return Evidence(list(passages), frozenset())
    whole = "\n".join(passage.whole for number, passage in enumerate(kept, 1) if number in cited)
    return Evidence(kept, _tainted(left_out, whole, reply, asked))


def _tainted(left_out: Sequence[str], whole: str, reply: str, asked: str) -> frozenset[str]:
    """The stems that only what was left out has, and those of any words in a row that the reply has from there."""
    language = language_of(whole) or language_of("\n".join(left_out))
    known = {*content(whole, language), *content(asked, language), *COURTESY}
    rest, spoken = joined(f"{whole}\n{asked}"), joined(reply)
    repeated = [
        run
        for line in left_out
        for run in map(" ".join, runs(joined(line).split(), _RUN))
        if f" {run} " in spoken and f" {run} " not in rest
    ]
    only = frozenset(content("\n".join(left_out), language)) - known
    return only | frozenset(content("\n".join(repeated), language))


def _left_out(lines: Sequence[str], said: Said) -> list[int]:
    found = {at for at, line in enumerate(lines) if _is_no_support(line, said)}
    for at in sorted(found):
        plain = folded(lines[at])
        if lines[at].endswith("?"):
            found |= {at + 1} & set(range(len(lines)))
        found |= set(_still_quoted(lines, at))
        if not _is_about_words(plain):
            continue
        if NEXT.search(plain):
            found |= set(_following(lines, at))
        if BEFORE.search(plain) and at:
            found.add(at - 1)
    found |= _written_to_others(lines)
    for at, line in enumerate(lines):
        # Lists for customers have such a line before them, too.
        if line.endswith(":") and (_telling(line) or _is_about_words(folded(line))):
            led = {
                after for after in range(at + 1, min(at + 1 + _LIST, len(lines))) if led_up(line, lines[after], said)
            }
            found |= led | ({at} if led else set())
    return sorted(found)


def _still_quoted(lines: Sequence[str], at: int) -> Iterator[int]:
    """The lines after one that opens a quote, up to its end."""
    for begins, ends in _QUOTES:
        if lines[at].count(begins) > sum(map(lines[at].count, ends)):
            after = range(at + 1, min(at + _LETTER, len(lines)))
            closed = next((one for one in after if any(end in lines[one] for end in ends)), None)
            yield from range(at + 1, closed + 1) if closed is not None else ()


def _following(lines: Sequence[str], at: int) -> Iterator[int]:
    """The line after, and one more after each that only points on: "It is this one." """
    for after in range(at + 1, len(lines)):
        yield after
        if len(lines[after].split()) > _POINTS or not NEXT.search(folded(lines[after])):
            return


def _with_rows(text: str, out: list[str]) -> list[str]:
    """What is left out, with the whole of a table's row for a cell that is about the words of an answer."""
    about = [line for line in out if _is_about_words(folded(line))]
    rows = [row for row in text.splitlines() if "|" in row and any(cell in row for cell in about)]
    return [*rows, *(line for line in out if not any(line in row for row in rows))]


def _talked(text: str) -> list[str]:
    """What is said in an example of a talk with a customer."""
    lines = [line for line in text.splitlines() if SOMEBODY_SAYS.search(folded(line))]
    talk = any(CUSTOMER_SAYS.search(folded(line)) for line in lines)
    return [unit for line in lines for unit in units(line)] if talk else []


def _written_to_others(lines: Sequence[str]) -> set[int]:
    """What is written in examples of letters."""
    plain, found = [folded(line) for line in lines], set[int]()
    for at, line in enumerate(plain):
        if SALUTATION.search(line):
            ends = (end for end in range(at, min(at + _LETTER, len(plain))) if CLOSE.search(plain[end]))
            found |= set(range(at, next(ends, at) + 1))
    return found


def _is_about_words(plain: str) -> bool:
    """Whether a line speaks of an answer or of the words of one, which may stand beside it."""
    about = any(_kind(kind).search(plain) for kind in ("reply", "wording"))
    return about or any(pattern.search(plain) for pattern in (TO_STAFF, OF_ITSELF))


def _is_no_support(line: str, said: Said) -> bool:
    return any(word[:_STEM] not in said.plain for word in _telling(line)) or out_of_context(line, said)


@of_a_run(maxsize=4096)
def _telling(line: str) -> tuple[str, ...]:
    """The words by which a line says how to answer; empty if it does not."""
    plain = TO_US.sub(lambda match: " " * len(match.group()), folded(line))
    spans = {kind: [(*match.span(), match.group()) for match in _kind(kind).finditer(plain)] for kind in KINDS}
    found = [
        *_pairs(spans["tell"], spans["customers"], _NEAR, "first"),
        *_pairs(spans["reply"], spans["put"], _NEAR, "first"),
        *_pairs(spans["reply"], spans["tell"], _NEAR, "both"),
        *_pairs(spans["wording"], spans["put"], _NEAR, "first"),
        *_pairs(spans["wording"], spans["tell"], _NEAR, "both"),
        *_pairs(spans["reply"], spans["wording"], _NEAR, "first"),
        *_pairs(spans["asked"], spans["tell"], _APART, "both"),
        *_pairs(spans["asked"], spans["reply"], _APART, "both"),
    ]
    for match in ORDERED.finditer(plain):
        found += [word for start, _, word in spans["tell"] if match.start() <= start < match.end()]
    if any(pattern.search(plain) for pattern in (TO_STAFF, OF_THIS_TEXT, OF_ITSELF)):
        found.append("\0")
    found += [match["reply"] for match in ALL.finditer(plain)] + [match["verb"] for match in BOUND.finditer(plain)]
    return tuple(dict.fromkeys(found))


_Span = tuple[int, int, str]


def _pairs(first: Sequence[_Span], second: Sequence[_Span], most: int, which: str) -> Iterator[str]:
    for start, end, word in first:
        for at, until, other in second:
            if word != other and (0 <= at - end <= most or 0 <= start - until <= most):
                yield word
                if which == "both":
                    yield other


@lru_cache(maxsize=len(KINDS))
def _kind(name: str) -> re.Pattern[str]:
    return compiled(*KINDS[name])
