import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.support.facts import invented

SOURCE = (
    "Standard costs £4.50 and is free over £60. Call +44 20 7946 0100.\n\n18 people are there from 9.30 am to 6 pm. "
    "From 1,500 units, on 20 November 2026, within three days. Netto 1.234,56 € um 10:30. Bestellung bis 24.12.2026."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "It costs 4.5 pounds",
        "It costs £4,50.",
        "Free over 60",
        "Call +44 (20) 7946-0100",
        "From 1500 units",
        "On 20 November 2026",
        "Within 3 days",
        "Within three days.",
        "1234.56 €",
        "At 10:30",
        "Until 24.12.2026",
        "Between 3 and 6, that is 3-6",
        "One of us helps you",
        "No number at all",
        "It is not due to the weather, and once it is over we open",
        "1. Order it\n2. Pay for it",
        "These are the steps: 1. Order it",
        "Write to x4711@shop.example or see https://shop.example/4711",
    ],
)
def test_what_stands_in_the_source_may_be_said(sentence: str) -> None:
    assert invented(sentence, SOURCE) == []


@pytest.mark.parametrize(
    ("sentence", "made_up"),
    [
        ("It costs £4.95", ["4.95"]),
        ("It costs 45", ["45"]),
        ("Within four days", ["four"]),
        ("Within vier Tagen", ["vier"]),
        ("Call +44 20 7946 0101", ["+44 20 7946 0101"]),
        ("Call 7946 0100 22", ["7946 0100 22"]),
        ("On 21.11.2026", ["21.11.2026"]),
        ("From 15.000 units", ["15.000"]),
        ("At 10:45", ["10:45"]),
        ("2-3 days", ["2-3"]),
        ("100 % sure", ["100"]),
    ],
)
def test_what_does_not_is_named(sentence: str, made_up: list[str]) -> None:
    assert invented(sentence, SOURCE) == made_up


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**9), st.text(alphabet="abc ,.", max_size=20))
def test_a_number_is_always_found_where_it_stands(number: int, around: str) -> None:
    assert invented(f"{number}", f"{around} {number} {around}") == []


@settings(deadline=None)
@given(st.integers(min_value=13, max_value=999_999), st.integers(min_value=13, max_value=999_999))
def test_another_number_is_never_taken_for_it(said: int, known: int) -> None:
    assert bool(invented(f"it is {said}", f"it is {known}")) is (said != known)
