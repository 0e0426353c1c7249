"""Whether a text can match a pattern at all, told by its words, a lookup for each; see `graphs.support.needed`."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from graphs.support.needed import Clause, Piece, caseless, needed, worth

_WORD = re.compile(r"\w+|[^\w\s]")
# A word that is longer is a run of an unspaced script or something encoded, and not met again.
_LONG, _MOST_WORDS = 40, 32_768
_HEAD = 2
# Of a pattern: bits of which a text has one, and for each alternative the bits of which it has all.
_Known = tuple[int, tuple[int, ...]]
# Pieces by their first letters, each with its clause's bit.
_Table = dict[str, list[tuple[Piece, int]]]


class Gates:
    """Patterns by what they need. A text's marks are an int with a bit for each clause that one of its words meets."""

    def __init__(self, patterns: Mapping[re.Pattern[str], re.Pattern[str]]) -> None:
        """Of patterns, each by one that matches wherever it does and is as easy to read."""
        self._bits: dict[Clause, int] = {}
        # By identity: the hash of a pattern is that of all its code, and takes longer than the rest.
        self._patterns = tuple(patterns)
        self._ways = {
            id(one): self._known_ways(ways) for one, readable in patterns.items() if (ways := needed(readable))
        }
        self._first: _Table = {}
        self._later: _Table = {}
        for clause, bit in self._bits.items():
            for piece in clause:
                table = self._first if piece.begins else self._later
                table.setdefault(piece.text[:_HEAD], []).append((piece, bit))
        self._known = lru_cache(maxsize=_MOST_WORDS)(self._marks_of)
        # A text as it was written and folded are often the same without case.
        self._said = lru_cache(maxsize=16)(self._marks)
        self.marks = lru_cache(maxsize=16)(lambda text: self._said(caseless(text)))

    def may(self, pattern: re.Pattern[str], text: str) -> bool:
        """Whether the pattern can match somewhere in the text; True of a pattern that is not known."""
        known = self._ways.get(id(pattern))
        if known is None:
            return True
        marks, (hint, ways) = self.marks(text), known
        if not marks & hint:
            return False
        return any(marks & way == way for way in ways)

    def any_but(self, few: frozenset[re.Pattern[str]]) -> Callable[[str], bool]:
        """Whether another pattern than these few can match in a text; always True if one needs nothing."""
        others = [self._ways.get(id(one)) for one in self._patterns if one not in few]
        known = [one for one in others if one is not None]
        return lambda text: len(known) < len(others) or _any_of(known, self.marks(text))

    def matches(self, pattern: re.Pattern[str], text: str) -> bool:
        """Whether the pattern matches somewhere in the text."""
        return self.may(pattern, text) and pattern.search(text) is not None

    def _known_ways(self, ways: list[list[Clause]]) -> _Known:
        """The bits of the rarest clause of each alternative, and the bits that each needs."""
        merged = _merged(ways)
        return self._bits_of(max(way, key=worth) for way in merged), tuple(map(self._bits_of, merged))

    def _bits_of(self, way: Iterable[Clause]) -> int:
        bits = 0
        for clause in way:
            bits |= self._bits.setdefault(clause, 1 << len(self._bits))
        return bits

    def _marks(self, plain: str) -> int:
        marks = 0
        for word in set(_WORD.findall(plain)):
            marks |= self._known(word) if len(word) <= _LONG else self._marks_of(word)
        return marks

    def _marks_of(self, word: str) -> int:
        marks = _met(self._first, word, 0)
        for at in range(len(word)):
            if word[at : at + _HEAD] in self._later or word[at] in self._later:
                marks |= _met(self._later, word, at)
        return marks


def _any_of(patterns: Iterable[_Known], marks: int) -> bool:
    return any(marks & hint and any(marks & way == way for way in ways) for hint, ways in patterns)


def _met(table: _Table, word: str, at: int) -> int:
    """The bits of the pieces that a word has at a place; single letters have heads of their own."""
    near = [*table.get(word[at : at + _HEAD], ()), *(table.get(word[at], ()) if at + 1 < len(word) else ())]
    marks = 0
    for piece, bit in near:
        if word.startswith(piece.text, at) and (not piece.ends or at + len(piece.text) == len(word)):
            marks |= bit
    return marks


def _merged(ways: list[list[Clause]]) -> list[list[Clause]]:
    """Alternatives that need one thing each need one of these: one lookup instead of many."""
    single = frozenset[Piece]().union(*(way[0] for way in ways if len(way) == 1))
    return [*([[single]] if single else []), *(way for way in ways if len(way) > 1)]
