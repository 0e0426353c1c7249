"""What a spreadsheet shows of a cell (number formats: ECMA-376 part 1, 18.8.31); dates as ISO 8601 has them."""

import re
from datetime import date, datetime, time, timedelta

_QUOTED = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]')
_NOT_SHOWN = re.compile(r"\[[^\]]*\]|_.|\*.")
_DIGITS = re.compile(r"[#0?][#0?,. ]*")
# More digits than these are what binary fractions leave over.
_SIGNIFICANT = 15
_MAX_DECIMALS = 10
_LARGEST = 1e15
# A plane of private use, in which literals are kept from being read as signs.
_ASIDE, _MOST = 0xF0000, 0xFFFE


def shown(value: object, number_format: str = "General") -> str:
    """A value as text: dates ISO, numbers with the decimals, percent sign and currency of their format."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case int() | float():
            return _number(value, number_format)
        case datetime() | date() | time() | timedelta():
            return _moment(value)
    return str(value)


def _moment(value: datetime | date | time | timedelta) -> str:
    match value:
        case datetime():
            clock = value.time()
            return f"{value.date().isoformat()} {_moment(clock)}" if clock != time(0) else value.date().isoformat()
        case time():
            return value.isoformat("seconds" if value.second else "minutes")
        case timedelta():
            return _duration(value)
    return value.isoformat()


def _duration(value: timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if seconds else f"{hours}:{minutes:02}"


def _number(value: float, number_format: str) -> str:
    sections = number_format.split(";")
    pattern = sections[1] if value < 0 and len(sections) > 1 and _DIGITS.search(sections[1]) else sections[0]
    words = _QUOTED.sub(_marked, pattern)
    plain = _NOT_SHOWN.sub("", words)
    digits = _DIGITS.search(plain)
    if digits is None or "General" in pattern or "E+" in pattern or "/" in plain or abs(value) > _LARGEST:
        return _general(value)
    amount = abs(value) if pattern is not sections[0] else value
    text = _with_decimals(amount * 100 if "%" in plain else amount, digits[0].strip())
    return _unmarked(f"{plain[: digits.start()]}{text}{' ' * digits[0].endswith(' ')}{plain[digits.end() :]}").strip()


def _with_decimals(value: float, digits: str) -> str:
    whole, _, decimals = digits.partition(".")
    least, most = min(decimals.count("0"), _MAX_DECIMALS), min(len(decimals), _MAX_DECIMALS)
    width = whole.count("0") + most + (most > 0) + (value < 0)
    text = f"{value:,.{most}f}" if "," in whole.rstrip(",") else f"{value:0{width}.{most}f}"
    if least < most:
        head, _, tail = text.partition(".")
        text = f"{head}.{tail[:least]}{tail[least:].rstrip('0')}".rstrip(".")
    return text


def _general(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{_SIGNIFICANT}g}"


def _marked(match: re.Match[str]) -> str:
    """A literal, moved out of the way of the signs of the format."""
    literal = match[1] if match[1] is not None else match[2] if match[2] is not None else match[3]
    return "".join(chr(_ASIDE + ord(character)) for character in literal if ord(character) < _MOST)


def _unmarked(text: str) -> str:
    return "".join(chr(ord(character) - _ASIDE) if ord(character) >= _ASIDE else character for character in text)
