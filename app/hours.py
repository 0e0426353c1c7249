"""When people of a business are there: hours of each weekday and holidays, in a time zone (IANA)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

CLOSED_MESSAGE = (
    "Thank you for your message. We are closed right now. A colleague will get back to you here. We open: {opens}."
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = "24:00"
# Beyond that nobody plans; a business that is closed for so long has no next opening.
_MOST_DAYS = 366

Hours = Mapping[str, Any]


def is_open(hours: Hours | None, at: datetime) -> bool:
    """Whether a moment is within the hours; without any it always is. `at` is aware."""
    if hours is None:
        return True
    return any(start <= at < end for start, end in _of_day(hours, at.astimezone(_zone(hours)).date()))


def next_opening(hours: Hours, at: datetime) -> datetime | None:
    """When it opens next, in the time zone of the hours; `at` itself while it is open. None if not within a year."""
    local = at.astimezone(_zone(hours))
    for days in range(_MOST_DAYS + 1):
        for start, end in _of_day(hours, local.date() + timedelta(days=days)):
            if end > at:
                return max(start, local, key=lambda moment: moment.astimezone(UTC))
    return None


def opening_in_words(opening: datetime | None, language: str | None) -> str:
    """An opening as people write it in a language (ISO 639); English for one that is not known. "" for none."""
    if opening is None:
        return ""
    try:
        locale = Locale.parse(language or "en")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    return f"{format_date(opening, 'EEEE, d MMMM', locale)}, {format_time(opening, 'HH:mm', locale=locale)}"


def _of_day(hours: Hours, day: date) -> Sequence[tuple[datetime, datetime]]:
    if day.isoformat() in hours["holidays"]:
        return ()
    zone = _zone(hours)
    return sorted((_moment(day, start, zone), _moment(day, end, zone)) for start, end in _spans(hours, day))


def _spans(hours: Hours, day: date) -> Sequence[Sequence[str]]:
    spans: Sequence[Sequence[str]] = hours["week"].get(DAYS[day.weekday()], ())
    return spans


def _moment(day: date, told: str, zone: ZoneInfo) -> datetime:
    if told == MIDNIGHT:
        day, told = day + timedelta(days=1), "00:00"
    # By the clock on the wall; compared in UTC, so that a day on which clocks are changed is as long as it is.
    return datetime.combine(day, time.fromisoformat(told), zone).astimezone(UTC).astimezone(zone)


def _zone(hours: Hours) -> ZoneInfo:
    return ZoneInfo(hours["time_zone"])
