import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorstore.weights import ANY, DenseWeights


def test_question_in_the_models_language_weighs_meaning_more() -> None:
    weights = DenseWeights(("en",), own=0.6, foreign=0.1)

    assert weights.of("How long does the delivery of my parcel take?") == pytest.approx(0.6, abs=0.05)
    assert weights.of("Сколько времени занимает доставка моей посылки?") == pytest.approx(0.1, abs=0.05)


def test_model_of_several_languages_knows_each_of_them() -> None:
    weights = DenseWeights(("en", "de"), own=0.6, foreign=0.1)

    assert weights.of("Wie lange dauert die Lieferung meines Pakets nach Hause?") == pytest.approx(0.6, abs=0.05)


def test_model_of_all_languages_has_one_weight() -> None:
    assert DenseWeights((ANY,), own=0.6, foreign=0.1).of("Сколько времени занимает доставка?") == 0.6


def test_language_that_is_all_but_sure_is_sure() -> None:
    assert DenseWeights(("en",), own=0.6, foreign=0.1).of(
        "How long does the delivery of my parcel take?"
    ) == pytest.approx(0.6)


@pytest.mark.parametrize("languages", [("en",), (ANY,)])
def test_long_question_goes_by_its_words(languages: tuple[str, ...]) -> None:
    weights, sentence = (
        DenseWeights(languages, own=0.6, foreign=0.1),
        "I bought a pair of shoes in your shop last week. ",
    )

    assert weights.of(sentence * 20) == pytest.approx(0.6)
    assert weights.of(sentence * 30) == pytest.approx(0.36, abs=0.03)
    assert weights.of(sentence * 60) == pytest.approx(0.1)
    assert DenseWeights(languages, own=0.1, foreign=0.4).of(sentence * 60) == pytest.approx(0.1)


@given(st.text(max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_weight_lies_between_the_two_for_every_text(question: str, own: float, foreign: float) -> None:
    weight = DenseWeights(("en",), own, foreign).of(question)

    assert min(own, foreign) - 1e-9 <= weight <= max(own, foreign) + 1e-9
