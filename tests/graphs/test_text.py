import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.support.languages import STOP
from graphs.support.text import (
    bullets,
    content,
    cosine,
    coverage,
    language_of,
    negated,
    related,
    sentences,
    stem,
    topic_words,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four…", ["One.", "Two!", "Three?", "Four…"]),
        ("Ask Dr. Smith, e.g. by mail. Then wait.", ["Ask Dr. Smith, e.g. by mail.", "Then wait."]),
        ("Version 2.5 costs £4.50. Good.", ["Version 2.5 costs £4.50.", "Good."]),
        ("Bis zum 24. Dezember gilt das. Danach nicht.", ["Bis zum 24. Dezember gilt das.", "Danach nicht."]),
        ("It weighs 24. That is a lot.", ["It weighs 24.", "That is a lot."]),
        ("The no. of guests is 4.", ["The no. of guests is 4."]),
        ("Give item no. AB-120 here.", ["Give item no. AB-120 here."]),
        ("Photos yes, tripod no. Use door no. 5.", ["Photos yes, tripod no.", "Use door no. 5."]),
        ("# Heading\n\nText below", ["Heading", "Text below"]),
        ("- one thing\n- another thing", ["one thing", "another thing"]),
        ("1. Open it.\n2. Close it.", ["Open it.", "Close it."]),
        ("今日は。元気ですか？", ["今日は。", "元気ですか？"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        (" \n\t ", []),
    ],
)
def test_sentences_are_told_apart(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_line_that_the_page_broke_is_joined_again_and_a_heading_is_not() -> None:
    page = "Returns\nYou can send back whatever you do not like within thirty days of the\nday on which it came."
    assert sentences(page) == [
        "Returns",
        "You can send back whatever you do not like within thirty days of the day on which it came.",
    ]


def test_a_table_row_is_a_sentence_of_its_own() -> None:
    assert sentences("| A | B |\n| --- | --- |\n| Standard | £4.50 |")[-1] == "| Standard | £4.50 |"


@settings(deadline=None)
@given(st.text(max_size=300))
def test_sentences_lose_no_word(text: str) -> None:
    kept = "".join("".join(sentences(text)).split())
    assert all(letter in kept for letter in text if letter.isalpha())


def test_list_items_are_known() -> None:
    assert bullets("We take:\n- cash\n- cards. And more.\nThat is all.") == ["cash", "cards.", "And more."]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How long do I have to return an item?", "en"),
        ("Wie lange kann ich die Ware zurückgeben?", "de"),
        ("¿Cuánto tiempo tengo para devolver el artículo?", "es"),
        ("Combien de temps est-ce que j'ai pour le retour ?", "fr"),
        ("Quanto tempo ho per restituire l'articolo che non mi piace?", "it"),
        ("Quanto tempo eu tenho para devolver uma compra?", "pt"),
        ("Hoe lang heb ik om het artikel terug te sturen?", "nl"),
        ("Сколько времени у меня есть, чтобы вернуть товар?", "ru"),
        ("Скільки часу я маю, щоб повернути товар і чи є доставка?", "uk"),
        ("Ile mam czasu na zwrot i czy to jest bezpłatne?", "pl"),
        ("Bir ürünü geri göndermek için ne kadar zaman var?", "tr"),
        ("xyzzy 123", ""),
    ],
)
def test_the_language_is_told_by_its_small_words(text: str, language: str) -> None:
    assert language_of(text) == language


def test_every_language_with_stop_words_is_stemmed_but_ukrainian() -> None:
    stemmed = {"en": "cats", "de": "katzen", "es": "gatos", "fr": "chattes", "it": "gatti", "pt": "gatos"}
    stemmed |= {"nl": "katten", "ru": "кошками", "pl": "kotami", "tr": "kediler", "uk": "кішками"}
    assert set(stemmed) == set(STOP)
    assert [language for language, word in stemmed.items() if stem(word, language) == word] == ["uk"]


def test_content_is_stems_without_small_words() -> None:
    assert content("How long do I have for returning my items?", "en") == ["return", "item"]
    assert content("We haven't got what's needed", "en") == ["need"]
    assert content("Wie kann ich die Artikel zurückgeben?", "de") == content("Artikel zurückgeben", "de")
    assert content("доставка", "uk") == ["доставка"]


def test_one_meaning_has_one_stem_in_english() -> None:
    assert content("shipping fees", "en") == content("delivery costs", "en")
    assert content("bought", "en") == content("buy", "en")


def test_words_of_scripts_without_spaces_are_pairs() -> None:
    assert words("東京都 ok") == ["東京", "京都", "ok"]


def test_topic_words_keep_their_form() -> None:
    assert topic_words("Are the boxes heavy?", "en") == ["boxes", "heavy"]


def test_coverage_counts_different_words() -> None:
    assert coverage(["a", "a", "b"], ["a"]) == 0.5
    assert coverage([], ["a"]) == 1.0


def test_related_words_begin_alike() -> None:
    assert related("devolv", ["devolu"]) == 0.8
    assert related("devolv", ["devolv"]) == 1.0
    assert related("deliver", ["delicate"]) == 0.0
    assert related("2024a", ["2024b"]) == 0.0


@pytest.mark.parametrize(("text", "turned"), [("You cannot", True), ("It isn't so", True), ("No one knows", False)])
def test_a_turned_statement_is_known(text: str, turned: bool) -> None:
    assert negated(text, "en") is turned


def test_cosine() -> None:
    assert cosine([1, 0], [1, 1]) == pytest.approx(0.7071, abs=1e-4)
    assert cosine([0, 0], [1, 1]) == 0.0
