"""Personal data in a text: found by Presidio's recognisers, masked before a model sees it, restored in the reply.

Presidio (https://microsoft.github.io/presidio) brings patterns with check sums (cards by Luhn, IBAN by mod 97), and
libphonenumber's matcher. No language model stands behind it, so names are not found; the customer's own is known.
The recognisers are used directly, without Presidio's engine; see `graphs.support.recognisers`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphs.support.fleeting import of_a_run
from graphs.support.languages import COURTESY, STOP
from graphs.support.recognisers import recognisers

# Where a phone number without a country code may be from, by what is written around it.
_REGIONS = ("GB", "US", "DE", "FR", "ES", "IT", "NL", "PT", "PL", "UA", "RU", "TR", "AT", "CH")
_LEAST = {"PHONE": 0.4, "CARD": 0.5, "IP": 0.5}
_KINDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "IBAN_CODE": "IBAN",
    "CREDIT_CARD": "CARD",
    "IP_ADDRESS": "IP",
    "US_SSN": "ID",
    "UK_NHS": "ID",
    "ES_NIF": "ID",
    "IT_FISCAL_CODE": "ID",
    "PL_PESEL": "ID",
}
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_PLACEHOLDER = re.compile(r"\[(?:EMAIL|PHONE|IBAN|CARD|IP|ID|NAME)_\d+\]")
_LEAST_NAME, _LEAST_DIGITS = 2, 9
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}")
_Span = tuple[int, int, str]


@dataclass(slots=True)
class Masked:
    """A masked text and what its placeholders stand for; `seen` is of the customer's own message and name."""

    text: str
    values: dict[str, str] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()

    def restored(self, reply: str) -> str | None:
        """The reply with the customer's name and what their own message has; None if it has another placeholder."""
        allowed = {mark: value for mark, value in self.values.items() if mark in self.seen or mark.startswith("[NAME_")}
        plain = _PLACEHOLDER.sub(lambda match: allowed.get(match.group(), match.group()), reply)
        return None if any(mark not in allowed for mark in _PLACEHOLDER.findall(reply)) else plain


def mask(text: str, name: str = "", before: Mapping[str, str] | None = None) -> Masked:
    """The text with placeholders such as `[EMAIL_1]`; equal values have equal ones, those of `before` too.

    Takes milliseconds, and a tenth of a second at the first call, which loads the recognisers: call it in a thread.
    """
    values = dict(before or {})
    marks = {_same(value): mark for mark, value in values.items()}
    parts, at = list[str](), 0
    for start, end, kind in _spans_of_run(text, (name,)):
        value = text[start:end]
        mark = marks.get(_same(value))
        if mark is None:
            mark = f"[{kind}_{1 + sum(known.startswith(f'[{kind}_') for known in values)}]"
            marks[_same(value)], values[mark] = mark, value
        parts += [text[at:start], mark]
        at = end
    masked = "".join([*parts, text[at:]])
    return Masked(masked, values, frozenset(_PLACEHOLDER.findall(masked)))


def masked_text(text: str, languages: Sequence[str] = (), names: Sequence[str] = ()) -> str:
    """The text with placeholders, for what is kept; `languages` (ISO 639-1) say which regions phones are of.

    `names` are those of people who write in it. Takes as long as `mask`.
    """
    regions = tuple(language.upper().replace("EN", "GB").replace("UK", "UA") for language in languages)
    parts, at, counts = list[str](), 0, dict[str, str]()
    for start, end, kind in _spans(text, tuple(names), (*regions, *_REGIONS)):
        value = _same(text[start:end])
        mark = counts.setdefault(value, f"[{kind}_{1 + sum(one.startswith(f'[{kind}_') for one in counts.values())}]")
        parts += [text[at:start], mark]
        at = end
    return "".join([*parts, text[at:]])


def has_placeholder(text: str) -> bool:
    """Whether a placeholder was left in a text."""
    return bool(_PLACEHOLDER.search(text))


def kinds(masked: Masked) -> str:
    """How many values of each kind were masked, in words without the values."""
    found: dict[str, int] = {}
    for mark in masked.values:
        kind = mark[1:].split("_")[0]
        found[kind] = found.get(kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) or "none"


def _spans(text: str, names: tuple[str, ...], regions: tuple[str, ...] = _REGIONS) -> tuple[_Span, ...]:
    """From where to where personal data stands, none over another; the longest wins."""
    found = [(match.start(), match.end(), "EMAIL") for match in _EMAIL.finditer(text)]
    if any(map(str.isdigit, text)):
        found += _recognised(text) + _phones(text, regions)
    found += [span for name in names for span in _named(text, name)]
    kept: list[_Span] = []
    for start, end, kind in sorted(found, key=lambda span: (-_worth(span), span[0])):
        if all(end <= other[0] or start >= other[1] for other in kept):
            kept.append((start, end, kind))
    return tuple(sorted(kept))


# A turn's texts are masked for the question and again for the draft.
_spans_of_run = of_a_run(maxsize=16)(_spans)


def _worth(span: _Span) -> int:
    """A number that is a card by its check sum is no phone number of the same length."""
    return 2 * (span[1] - span[0]) + (span[2] in ("CARD", "IBAN", "IP"))


def _recognised(text: str) -> list[_Span]:
    return [
        (result.start, result.end, kind)
        for recogniser in recognisers()
        for result in recogniser.analyze(text, recogniser.supported_entities, None)
        if (kind := _KINDS[result.entity_type]) and result.score >= _LEAST.get(kind, 0.5)
    ]


def _phones(text: str, regions: Sequence[str]) -> list[_Span]:
    import phonenumbers  # noqa: PLC0415

    found: list[_Span] = []
    if not _is_a_number(text):
        return found
    for region in dict.fromkeys(regions):
        matcher = phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.VALID)
        found += [(match.start, match.end, "PHONE") for match in matcher if _is_a_number(match.raw_string)]
    return list(dict.fromkeys(found))


def _is_a_number(raw: str) -> bool:
    """Whether a number is long enough to be somebody's; dates and amounts are shorter."""
    return sum(map(str.isdigit, raw)) >= _LEAST_DIGITS and not _DATE.fullmatch(raw.strip())


def _named(text: str, name: str) -> list[_Span]:
    """The customer's name, whole and in its parts, where it is no ordinary word."""
    stops = frozenset[str]().union(*STOP.values(), COURTESY)
    parts = [part for part in name.split() if len(part) > _LEAST_NAME and part.casefold() not in stops]
    wanted = [one for one in dict.fromkeys([name.strip(), *parts]) if len(one) > _LEAST_NAME]
    if not wanted:
        return []
    pattern = "|".join(re.escape(one) for one in sorted(wanted, key=len, reverse=True))
    return [(match.start(), match.end(), "NAME") for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.I)]


def _same(value: str) -> str:
    return re.sub(r"[\s()./-]", "", value).casefold() if any(map(str.isdigit, value)) else value.casefold()
