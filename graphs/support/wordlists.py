"""Patterns for folded text, of word lists and as they are written.

In a list a word stands for all that begin with it if it ends in `*`; `_` is a blank.
"""

import re

from graphs.support.normalising import folded

# What keeps its case: escapes and the names of groups.
_SIGNS = re.compile(r"(\\.|\(\?P<\w+>)")


def compiled(words: str, unspaced: str = "") -> re.Pattern[str]:
    """A pattern of any of the words, in folded text; those of scripts without blanks match anywhere."""
    found = sorted({folded(word) for word in words.split()}, key=len, reverse=True)
    # By their first letters: the engine tries one branch after another.
    begun: dict[str, dict[str, list[str]]] = {}
    for word in found:
        begun.setdefault(word[0], {}).setdefault(re.escape(word[1:2]), []).append(pattern_of(word[2:]))
    spaced = "|".join(
        first + "(?:" + "|".join(f"{second}(?:{'|'.join(rest)})" for second, rest in seconds.items()) + ")"
        for first, seconds in begun.items()
    )
    others = "|".join(re.escape(folded(word)) for word in unspaced.split())
    # Arabic writes "and", "the" and "with" in one with the word.
    arabic = "(?:[وفبل]?(?:ال)?)?"
    return re.compile(rf"\b{arabic}(?:{spaced})\b" + (rf"|{others}" if others else ""))


def pattern_of(word: str) -> str:
    """A word of the lists as a pattern."""
    written = re.escape(word).replace(r"\*_", r"\w*_").replace("_", r"\s+").replace(r"\*", r"\w*")
    return written.replace(r"\?", "?")


def foldable(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern in words as they are written, for folded text; its escapes are kept, as \\W is not \\w."""
    parts = (part if at % 2 else folded(part) for at, part in enumerate(_SIGNS.split(pattern)))
    return re.compile("".join(parts), flags)
