"""Reading JSON of a provider that may hold anything: a value of the wrong kind is none."""

import json
from collections.abc import Mapping
from typing import Any

from app.text import clean

Json = Mapping[str, Any]

_LARGEST_ID = 2**63
_LAST_MS = 2**37 * 1000  # the year 6325; a clock that is wrong beyond that is no time at all


def read_object(body: bytes) -> Json:
    """The JSON object in a body, empty if it is none."""
    try:
        return as_object(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def as_object(value: Any) -> Json:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_id(value: Any) -> str | None:
    """A number or string as an opaque id."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_ID:
        return str(value)
    return as_text(value)


def as_text(value: Any) -> str | None:
    """A text that can be stored, None if it is empty."""
    return (clean(value) or None) if isinstance(value, str) else None


def as_ms(value: Any) -> int | None:
    """Unix milliseconds, as a number or as digits; 0 stands for "not known"."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len(str(_LAST_MS)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LAST_MS:
        return None
    return value


def seconds_as_ms(value: Any) -> int | None:
    """Unix seconds, as a number or as digits, in milliseconds."""
    seconds = as_ms(value)
    return None if seconds is None else as_ms(seconds * 1000)
