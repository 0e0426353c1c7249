"""What a sentence says beyond its sources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.support.novelty import novelty

SOURCE = "You can return any item within 30 days of delivery. A new label costs £2."
KNOWN = ["return", "refund", "walrus", "pay", "always", "item", "Dublin", "free", "delivery", "quickly"]
WORDS = st.lists(st.sampled_from(KNOWN), max_size=8)


@pytest.mark.parametrize(
    "text",
    [
        "Any item can be returned within 30 days of delivery.",
        "Thank you for your message! Delivery: 30 days.",
        "Not at all.",
        "",
    ],
)
def test_what_the_source_says_and_courtesy_are_nothing_new(text: str) -> None:
    assert novelty(text, SOURCE, "en") == 0


def test_the_rarer_a_word_the_more_it_says() -> None:
    common, rare, unheard = (
        novelty(f"You can return any {word}.", SOURCE, "en") for word in ("thing", "walrus", "qwzx")
    )
    assert 0 < common < rare <= unheard == 4


def test_a_word_that_is_spelled_out_says_something() -> None:
    assert novelty("Halls A, B and C.", SOURCE, "en") < 4 <= novelty("Say p e l i c a n.", SOURCE, "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("You need a card, a photo, a form and a phone. I mean it, a child, too.", "en"),
        ("O check-in é das 15h às 23h e a piscina e o ginásio estão abertos e a sauna é à tarde.", "pt"),
        ("W domu i w ogrodzie, z psem i z kotem, a u nas w hotelu.", "pl"),
    ],
)
def test_a_text_says_nothing_beyond_itself(text: str, language: str) -> None:
    assert novelty(text, text, language) == 0


def test_a_form_of_a_word_that_is_there_says_little() -> None:
    form = novelty("Zurückgegebenes", "Die Zurückgabe ist kostenlos.", "de")
    assert 0 <= form < novelty("Zauberwürfel", "Die Zurückgabe ist kostenlos.", "de")


@pytest.mark.parametrize(
    ("promise", "source", "language"),
    [
        ("Delivery is always paid.", "Delivery is paid.", "en"),
        ("Der Versand ist kostenlos.", "Der Versand kostet 3 Euro.", "de"),
        ("El envío es gratis.", "El envío cuesta 3 euros.", "es"),
        ("La livraison est gratuite, toujours.", "La livraison est gratuite.", "fr"),
        ("Qualsiasi articolo.", "Un articolo.", "it"),
        ("Доставка бесплатно.", "Доставка 300 рублей.", "ru"),
    ],
)
def test_a_word_that_goes_for_every_case_is_a_promise(promise: str, source: str, language: str) -> None:
    assert novelty(promise, source, language) == 4
    assert novelty(promise, f"{source} {promise}", language) == 0


def test_words_of_a_language_without_frequencies_all_count_alike() -> None:
    assert novelty("返品できます", "送料は無料です", "xx") > novelty("送料は無料です", "送料は無料です", "xx") == 0


@given(WORDS, WORDS, WORDS)
def test_more_words_never_say_less_and_more_sources_never_leave_more(
    said: list[str], more: list[str], source: list[str]
) -> None:
    text, longer = " ".join(said), " ".join([*said, *more])
    given_, fuller = " ".join(source), " ".join([*source, *more])
    assert 0 <= novelty(text, given_, "en") <= novelty(longer, given_, "en") + 1e-9
    assert novelty(text, fuller, "en") <= novelty(text, given_, "en") + 1e-9
