"""Personal data in a text that is kept as a sample: what can be told by its form, and who wrote.

A sample is to be read by whoever works on the agents, and long after: who asked is nothing that an eval has to know.
"""

import re
from collections.abc import Iterator, Sequence

_EMAIL = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_DIGITS = re.compile(r"(?<![\w])\+?\(?\d(?:[ ().\-/]{0,2}\d){6,18}(?!\w)")
_DATE = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4}")
_CARD_DIGITS = range(13, 20)
_PHONE_DIGITS = range(8, 16)
_LEAST_NAME = 3


def masked_text(text: str, names: Sequence[str | None] = ()) -> str:
    """A text with placeholders for e-mail addresses, phone, card and account numbers, and the names given.

    Of a name its words of three letters and more are replaced, too.
    """
    text = _EMAIL.sub("[email]", text)
    text = _IBAN.sub("[iban]", text)
    text = _DIGITS.sub(_number, text)
    for words in _spoken(names):
        text = re.sub(rf"(?<!\w){re.escape(words)}(?!\w)", "[name]", text, flags=re.IGNORECASE)
    return text


def _number(found: re.Match[str]) -> str:
    told = found[0]
    digits = re.sub(r"\D", "", told)
    if len(digits) in _CARD_DIGITS and _is_card(digits):
        return "[card]"
    return "[phone]" if len(digits) in _PHONE_DIGITS and not _DATE.fullmatch(told) else told


def _is_card(digits: str) -> bool:
    """Whether the last digit checks the others (Luhn, ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def _spoken(names: Sequence[str | None]) -> Iterator[str]:
    """Whole names first, then their words: what is replaced as a whole is one placeholder."""
    told = [name.strip() for name in names if name and len(name.strip()) >= _LEAST_NAME]
    yield from sorted(told, key=len, reverse=True)
    for name in told:
        yield from (word for word in re.findall(r"\w+", name) if len(word) >= _LEAST_NAME)
