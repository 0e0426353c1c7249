"""The language that somebody writes in, told only where it is plain."""

import re

from graphs.support.urls import without_addresses
from vectorstore.words import likely_languages

_TELLING, _SURE = 24, 0.75
# Languages that a detector takes for each other in short texts.
_KIN = (
    {"uk", "ru", "be", "bg", "sr", "mk"},
    {"es", "pt", "gl", "ca"},
    {"da", "no", "nb", "sv", "nn"},
    {"nl", "af"},
    {"cs", "sk"},
)


def spoken(text: str) -> tuple[str, float]:
    """The likeliest language (ISO 639-1) of a text and how likely it is, 0..1; empty without letters."""
    bare = _words(text)
    if not any(map(str.isalpha, bare)):
        return "", 0.0
    language, score = likely_languages(bare, 1)[0]
    return language, min(1.0, score)


def plainly(text: str) -> str:
    """The language of a text that is long enough and of one language only; else an empty string.

    Names and what is quoted say nothing.
    """
    bare = _words(text)
    unspaced = sum("\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af" for c in bare)
    if sum(map(str.isalpha, bare)) + 3 * unspaced < _TELLING:
        return ""
    language, score = spoken(bare)
    return language if score >= _SURE else ""


def other(asked: str, reply: str) -> tuple[str, str] | None:
    """The languages of question and reply where both are plain and not the same, nor near relatives."""
    one, two = plainly(asked), plainly(reply)
    alike = not one or not two or one == two or any({one, two} <= kin for kin in _KIN)
    return None if alike else (one, two)


def _words(text: str) -> str:
    text = re.sub(r"[\"“„«]([^\"”»“\n]{1,80})[\"”»“]", " ", without_addresses(text))
    return " ".join(re.sub(r"[\d\W_]+", " ", text).split())
