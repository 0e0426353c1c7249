"""Headers of a mail, read whatever their state: a malformed one is none, and none raises.

Sources: RFC 5322 (addresses, message ids, dates), RFC 2047 (encoded words).
"""

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from app.text import clean
from ingestion.charsets import web_charset

_BREAKS = re.compile(r"[\r\n\t\x00-\x1f\x7f]+")
_ID = re.compile(r"<([^<>\s]{1,900})>")
_BARE_ID = re.compile(r"[^<>\s,]{1,900}@[^<>\s,]{1,900}")
_MOST_CHARACTERS = 20_000
_LONGEST_ADDRESS = 320
_LAST_MS = 4_102_444_800_000  # the year 2100


def raw_values(message: Message, name: str) -> list[str]:
    """Every value of a header, unfolded but not decoded; bytes that are no ASCII are read as UTF-8, or else Latin."""
    wanted = name.lower()
    return [_unfolded(str(value)) for key, value in message.raw_items() if str(key).lower() == wanted]


def raw_value(message: Message, name: str) -> str:
    """The first value of a header, or ""."""
    return next(iter(raw_values(message, name)), "")


def decoded(value: str) -> str:
    """A header's text with its encoded words decoded; one that cannot be is left as it is."""
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError, LookupError):
        return _one_line(value)
    texts = []
    for part, charset in parts:
        if isinstance(part, str):
            texts.append(part)
        else:
            codec = web_charset(charset) if charset else None
            texts.append(part.decode(codec or "utf-8", errors="replace"))
    return _one_line("".join(texts))


def addresses(message: Message, *names: str) -> list[tuple[str, str]]:
    """(display name, address in lower case) of every mailbox in these headers; what has no @ is none."""
    values = [value for name in names for value in raw_values(message, name)]
    try:
        found = getaddresses(values)
    except (ValueError, IndexError, TypeError):
        return []
    return [(decoded(name), cleaned) for name, address in found if (cleaned := _address(address))]


def message_ids(message: Message, name: str) -> list[str]:
    """The message ids in a header, without their brackets, in order and once each."""
    values = " ".join(raw_values(message, name))
    return list(dict.fromkeys(clean(one) for one in _ID.findall(values) or _BARE_ID.findall(values)))


def sent_ms(message: Message) -> int | None:
    """When a mail was written, Unix milliseconds; where it does not say, when it was taken by the last server."""
    dates = [raw_value(message, "Date")]
    dates += [value.rpartition(";")[2] for value in raw_values(message, "Received")[:1]]
    return next((ms for value in dates if (ms := _as_ms(value)) is not None), None)


def parameters(message: Message, name: str) -> Iterator[str]:
    """The words of a header's values, in lower case, split at commas and semicolons."""
    for value in raw_values(message, name):
        yield from (word.strip().lower() for word in re.split(r"[,;]", value) if word.strip())


def _as_ms(value: str) -> int | None:
    try:
        ms = int(parsedate_to_datetime(value.strip()).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, IndexError, AttributeError):
        return None
    return ms if 0 < ms < _LAST_MS else None


def _address(value: str) -> str | None:
    value = _one_line(value).replace(" ", "").lower()
    local, _, domain = value.rpartition("@")
    return value if local and domain and len(value) <= _LONGEST_ADDRESS and not set("<>") & set(value) else None


def _unfolded(value: str) -> str:
    raw = value[:_MOST_CHARACTERS].encode("utf-8", errors="surrogateescape")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    return re.sub(r"\r?\n[ \t]?|\r", " ", text).strip()


def _one_line(value: str) -> str:
    return clean(_BREAKS.sub(" ", value)).strip()
