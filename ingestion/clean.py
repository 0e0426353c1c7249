"""Text as it is stored and embedded: one Unicode form, no characters that a reader cannot see."""

import re
import unicodedata

_NEWLINE = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Controls, soft hyphens, zero-width and direction marks, variation selectors, tag characters and surrogates: a reader
# cannot see them, PostgreSQL or UTF-8 cannot hold some, and text smuggled in them would reach the model unseen.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0e\ufeff\ufff0-\ufffc\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Joiners spell words in Persian and Hindi and build emoji, so they stay between characters of such scripts.
_STRAY_JOINER = re.compile("(?<![\u0600-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\U0010ffff])")
_SPACES = re.compile("(?<=\\S)[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_MAX_TITLE = 300
_MAX_CONTEXT = 200
_QUOTES = "\"'`*“”„«»‘’ "


def clean(text: str) -> str:
    """`text` in NFC, lines ended by a newline, invisible characters and runs of spaces and blank lines gone."""
    text = _INVISIBLE.sub("", _NEWLINE.sub("\n", text))
    text = unicodedata.normalize("NFC", _STRAY_JOINER.sub("", text))
    lines = (line.rstrip() for line in _SPACES.sub(" ", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def clean_line(text: str) -> str:
    """`text` cleaned and on one line."""
    return " ".join(clean(text).split())


def clean_title(text: str | None) -> str | None:
    """A title of at most 300 characters on one line, or None when nothing readable is left."""
    return clean_line(text or "")[:_MAX_TITLE].strip() or None


def clean_context(text: str) -> str | None:
    """A line about a passage, of at most 200 characters and ended at a space; None when it says nothing in words."""
    line = clean_line(text).strip(_QUOTES)
    if len(line) > _MAX_CONTEXT:
        cut = line[:_MAX_CONTEXT]
        space = cut.rfind(" ", _MAX_CONTEXT // 2)
        line = cut[:space] if space > 0 else cut
    return line if any(character.isalpha() for character in line) else None
