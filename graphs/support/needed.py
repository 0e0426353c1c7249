"""What a regular expression cannot match without: pieces of words, read off the parsed pattern.

Patterns of a hundred words each take most of the time of a scan, and hardly any text has one of their words. What is
read off here is necessary and not sufficient, so that no match is ever lost; who finds it goes on to the pattern.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple

# Private to Python, and the only place where a pattern's parts can be had; 3.11 to 3.14 have it.
_parser: Any = import_module("re._parser")
_LEAST = 2
_CASES = str.maketrans({"ı": "i", "İ": "i"})
_EDGES = {"AT_BEGINNING", "AT_BEGINNING_STRING", "AT_BOUNDARY", "AT_END", "AT_END_STRING"}
_OUTSIDE = {"CATEGORY_SPACE", "CATEGORY_NOT_WORD"}
_Item = tuple[Any, Any]


class Piece(NamedTuple):
    """Letters within one word, caseless, and whether the word begins and ends with them; or one sign."""

    text: str
    begins: bool
    ends: bool

    @property
    def worth(self) -> float:
        """The rarer in texts, the higher: long pieces, other scripts, and whole words."""
        if not self.text[0].isalnum():
            return 0.5
        return len(self.text) * (1 if self.text.isascii() else 2) + 0.5 * (self.begins + self.ends)


Clause = frozenset[Piece]


def caseless(text: str) -> str:
    """The text so that what a pattern takes for equal by IGNORECASE is equal, character by character."""
    return text.lower() if text.isascii() else text.translate(_CASES).casefold()


def needed(pattern: re.Pattern[str]) -> list[list[Clause]]:
    """By alternative of the pattern, clauses of which each has a piece in every text that it matches; [] if unknown."""
    found = [_clauses(way, False, False) for way in _ways(list(_parser.parse(pattern.pattern, pattern.flags)))]
    return found if all(found) else []


def _ways(items: list[_Item]) -> list[list[_Item]]:
    """The pattern once for each of its alternatives, as far as they are not within something."""
    at = next((at for at, (op, _) in enumerate(items) if str(op) == "BRANCH"), None)
    return [items] if at is None else [[*items[:at], *way, *items[at + 1 :]] for way in items[at][1][1]]


def _clauses(items: Sequence[_Item], left: bool, right: bool) -> list[Clause]:
    """The clauses of a sequence; `left` and `right` say that no word goes on there."""
    found: list[Clause] = []
    run, begins, edge = "", False, left
    for at, (op, value) in enumerate(items):
        if str(op) == "LITERAL" and _in_word(value):
            run, begins, edge = run + chr(value), begins if run else edge, False
            continue
        ends = _outside((op, value), 0)
        found += _piece(run, begins, ends)
        after = _outside(items[at + 1], 0) if at + 1 < len(items) else right
        found += _within(str(op), value, edge and not run, after)
        edge = _edge(str(op), value, edge and not run)
        run = ""
    return [*found, *_piece(run, begins, right)]


def _piece(run: str, begins: bool, ends: bool) -> Iterator[Clause]:
    text = caseless(run)
    if not all(map(_in_word, map(ord, text))):
        return
    if len(text) >= _LEAST or (text and (not text.isascii() or (begins and ends))):
        yield frozenset({Piece(text, begins, ends)})


def _within(op: str, value: Any, left: bool, right: bool) -> list[Clause]:
    """The clauses of what an item holds, if it has to be there."""
    if op == "SUBPATTERN":
        return _clauses(list(value[3]), left, right)
    if op == "ATOMIC_GROUP":
        return _clauses(list(value), left, right)
    if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _clauses(list(value[2]), left, right and value[1] == 1) if value[0] else []
    if op == "ASSERT":
        return _clauses(list(value[1]), False, False)
    if op in ("LITERAL", "IN"):
        return _sign([(op, value)] if op == "LITERAL" else value)
    return _any_way(value[1], left, right) if op == "BRANCH" else []


def _sign(members: Sequence[_Item]) -> list[Clause]:
    """One of some signs, which are words of their own for this purpose; blanks tell nothing."""
    literal = all(str(kind) == "LITERAL" and not _in_word(one) and not chr(one).isspace() for kind, one in members)
    return [frozenset(Piece(chr(one), True, True) for _, one in members)] if literal else []


def _any_way(ways: Sequence[Sequence[_Item]], left: bool, right: bool) -> list[Clause]:
    best = [max(_clauses(list(way), left, right), key=worth, default=None) for way in ways]
    known = [clause for clause in best if clause is not None]
    return [frozenset[Piece]().union(*known)] if len(known) == len(best) else []


def worth(clause: Clause) -> float:
    """That of the piece that texts have most often."""
    return min(piece.worth for piece in clause)


def _edge(op: str, value: Any, before: bool) -> bool:
    """Whether no word goes on after an item, if `before` says the same of its beginning."""
    if op in ("ASSERT", "ASSERT_NOT"):
        return before
    if op in ("MAX_REPEAT", "MIN_REPEAT") and not value[0]:
        return before and _ends_outside(value[2], -1)
    return _outside((op, value), -1)


def _outside(item: _Item, side: int) -> bool:
    """Whether an item surely begins (side 0) or ends (-1) with no character of a word, or is an edge of one."""
    op, value = str(item[0]), item[1]
    if op == "LITERAL":
        return not _in_word(value)
    if op == "AT":
        return str(value) in _EDGES
    if op == "IN":
        return all(_member_outside(str(kind), one) for kind, one in value)
    if op in ("SUBPATTERN", "MAX_REPEAT", "MIN_REPEAT"):
        return (op == "SUBPATTERN" or value[0] > 0) and _ends_outside(value[-1], side)
    return op == "BRANCH" and all(_ends_outside(way, side) for way in value[1])


def _ends_outside(items: Sequence[_Item], side: int) -> bool:
    return len(items) > 0 and _outside(items[side], side)


def _member_outside(kind: str, one: Any) -> bool:
    return (kind == "LITERAL" and not _in_word(one)) or (kind == "CATEGORY" and str(one) in _OUTSIDE)


def _in_word(code: int) -> bool:
    return chr(code).isalnum() or chr(code) == "_"
