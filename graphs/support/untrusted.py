"""Passages, history and summaries as they may be shown to a model: nothing hidden, and no order to an assistant.

Knowledge was uploaded or read off a website, so whoever writes a page writes here. A sentence, a cell, a title or a
heading that is an order is taken out before the model sees it, and nothing of a reply can rest on it then. What a
passage came to is kept by a digest, as the same passages are found again and again; no text is kept.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise

from langchain.messages import AnyMessage, HumanMessage

from graphs.support.answering_words import ALL
from graphs.support.attack_patterns import PAYLOAD
from graphs.support.injection import CERTAIN, HEADS, in_message, in_passage
from graphs.support.normalising import folded, visible
from graphs.support.records import Part, Passage
from graphs.support.text import sentences

# After an order what follows is likely its rest, so less is enough.
_BESIDE, _AFTER, _ENCLOSED = 0.25, 3, 8
_MOSTLY = 0.5
_MOST_KNOWN = 20_000
LEFT_OUT = "(…)"
_FEW_WORDS = 12
_KEY = secrets.token_bytes(16)
_known: "OrderedDict[bytes, tuple[str, int]]" = OrderedDict()


@dataclass(frozen=True, slots=True)
class Screened:
    """Passages without orders, how many of their sentences were orders, and how many passages were left out whole."""

    passages: list[Passage]
    taken: int
    withheld: int


def screened(passages: Sequence[Passage], threshold: float = CERTAIN, act: bool = True) -> Screened:
    """The passages as a model may see them; without `act` they keep what was found, but nothing that is hidden."""
    kept: list[Passage] = []
    taken = withheld = 0
    for passage in passages:
        clean, count = _clean(passage, threshold)
        taken += count
        if count and not clean.text.strip():
            withheld += 1
        else:
            kept.append(clean)
    return Screened(kept, taken, withheld) if act else Screened([_seen(one) for one in passages], taken, 0)


def without_orders(text: str, threshold: float = CERTAIN) -> tuple[str, int]:
    """A text without its orders, and how many there were; empty if most of it is orders. Unchanged without any."""
    key = blake2b(text.encode("utf-8", "replace"), key=_KEY, person=f"{threshold:.3f}".encode()).digest()
    if (known := _known.get(key)) is not None and not known[1]:
        return visible(text), 0
    plain = visible(text)
    lines = units(plain)
    orders = _orders(plain, lines, threshold)
    _known[key] = ("", len(orders))
    while len(_known) > _MOST_KNOWN:
        _known.popitem(last=False)
    if not orders:
        return plain, 0
    return ("" if len(orders) > _MOSTLY * len(lines) else without(plain, [lines[at] for at in orders])), len(orders)


def forget() -> None:
    """Passages are new again, as for a process that has just begun."""
    _known.clear()


def safe_history(history: Sequence[AnyMessage], threshold: float = CERTAIN) -> list[AnyMessage]:
    """The messages before, made visible; of an attack, which would be obeyed a turn late, a mark is left.

    Their number stays, as summaries count them.
    """
    seen = [turn.model_copy(update={"content": visible(turn.text)}) for turn in history]
    return [
        turn.model_copy(update={"content": LEFT_OUT}) if in_message(turn.text).score >= threshold else turn
        for turn in seen
    ]


def split_attack(history: Sequence[AnyMessage], message: str, turns: int = 4) -> float:
    """The score in 0..1 of an attack that was cut in pieces over the customer's last messages."""
    said = [turn.text for turn in history if isinstance(turn, HumanMessage)][-turns:]
    if not said:
        return 0.0
    whole = " ".join([*said, message])
    return max(in_message(whole).score, in_message("".join([*said, message])).score)


def _clean(passage: Passage, threshold: float) -> tuple[Passage, int]:
    text, count = without_orders(passage.text, threshold)
    title, titles = _label(passage.title, threshold)
    heading, headings = _label(passage.heading, threshold)
    around = [(part, *without_orders(part.text, threshold)) for part in passage.neighbours]
    neighbours = tuple(replace(part, text=clean) for part, clean, _ in around if clean)
    clean = replace(_seen(passage), text=text, title=title, heading=heading, neighbours=neighbours)
    return clean, count + titles + headings + sum(found for _, _, found in around)


def _seen(passage: Passage) -> Passage:
    """The passage without hidden text."""
    around = tuple(Part(part.position, visible(part.text), part.page) for part in passage.neighbours)
    return replace(
        passage,
        text=visible(passage.text),
        title=" ".join(visible(passage.title).split()),
        heading=" ".join(visible(passage.heading).split()),
        neighbours=around,
    )


def _label(text: str, threshold: float) -> tuple[str, int]:
    plain = " ".join(visible(text).split())
    clean, count = without_orders(plain, threshold)
    # One of one sentence has been looked at already.
    several = not count and bool(plain) and units(plain) != [plain]
    order = several and in_passage(plain).score >= threshold
    return ("", 1) if order else (clean, count)


def units(text: str) -> list[str]:
    """Sentences, and the cells of table rows."""
    lines = (line.split("|") if " | " in line or line.startswith("|") else [line] for line in sentences(text))
    return [unit for line in lines for cell in line if (unit := cell.strip())]


def _orders(text: str, lines: Sequence[str], threshold: float) -> list[int]:
    """The places of the orders: sentences that are one, pairs that are one together, and what goes on after one."""
    findings = [in_passage(line) for line in lines]
    found = {at for at, finding in enumerate(findings) if finding.score >= threshold}
    for at in range(len(lines) - 1):
        short = max(len(lines[at].split()), len(lines[at + 1].split())) <= _FEW_WORDS
        if short and not {at, at + 1} & found and in_passage(f"{lines[at]} {lines[at + 1]}").score >= threshold:
            found |= {at, at + 1}
    heads = {at for at in found if findings[at].family.removeprefix("hidden ") in HEADS}
    for at in sorted(found):
        found |= {
            after
            for after in range(at + 1, min(at + 1 + _AFTER, len(lines)))
            if findings[after].score >= _BESIDE or (at in heads and not _ends_between(text, lines[at], lines[after]))
        }
        # What it wants to have said comes next.
        if at + 1 < len(lines) and (lines[at].endswith((":", "：")) or _is_of_all_answers(text, *lines[at : at + 2])):
            found.add(at + 1)
    return sorted(found | _between(sorted(heads)))


def _is_of_all_answers(text: str, one: str, other: str) -> bool:
    """Whether an order is about every answer, has no words of its own for it, and its line goes on."""
    plain = folded(one)
    return bool(ALL.search(plain)) and not PAYLOAD.search(plain) and not _ends_between(text, one, other)


def _ends_between(text: str, one: str, other: str) -> bool:
    """Whether the line of a unit ends before the other: what an order begins with, it goes on with to there.

    After a colon it goes on below.
    """
    first, last, following = one.split(maxsplit=1)[0], one.rsplit(maxsplit=1)[-1], other.split(maxsplit=1)[0]
    # By their first and last words, as blanks and line ends within a unit are not those of the text.
    start = text.find(last, max(text.find(first), 0))
    end = text.find(following, start)
    return start < 0 or end < 0 or ("\n\n" if one.endswith(":") else "\n") in text[start:end]


def _between(heads: Sequence[int]) -> set[int]:
    """What stands between two marks of a prompt is of one, if that is no more than a few sentences."""
    return {at for one, other in pairwise(heads) if other - one <= _ENCLOSED for at in range(one + 1, other)}


def without(text: str, orders: Sequence[str]) -> str:
    """The text without each of the units once."""
    for order in orders:
        pattern = r"\s+".join(re.escape(word) for word in order.split())
        text = re.sub(pattern, " ", text, count=1)
    return re.sub(r"[ \t]{2,}", " ", text).strip()
