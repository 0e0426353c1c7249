import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.support.citations import CitedSentence, cited_sentences, without_markers


def test_a_marker_belongs_to_its_sentence_on_either_side_of_the_stop() -> None:
    draft = "Hello! Thirty days [1]. By post. [1][2] Five days [2, 3]! See https://a.example/b [1]\n- An item [2]"
    assert cited_sentences(draft) == [
        CitedSentence("Hello!", ()),
        CitedSentence("Thirty days.", (1,)),
        CitedSentence("By post.", (1, 2)),
        CitedSentence("Five days!", (2, 3)),
        CitedSentence("See https://a.example/b", (1,)),
        CitedSentence("An item", (2,)),
    ]


@pytest.mark.parametrize(
    ("draft", "shown"),
    [
        ("Thirty days [1]. Yes [2]!", "Thirty days. Yes!"),
        ("Thirty days. [1] Yes.", "Thirty days. Yes."),
        ("Thirty[1]days", "Thirty days"),
        ("One [1]\nTwo [2][3]\n\n\n\nThree", "One\nTwo\n\nThree"),
        ("Deep [[1]2] end", "Deep end"),
        ("Not [a], [1a] nor [] nor [1234]", "Not [a], [1a] nor [] nor [1234]"),
        ("Bonjour !", "Bonjour !"),
        ("[1]", ""),
    ],
)
def test_markers_go_without_a_trace(draft: str, shown: str) -> None:
    assert without_markers(draft) == shown


marked = st.lists(
    st.sampled_from(["word", "[1]", "[2, 3]", "[", "]", "1", ".", " ", "\n", "é", "[12][1]"]), max_size=30
)


@settings(deadline=None)
@given(marked.map("".join))
def test_no_marker_is_ever_left(draft: str) -> None:
    assert not re.search(r"\[\s*\d{1,3}(\s*[,;]\s*\d{1,3})*\s*\]", without_markers(draft))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["alpha", "beta", "gamma"]), min_size=1, max_size=8))
def test_only_markers_are_taken(told: list[str]) -> None:
    draft = " ".join(f"{word} [{number}]" for number, word in enumerate(told, 1))
    assert without_markers(draft) == " ".join(told)


@settings(deadline=None)
@given(marked.map("".join))
def test_a_text_without_markers_is_changed_no_more(draft: str) -> None:
    once = without_markers(draft)
    assert without_markers(once) == once
