"""Headers of a mail, read whatever their state: a malformed one is none, and none raises.

Sources: RFC 5322 (addresses, message ids, dates), RFC 2047 (encoded words).
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import collapse_rfc2231_value, getaddresses, parsedate_to_datetime
from typing import Any

from app.text import clean
from ingestion.charsets import web_charset

_BREAKS = re.compile(r"[\r\n\t\x00-\x1f\x7f]+")
_ID = re.compile(r"<([^<>\s]{1,900})>")
_LONGEST_ID = 900
_MOST_CHARACTERS = 20_000
# A header with parameters; the library's parsing of them takes the square of its length.
_MOST_PARAMETERS = 2_000
_LONGEST_ADDRESS = 320
_LAST_MS = 4_102_444_800_000  # the year 2100


class Mail(Message):
    """A mail, or a part of one, whose parameters can be asked for whatever they are."""

    def get(self, name: str, failobj: Any = None) -> Any:
        """The first value of a header, unfolded, and no more of it than a mail program writes."""
        values = raw_values(self, name)
        return values[0][:_MOST_PARAMETERS] if values else failobj

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:  # the library's
        """A parameter of a header; a charset as the codec for it; `failobj` for what cannot be read or used."""
        try:
            found = super().get_param(param, failobj, header, unquote)
            if param.lower() != "charset" or found is failobj:
                return found
            return web_charset(collapse_rfc2231_value(found)) or failobj
        except (ValueError, LookupError, TypeError):
            return failobj

    def get_filename(self, failobj: Any = None) -> Any:
        """The name of an attached file; `failobj` for one that cannot be read."""
        try:
            return super().get_filename(failobj)
        except (ValueError, LookupError, TypeError):
            return failobj

    def get_boundary(self, failobj: Any = None) -> Any:
        """What stands between the parts; `failobj` for what cannot be read."""
        try:
            return super().get_boundary(failobj)
        except (ValueError, LookupError, TypeError):
            return failobj


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
    found: list[tuple[str, str]] = []
    for value in (value for name in names for value in raw_values(message, name)):
        # The library reads comments within comments by recursion.
        with suppress(ValueError, IndexError, TypeError, RecursionError):
            found += getaddresses([value])
    return [(decoded(name), cleaned) for name, address in found if (cleaned := _address(address))]


def message_ids(message: Message, name: str) -> list[str]:
    """The message ids in a header, without their brackets, in order and once each."""
    values = " ".join(raw_values(message, name))
    found = _ID.findall(values) or [one for one in re.split(r"[<>\s,]+", values) if "@" in one.strip("@")]
    return list(dict.fromkeys(clean(one) for one in found if len(one) <= _LONGEST_ID))


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
    value = _one_line(value).lower()
    if not value.startswith('"'):
        value = value.replace(" ", "")
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
