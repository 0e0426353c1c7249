import random
from collections.abc import Sequence

import pytest

from graphs.support import grounding
from graphs.support.citations import cited_sentences
from graphs.support.grounding import supports
from graphs.support.records import Passage
from graphs.support.text import sentences
from tests.embedding_cache import cached_embedder
from tests.graphs.shop import DELIVERY, PAYMENT, REFUNDS, RETURNS, STORES

EMBEDDER = cached_embedder()
FIVE = [RETURNS, DELIVERY, REFUNDS, PAYMENT, STORES]
TEXT = "refund return item store days free delivery label not gold member card pay shoe within from"
WORDS = TEXT.split()


class Counting:
    """An embedder that knows what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return [self.vector(text) for text in texts]

    @staticmethod
    def vector(text: str) -> list[float]:
        return [random.Random(f"{text} {place}").uniform(-0.2, 1) for place in range(6)]


async def test_what_is_not_embedded_could_not_have_decided() -> None:
    chance = random.Random(7)
    spared = 0
    for _ in range(300):
        passages = [_passage(chance, number) for number in range(3)]
        draft = " ".join(f"{_sentence(chance)[:-1]} [{chance.randint(1, 3)}]." for _ in range(chance.randint(1, 3)))
        drafted = cited_sentences(draft)
        embed = Counting()
        every = {text: embed.vector(text) for passage in passages for text in sentences(passage.text)}
        every |= {sentence.text: embed.vector(sentence.text) for sentence in drafted}
        whole = [grounding._support(claim, every) for claim in grounding._claims(drafted, passages)]
        assert await supports(drafted, passages, embed) == whole
        assert len(set(embed.asked)) == len(embed.asked)
        spared += len(every) - len(embed.asked)
    assert spared > 1000


@pytest.mark.parametrize(
    ("draft", "most"),
    [
        ("You have 30 days from delivery to return an item [1].", 3),
        ("Hello! Is there anything else I can help you with?", 0),
    ],
)
async def test_a_near_quotation_costs_few_vectors(draft: str, most: int) -> None:
    asked: list[str] = []

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        asked.extend(texts)
        return await EMBEDDER.embed(texts)

    await supports(cited_sentences(draft), FIVE, embed)
    assert len(asked) <= most


async def test_a_sentence_of_the_passage_is_certain_and_what_nothing_is_cited_for_is_nothing() -> None:
    quote = await supports(
        cited_sentences("You can return any item within 30 days of delivery [1]."), FIVE, EMBEDDER.embed
    )
    other = await supports(cited_sentences("Returns take 30 days [9]."), FIVE, EMBEDDER.embed)
    assert [support.score for support in quote] == [1.0]
    assert [support.score for support in other] == [0.0]


async def test_what_one_passage_denies_is_not_saved_by_another_one_beside_it() -> None:
    heated, towels, also = (
        Passage(str(number), "d", "Pool", text, score=0.8)
        for number, text in enumerate(
            [
                "The pool is heated all year.",
                "Towels for the pool are at the desk.",
                "The pool is not heated all year.",
            ]
        )
    )
    drafted = cited_sentences("The pool is not heated all year [1][2].")
    [denied] = await supports(drafted, [heated, towels], EMBEDDER.embed)
    [said] = await supports(drafted, [heated, also], EMBEDDER.embed)
    assert denied.score == pytest.approx(0.2)
    assert said.score == 1.0


def _passage(chance: random.Random, number: int) -> Passage:
    text = "\n".join(_sentence(chance) for _ in range(chance.randint(1, 9)))
    return Passage(str(number), "d", "Title", text, "Heading", None, 0.5)


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(3, 8))).capitalize() + "."
