"""The `[n]` markers of a draft: which sentence names which passages, and the text without them."""

import re
from dataclasses import dataclass

from graphs.support.text import sentences

_MARKER = re.compile(r"\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\]")
_ANY = r"\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\]"
_AFTER_STOP = re.compile(rf"([.!?…。！？]+[\"'”’)]*)((?:\s*{_ANY})+)")
_BEFORE_MARK = re.compile(rf"[ \t]*(?:{_ANY}[ \t]*)+(?=[.,;:!?…)]|$)", re.MULTILINE)
_BETWEEN_WORDS = re.compile(rf"[ \t]*(?:{_ANY}[ \t]*)+")


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence of a draft without its markers, and the passage numbers it named, in order."""

    text: str
    passages: tuple[int, ...]


def cited_sentences(draft: str) -> list[CitedSentence]:
    """The draft's sentences; a marker after a full stop belongs to the sentence before it."""
    # Markers move in front of the stop, so that splitting at stops keeps them with their sentence.
    inside = _AFTER_STOP.sub(lambda match: f"{match.group(2)}{match.group(1)} ", draft)
    return [
        CitedSentence(text, _numbers(sentence)) for sentence in sentences(inside) if (text := without_markers(sentence))
    ]


def without_markers(draft: str) -> str:
    """The draft as a customer reads it: no markers, no space left where they stood, lines kept."""
    text = draft
    while _MARKER.search(text):  # again, as taking a marker out of "[[1]2]" leaves one
        text = _BETWEEN_WORDS.sub(" ", _BEFORE_MARK.sub("", text))
    lines = (line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _numbers(text: str) -> tuple[int, ...]:
    found = [int(number) for match in _MARKER.finditer(text) for number in re.findall(r"\d+", match.group(1))]
    return tuple(dict.fromkeys(found))
