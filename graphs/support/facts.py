"""Numbers, dates, times, prices and phone numbers: what a reply may only repeat, never make up."""

import re

from graphs.support.fleeting import of_a_run
from graphs.support.frequencies import frequency
from graphs.support.languages import NUMBER_WORDS, NUMBER_WORDS_OF
from graphs.support.text import language_of
from graphs.support.urls import without_addresses

_PHONE = re.compile(r"\+?\d(?:(?:[ \u00a0/.-]|\) ?| ?\()?\d){6,}")
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}")
_NUMBER = re.compile(r"\d+(?:[.,'’:/–-]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,'’])\d{3})(?:\1\d{3})*")
_DECIMAL = re.compile(r"(.*)[.,](\d+)")
# What a list counts its items by.
_ITEM = re.compile(r"^\s*\d{1,2}[.)](?=\s)|(?<=:\s)1[.)](?=\s|$)", re.MULTILINE)
_ORDINARY = 4.0
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def invented(sentence: str, sources: str) -> list[str]:
    """The sentence's numbers that do not stand in the sources, as written; spelled numbers count as digits.

    Web and mail addresses are left to `graphs.support.urls`.
    """
    phones, text = phones_apart(without_addresses(sentence))
    known, values = _given(sources)
    language = language_of(text)
    return [phone for phone in phones if _digits(phone) not in known] + [
        number
        for number in _numbers(_ITEM.sub(" ", text))
        if not _known(number, values) and not _is_another_word(number.casefold(), language)
    ]


# All sentences of a draft are held against the same sources.
@of_a_run(maxsize=4)
def _given(sources: str) -> tuple[frozenset[str], set[str]]:
    """The digits of the phone numbers of the sources, and what their other numbers can be read as."""
    phones, rest = phones_apart(without_addresses(sources))
    values = {value for number in _numbers(rest) for value in _readings(number) | set(_parts(number))}
    return frozenset(map(_digits, phones)), values


def phones_apart(text: str) -> tuple[list[str], str]:
    """The phone numbers of a text, and the text without them."""
    phones = [match.group() for match in _PHONE.finditer(text) if not _DATE.search(match.group())]
    for phone in phones:
        text = text.replace(phone, " ")
    return phones, text


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(text) + [word for word in _WORD.findall(text) if word.casefold() in NUMBER_WORDS]


def _is_another_word(number: str, language: str) -> bool:
    """Whether a number of one language is an ordinary word of the text's own: "due", "once", "elf"."""
    own = NUMBER_WORDS_OF.get(language)
    return own is not None and number in NUMBER_WORDS and number not in own and frequency(number, language) >= _ORDINARY


def _known(number: str, known: set[str]) -> bool:
    """Whether one way to read the number is known, or all parts of a date, a time or a range are."""
    parts = _parts(number)
    return bool(_readings(number) & known) or (len(parts) > 1 and all(part in known for part in parts))


def _parts(number: str) -> list[str]:
    """The parts of a date, time or range without empty and zero ones; a plain number is its own only part."""
    pieces = re.split(r"[:/–-]", number)
    if _DATE.fullmatch(number) or number.count(".") > 1:
        pieces = re.split(r"[./-]", number)
    plain = [min(_readings(piece), key=len) for piece in pieces if piece.strip("0")]
    return plain or ["0"]


def _readings(number: str) -> set[str]:
    """The values a written number may have: 1.500 is both fifteen hundred and one and a half."""
    if number.casefold() in NUMBER_WORDS:
        return {NUMBER_WORDS[number.casefold()]}
    readings = {number}
    if _THOUSANDS.fullmatch(number):
        readings.add(re.sub(r"\D", "", number).lstrip("0") or "0")
    if decimal := _DECIMAL.fullmatch(number):
        whole, fraction = re.sub(r"\D", "", decimal.group(1)).lstrip("0") or "0", decimal.group(2).rstrip("0")
        readings.add(f"{whole}.{fraction}" if fraction else whole)
    if number.isdecimal():
        readings.add(number.lstrip("0") or "0")
    return readings
