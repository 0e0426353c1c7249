"""Hours of a week, holidays and changes of the clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hours import DAYS, is_open, next_opening, opening_in_words

KYIV = ZoneInfo("Europe/Kyiv")
WEEK = {day: [["09:00", "13:00"], ["14:00", "18:00"]] for day in DAYS[:5]}
SHOP = {"time_zone": "Europe/Kyiv", "week": WEEK, "holidays": ["2026-12-25"]}


def kyiv(*told):
    return datetime(2026, *told, tzinfo=KYIV)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        (kyiv(11, 24, 9, 0), None),
        (kyiv(11, 24, 12, 59), None),
        (kyiv(11, 24, 13, 0), kyiv(11, 24, 14, 0)),
        (kyiv(11, 24, 8, 59), kyiv(11, 24, 9, 0)),
        (kyiv(11, 24, 18, 0), kyiv(11, 25, 9, 0)),
        # From Friday's evening to Monday.
        (kyiv(11, 27, 20, 0), kyiv(11, 30, 9, 0)),
        # A Friday that is a holiday.
        (kyiv(12, 24, 18, 30), kyiv(12, 28, 9, 0)),
        (kyiv(12, 25, 10, 0), kyiv(12, 28, 9, 0)),
    ],
    ids=str,
)
def test_a_week(at, opens):
    assert is_open(SHOP, at) == is_open(SHOP, at.astimezone(UTC)) == (opens is None)
    assert next_opening(SHOP, at) == (opens or at)


def test_around_midnight_and_without_hours():
    week = {"fri": [["20:00", "24:00"]], "sat": [["00:00", "03:00"]]}
    bar = {"time_zone": "Europe/Kyiv", "week": week, "holidays": []}
    assert is_open(bar, kyiv(11, 27, 23, 59))
    assert is_open(bar, kyiv(11, 28, 0, 0))
    assert not is_open(bar, kyiv(11, 28, 3, 0))
    assert is_open(None, kyiv(11, 28, 3, 0))
    closed = {**bar, "week": {"mon": []}}
    assert next_opening(closed, kyiv(11, 28, 3, 0)) is None


def test_a_night_that_is_an_hour_longer():
    # On 25 October the clock shows three to four twice.
    night = {"time_zone": "Europe/Kyiv", "week": {"sun": [["02:00", "05:00"]]}, "holidays": []}
    begins = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
    open_for = sum(is_open(night, begins + timedelta(minutes=minute)) for minute in range(12 * 60))
    assert open_for == 4 * 60


def test_words():
    opening = kyiv(11, 30, 9, 0)
    assert opening_in_words(opening, "en") == "Monday, 30 November, 09:00"
    assert opening_in_words(opening, "de") == "Montag, 30 November, 09:00"
    assert opening_in_words(opening, "uk") == "понеділок, 30 листопада, 09:00"
    assert opening_in_words(opening, "xx") == opening_in_words(opening, None) == "Monday, 30 November, 09:00"
    assert opening_in_words(None, "en") == ""


clocks = st.integers(0, 24 * 60).map(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}")
spans = st.tuples(clocks, clocks).filter(lambda one: one[0] < one[1]).map(list)
weeks = st.dictionaries(st.sampled_from(DAYS), st.lists(spans, min_size=1, max_size=2), min_size=1)
zones = st.sampled_from(("UTC", "Europe/Kyiv", "America/St_Johns", "Pacific/Chatham", "Asia/Kathmandu"))
holidays = st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat), max_size=5)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(zones, weeks, holidays, moments)
def test_the_next_opening_is_the_first_open_moment(zone, week, days, at):
    hours = {"time_zone": zone, "week": week, "holidays": days}
    opening = next_opening(hours, at)
    assert opening is not None
    assert opening >= at
    assert (opening == at) == is_open(hours, at)
    # Where clocks are put forward, hours that begin within the gap begin after it, and may be over by then.
    between = [at + (opening - at) * step / 20 for step in range(20)]
    assert opening == at or not any(is_open(hours, moment) for moment in between)
