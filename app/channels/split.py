"""Cutting a long answer into messages that fit a channel, in the channel's own unit of length."""

import re
import unicodedata
from collections.abc import Callable

from app.channels.base import Unit

# Where a reader would pause, best first. A match ends where the next part would begin.
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(r"""[.!?…]["'”’»)\]]*\s+|[。！？][”’」』）]*\s*|\n\s*""")
_WORD = re.compile(r"\s+")
# A part that ends early for a nice cut is at least this full; else the next kind of cut is tried.
_FILLED = 0.5

_COST: dict[Unit, tuple[int, Callable[[str], int]]] = {
    "characters": (1, lambda _: 1),
    "utf16": (2, lambda char: 2 if char > "\uffff" else 1),
    "bytes": (4, lambda char: 1 + (char > "\x7f") + (char > "\u07ff") + (char > "\uffff")),
}

_JOINER = "\u200d"
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)


def text_length(text: str, unit: Unit) -> int:
    """Length of `text` in code points, UTF-16 code units or UTF-8 bytes."""
    _, cost = _COST[unit]
    return sum(map(cost, text))


def split_text(text: str, limit: int, unit: Unit) -> list[str]:
    """Parts of `text`, each at most `limit` units long, cut at paragraph, else sentence, else word ends.

    Only white space at the cuts and at both ends is lost. A word longer than a part is cut between user-perceived
    characters, and inside one only if it is longer than a part by itself. Blank text gives []. ValueError for a
    limit that the widest code point would not fit in.
    """
    widest, cost = _COST[unit]
    if limit < widest:
        raise ValueError(f"limit must be at least {widest} for {unit}")
    parts = []
    rest = text.strip()
    while rest:
        cut = _cut(rest, _fitting(rest, limit, cost))
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return parts


def _fitting(text: str, limit: int, cost: Callable[[str], int]) -> int:
    """How many leading code points of `text` fit into `limit`."""
    used = 0
    for index, char in enumerate(text):
        used += cost(char)
        if used > limit:
            return index
    return len(text)


def _cut(text: str, end: int) -> int:
    """The best place to cut at or before `end`; always above 0."""
    if end == len(text):
        return end
    if text[end].isspace():
        # White space right behind the part is dropped, so the cut before it is as good as one inside.
        end = _skip_space(text, end)
    for pattern, least in ((_PARAGRAPH, end * _FILLED), (_SENTENCE, end * _FILLED), (_WORD, 1)):
        ends = [match.end() for match in pattern.finditer(text, 0, end)]
        best = next((at for at in reversed(ends) if at >= least and not _glued(text, at)), None)
        if best is not None:
            return best
    return _between_characters(text, end)


def _skip_space(text: str, start: int) -> int:
    found = _WORD.match(text, start)
    return found.end() if found else start


def _between_characters(text: str, end: int) -> int:
    """The last border of user-perceived characters at or before `end`, or `end` if there is none."""
    at = end
    while at > 0 and _glued(text, at):
        at -= 1
    return at or end


def _glued(text: str, at: int) -> bool:
    """Whether a cut at `at` would tear marks, joined emoji, flags or CR LF apart (a cheap part of UAX #29)."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.category(after).startswith("M") or _JOINER in (before, after):
        return True
    if ord(after) in _SKIN_TONES or ord(after) in _TAGS or before + after == "\r\n":
        return True
    return ord(after) in _FLAG_LETTERS and _flag_letters_before(text, at) % 2 == 1


def _flag_letters_before(text: str, at: int) -> int:
    count = 0
    while count < at and ord(text[at - count - 1]) in _FLAG_LETTERS:
        count += 1
    return count
