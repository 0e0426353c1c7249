"""Small text tools: sentences kept verbatim, content words as stems, and how far one text covers another."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import takewhile

from graphs.support.fleeting import of_an_hour
from graphs.support.languages import IRREGULAR, NEGATION, STOP, SYNONYMS
from vectorstore.words import snowball

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# Scripts without blanks between words, as a part of a character class.
UNSPACED = "぀-ヿ㐀-鿿฀-๿"
_UNSPACED = re.compile(rf"[{UNSPACED}]{{2,}}")
_BULLET = re.compile(r"^\s*(?:[-*•·–]|\d{1,2}[.)])\s+")
_END = re.compile(r"[.!?…]+[\"'”’)\]*]*(?=\s)|[。！？]+[」』”）]*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[^\W\d_]|e\.g|i\.e|z\.\s?b|d\.h|u\.a|bzw|ca|dr|mr|mrs|ms|st|nr|vs|approx|tel|abs|inkl|p\.ej|sr|sra|"
    r"dra|prof|mme|mlle|sig|dott|hr|fr|ing|т\.е|т\.д|ул|г|грн|руб)\.$",
    re.IGNORECASE,
)
# "Door no. 5" and "the no. of guests" go on; "Sadly no. You may …" does not.
_NUMBER = re.compile(r"(?:^|[\s(])no\.$", re.IGNORECASE)
_GOES_ON = re.compile(r"\s*(?:[\d#a-zà-ÿ]|[A-Z]{1,4}[-\d])").match
_MONTHS = "Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez"
_WRAP = 60
_SHARED, _KIN = 5, 0.8


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, whitespace made single; headings, list items and table rows count as one."""
    found: list[str] = []
    for block in _blocks(text):
        start = 0
        for end in _END.finditer(block):
            piece = block[start : end.end()].strip()
            if end.group() == "." and _is_within(piece, block[end.end() :]):
                continue
            found.append(piece)
            start = end.end()
        found.append(block[start:].strip())
    return [piece for piece in found if piece]


def _is_within(before: str, after: str) -> bool:
    """Whether a full stop is not the end of a sentence, but that of an abbreviation or an ordinal."""
    return bool(_ABBREVIATION.search(before) or _ordinal(before, after) or (_NUMBER.search(before) and _GOES_ON(after)))


def _ordinal(before: str, after: str) -> bool:
    """Whether a full stop belongs to a day or another ordinal, as in "24. Dezember"."""
    return bool(re.search(r"(?:^|\D)\d{1,2}\.$", before) and re.match(rf"\s+(?:[^\W\d_A-ZÄÖÜ]|{_MONTHS})", after))


def _blocks(text: str) -> list[str]:
    """Lines, with those joined again that a page layout broke in the middle of a sentence."""
    blocks: list[str] = []
    previous = ""
    for raw in text.splitlines():
        line = " ".join(raw.split())
        if previous and line and _continues(previous, line):
            blocks[-1] += " " + line
        elif line:
            blocks.append(_BULLET.sub("", line).lstrip("# "))
        previous = line
    return blocks


def _continues(previous: str, line: str) -> bool:
    if previous[-1] in ".!?:;…|" or previous[0] in "#|" or _BULLET.match(line) or line[0] in "|#":
        return False
    return line[0].islower() or len(previous) >= _WRAP


def bullets(text: str) -> list[str]:
    """The sentences, as `sentences` gives them, of the lines that are list items."""
    return [piece for line in text.splitlines() if _BULLET.match(line) for piece in sentences(line)]


def words(text: str) -> list[str]:
    """Lower-case words; scripts without spaces come as pairs of characters."""
    if text.isascii():
        return [word.removesuffix("'s") for word in _WORD.findall(text.lower())]
    found: list[str] = []
    for written in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        word = written.replace("’", "'")
        if not word.isascii() and _UNSPACED.fullmatch(word):
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word.removesuffix("'s"))
    return found


def language_of(text: str) -> str:
    """The language whose stop words are most of the text's words, or an empty string when none of them occurs."""
    spoken = Counter(words(text)[:400])
    counts = {language: sum(spoken[word] for word in spoken.keys() & stop) for language, stop in STOP.items()}
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] else ""


@of_an_hour(maxsize=32_768)
def stem(word: str, language: str) -> str:
    """The word's stem; a language without a stemmer keeps its words."""
    if language == "en":
        plain = snowball("en", IRREGULAR.get(word, word))
        return SYNONYMS.get(plain, plain)
    return snowball(language, word)


def topic_words(text: str, language: str) -> list[str]:
    """The words that are no stop words of the language, in order, repeats included."""
    stop = STOP.get(language, frozenset())
    return [
        word
        for word in words(text)
        if (len(word) > 1 or word.isdigit()) and not ({word, word.split("'")[0]} & stop or word.endswith("n't"))
    ]


def content(text: str, language: str) -> list[str]:
    """The stems of the topic words."""
    return [stem(word, language) for word in topic_words(text, language)]


def negated(text: str, language: str) -> bool:
    """Whether a word of the text turns its statement around."""
    turning = NEGATION.get(language, frozenset())
    return any(word in turning or word.endswith("n't") for word in words(text))


def runs(said: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    """So many words in a row, at every place where they begin."""
    return (tuple(said[at : at + length]) for at in range(len(said) - length + 1))


def coverage(needed: Iterable[str], given: Iterable[str]) -> float:
    """The share, 0..1, of the different needed stems that are given; 1 if none is needed."""
    wanted = set(needed)
    return len(wanted & set(given)) / len(wanted) if wanted else 1.0


def related(stem: str, given: Collection[str]) -> float:
    """1 if the stem is given, less if one is that begins the same (`devolv`, `devolu`), else 0."""
    if stem in given:
        return 1.0
    if len(stem) < _SHARED or any(map(str.isdigit, stem)):
        return 0.0
    head = stem[:_SHARED]
    return _KIN if any(other.startswith(head) and _akin(stem, other) for other in given) else 0.0


def _akin(one: str, other: str) -> bool:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return shared >= max(_SHARED, 0.6 * max(len(one), len(other)))


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of the same length, 0 if one of them is all zero."""
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    norm = (sum(a * a for a in one) * sum(b * b for b in other)) ** 0.5
    return dot / norm if norm else 0.0
