import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.clean import clean, clean_context, clean_title


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


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (' "About\x00 shoes\u202e\nand boots." ', "About shoes and boots."),
        ("**Ab 5 €**", "Ab 5 €"),
        ("靴について。", "靴について。"),
        ("x" * 201, "x" * 200),
        (f"{'word ' * 39}word end", f"{'word ' * 39}word"),
        ("... 12 ...", None),
        ("", None),
    ],
)
def test_a_line_about_a_passage(raw: str, expected: str | None) -> None:
    assert clean_context(raw) == expected


@given(st.text())
def test_a_line_about_a_passage_is_one_short_line(text: str) -> None:
    line = clean_context(text)
    assert line is None or (len(line) <= 200 and line.splitlines() == [line] and clean(line) == line)
