"""The probability that something relevant was found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorstore.embeddings import Embedder
from vectorstore.relevance import Evidence, relevance
from vectorstore.weights import DenseWeights

RETURNS = "Returns\nYou can return any item within 30 days of delivery. Items have to be unworn and carry their labels."
PARKING = "Stores\nThe car park behind our store in Leeds is free for two hours on weekdays."
GERMAN = (
    "Rückgabe\nSie können Ware innerhalb von 30 Tagen nach der Lieferung zurückgeben, wenn das Etikett noch daran ist."
)
JAPANESE = "返品\n商品は到着後30日以内であれば返品できます。未使用でタグが付いている必要があります。"


async def probability(embedder: Embedder, question: str, *texts: str) -> float:
    asked, vectors = await embedder.embed_query(question), await embedder.embed(texts)
    cosines = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in vectors]
    found = [Evidence(text, cosine) for text, cosine in zip(texts, cosines, strict=True)]
    return relevance(question, DenseWeights().known(question), found)


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("How many days do I have to return an item?", RETURNS, PARKING),
        ("Wie viele Tage habe ich, um Ware zurückzugeben?", GERMAN, PARKING),
        ("返品は何日以内ですか？", JAPANESE, PARKING),
    ],
)
async def test_a_passage_that_answers_is_likelier_than_one_about_something_else(
    embedder: Embedder, question: str, right: str, wrong: str
) -> None:
    assert await probability(embedder, question, right) > await probability(embedder, question, wrong)
    assert await probability(embedder, question, wrong, right) > 0.3


async def test_what_nothing_speaks_for_is_hardly_likely(embedder: Embedder) -> None:
    question = "Which enzyme splits lactose in the small intestine of mammals?"
    assert await probability(embedder, question, RETURNS, PARKING) < 0.05


def test_without_passages_nothing_is_relevant() -> None:
    assert relevance("How long?", 1.0, []) == 0.0


TEXTS = st.text(max_size=80)


@given(
    question=TEXTS,
    known=st.floats(0, 1),
    found=st.lists(st.builds(Evidence, TEXTS, st.floats(-1, 1)), max_size=8),
    more=st.floats(0, 0.3),
)
def test_it_is_a_probability_and_grows_with_closeness(
    question: str, known: float, found: list[Evidence], more: float
) -> None:
    before = relevance(question, known, found)
    assert 0 <= before <= 1
    closer = [Evidence(one.text, one.cosine + more) for one in found]
    assert relevance(question, known, closer) >= before - 1e-9
