"""Whether a text can match a pattern at all, told by its words alone, a lookup for each; see `graphs.support.needed`."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from graphs.support.needed import Clause, Piece, caseless, needed

_WORD = re.compile(r"\w+|[^\w\s]")
# A word that is longer is a run of an unspaced script or something encoded, and not met again.
_LONG, _MOST_WORDS = 40, 32_768


class Gates:
    """Patterns by what they need. A text's marks are an int with a bit for each clause that one of its words meets."""

    def __init__(self, patterns: Mapping[re.Pattern[str], re.Pattern[str]]) -> None:
        """Of patterns, each by one that matches wherever it does and is as easy to read."""
        self._bits: dict[Clause, int] = {}
        self._ways = {
            one: tuple(map(self._bits_of, _merged(needed(readable)))) for one, readable in patterns.items()
        }
        self._pieces: dict[Piece, int] = {}
        for clause, bit in self._bits.items():
            for piece in clause:
                self._pieces[piece] = self._pieces.get(piece, 0) | bit
        self._sizes = sorted({len(piece.text) for piece in self._pieces if not (piece.begins or piece.ends)})
        self._tables = {
            key: {piece.text: bits for piece, bits in self._pieces.items() if (piece.begins, piece.ends) == key}
            for key in ((True, True), (True, False), (False, True), (False, False))
        }
        self._known = lru_cache(maxsize=_MOST_WORDS)(self._marks_of)
        self.marks = lru_cache(maxsize=16)(self._marks)

    def may(self, pattern: re.Pattern[str], text: str) -> bool:
        """Whether the pattern can match somewhere in the text; True of a pattern that is not known."""
        ways = self._ways.get(pattern)
        if not ways:
            return True
        marks = self.marks(text)
        return any(marks & way == way for way in ways)

    def matches(self, pattern: re.Pattern[str], text: str) -> bool:
        """Whether the pattern matches somewhere in the text."""
        return self.may(pattern, text) and pattern.search(text) is not None

    def _bits_of(self, way: Iterable[Clause]) -> int:
        bits = 0
        for clause in way:
            bits |= self._bits.setdefault(clause, 1 << len(self._bits))
        return bits

    def _marks(self, text: str) -> int:
        marks = 0
        for word in set(_WORD.findall(text)):
            marks |= self._known(word) if len(word) <= _LONG else self._marks_of(word)
        return marks

    def _marks_of(self, written: str) -> int:
        word = caseless(written)
        size, tables = len(word), self._tables
        marks = tables[True, True].get(word, 0)
        begins, ends, inside = tables[True, False], tables[False, True], tables[False, False]
        for at in range(size):
            marks |= begins.get(word[: at + 1], 0) | ends.get(word[at:], 0)
            for length in self._sizes:
                if at + length > size:
                    break
                marks |= inside.get(word[at : at + length], 0)
        return marks


def _merged(ways: list[list[Clause]]) -> list[list[Clause]]:
    """Alternatives that need one thing each need one of these: one lookup instead of many."""
    single = frozenset[Piece]().union(*(way[0] for way in ways if len(way) == 1))
    return [*([[single]] if single else []), *(way for way in ways if len(way) > 1)]
