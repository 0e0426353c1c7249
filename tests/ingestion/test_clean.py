import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.clean import clean, clean_title


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\x00b\x07c\u0085d", "abc\nd"),
        ("soft\u00adhyphen zero\u200bwidth \u202eright\u202c", "softhyphen zerowidth right"),
        ("hidden\U000e0049\U000e0067 tags\ufe01", "hidden tags"),
        ("e\u0301", "é"),
        ("a \t\u00a0 b  \n\n\n\n  c", "a b\n\n  c"),
        ("la\u200dtin", "latin"),
        ("می\u200cخواهم 👩\u200d👧 क्\u200dष", "می\u200cخواهم 👩\u200d👧 क्\u200dष"),
    ],
)
def test_clean(raw: str, expected: str) -> None:
    assert clean(raw) == expected


@given(st.text())
def test_clean_text_is_stable_and_can_be_stored(text: str) -> None:
    once = clean(text)
    once.encode()
    assert "\x00" not in once
    assert unicodedata.is_normalized("NFC", once)
    assert clean(once) == once


def test_titles_are_one_line_and_short() -> None:
    assert clean_title(" A\nlong\x00 title ") == "A long title"
    assert clean_title("\u200b ") is None
    assert len(clean_title("word " * 200) or "") <= 300
