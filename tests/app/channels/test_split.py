"""Parts of a long answer: within the limit, cut where a reader pauses, and complete."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.channels.split import split_text, text_length

# A busy machine is no failure.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
UNITS = ("characters", "utf16", "bytes")
# User-perceived characters that must not be torn: combining marks, skin tone, family, flags, keycap, tag flag.
CLUSTERS = [
    "a",
    "я",
    "é",
    "e\u0301",
    "हि",
    "👍🏽",
    "👨‍👩‍👧‍👦",
    "🇺🇦",
    "1️⃣",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "❤️",
]
LONGEST = 32

texts = st.text(
    alphabet=st.one_of(st.sampled_from("ab .!?\n\r\t。я😀\u0301\u200d\u00a0\ud800\U0001f1fa"), st.characters()),
    max_size=300,
)


def wordless(text):
    return "".join(text.split())


@CALM
@given(texts, st.integers(4, 60), st.sampled_from(UNITS))
def test_parts_fit_and_lose_only_white_space(text, limit, unit):
    parts = split_text(text, limit, unit)
    assert wordless("".join(parts)) == wordless(text)
    for part in parts:
        assert 0 < text_length(part, unit) <= limit
        assert part == part.strip()


@CALM
@given(
    st.lists(st.sampled_from([*CLUSTERS, " ", "\n\n", ". "]), max_size=80),
    st.integers(LONGEST, 70),
    st.sampled_from(UNITS),
)
def test_what_a_reader_sees_as_one_character_stays_whole(pieces, limit, unit):
    text = "".join(pieces)
    borders, at = {0}, 0
    for piece in pieces:
        at += len(piece)
        borders.add(at)
    start = 0
    for part in split_text(text, limit, unit):
        start = text.index(part, start)
        end = start + len(part)
        assert start in borders
        assert end in borders or text[end].isspace()
        start = end


@CALM
@given(texts, st.sampled_from(UNITS))
def test_length_is_the_codecs(text, unit):
    sizes = {
        "characters": len(text),
        "utf16": len(text.encode("utf-16-le", "surrogatepass")) // 2,
        "bytes": len(text.encode("utf-8", "surrogatepass")),
    }
    assert text_length(text, unit) == sizes[unit]


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("", 10, []),
        (" \n\t ", 10, []),
        ("short", 10, ["short"]),
        ("exactly ten", 11, ["exactly ten"]),
        ("one two. three four.\n\nfive six seven", 30, ["one two. three four.", "five six seven"]),
        ("one two three. four five six seven", 24, ["one two three.", "four five six seven"]),
        ("one two three four five", 12, ["one two", "three four", "five"]),
        ("one two three", 7, ["one two", "three"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
        # A sentence end near the start would leave an almost empty part: the word end is taken.
        ("No. This one goes on and on", 20, ["No. This one goes on", "and on"]),
        ("营业时间很长。周末休息。", 8, ["营业时间很长。", "周末休息。"]),
        ('He said "yes." Then he left again', 20, ['He said "yes."', "Then he left again"]),
        ("version 3.1415926535 it is", 15, ["version", "3.1415926535 it", "is"]),
    ],
)
def test_cuts_where_a_reader_pauses(text, limit, parts):
    assert split_text(text, limit, "characters") == parts


def test_the_unit_counts():
    text = "😀" * 5
    assert [len(part) for part in split_text(text, 4, "characters")] == [4, 1]
    assert [len(part) for part in split_text(text, 4, "utf16")] == [2, 2, 1]
    assert [len(part) for part in split_text(text, 4, "bytes")] == [1] * 5
    assert [len(part) for part in split_text("я" * 1000, 1000, "bytes")] == [500, 500]


def test_flags_are_cut_between_flags():
    assert split_text("🇺🇦🇩🇪🇫🇷", 3, "characters") == ["🇺🇦", "🇩🇪", "🇫🇷"]


def test_a_character_longer_than_a_part_is_cut_all_the_same():
    parts = split_text("e" + "\u0301" * 20, 8, "characters")
    assert [len(part) for part in parts] == [8, 8, 5]


@pytest.mark.parametrize(("limit", "unit"), [(0, "characters"), (1, "utf16"), (3, "bytes")])
def test_a_limit_too_small_for_one_character_is_an_error(limit, unit):
    with pytest.raises(ValueError, match="limit must be at least"):
        split_text("x", limit, unit)
