"""What a model of natural language inference changes in groundedness; a script stands in for the model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.runtime import Runtime

from graphs.llm import LanguageModel
from graphs.models import EXTRACTIVE, ModelConfig
from graphs.support import guardrails, nodes
from graphs.support.citations import CitedSentence, cited_sentences
from graphs.support.context import SupportContext
from graphs.support.entailment import entailed
from graphs.support.grounding import Support, supports
from graphs.support.records import Passage
from graphs.support.state import SupportState
from tests.embedding_cache import cached_embedder
from tests.graphs.parts import Channel, context
from tests.graphs.shop import DELIVERY, REFUNDS, RETURNS, passage

EMBEDDER = cached_embedder()
THREE = [RETURNS, DELIVERY, REFUNDS]
CHEQUES = passage(1, "Payment", "Customers owe the shop a fee. The shop never lends money to customers.")


class Scripted:
    """Says the probability of the first part that occurs in a premise, else `otherwise`; `asked` is each call."""

    def __init__(self, otherwise: float = 0.0, by_premise: Mapping[str, float] | None = None) -> None:
        self.otherwise, self.by_premise = otherwise, by_premise or {}
        self.asked: list[list[tuple[str, str]]] = []

    async def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.asked.append(list(pairs))
        return [self._told(premise) for premise, _ in pairs]

    def _told(self, premise: str) -> float:
        return next((told for part, told in self.by_premise.items() if part in premise), self.otherwise)


async def scores(draft: str, passages: Sequence[Passage], script: Scripted) -> tuple[float, float]:
    """The score of groundedness without and with the model."""
    found = await supports(cited_sentences(draft), passages, EMBEDDER.embed)
    with_model = await entailed(found, passages, script)
    before, after = (guardrails.groundedness(one, 0.5).score for one in (found, with_model))
    return before, after


async def test_a_paraphrase_that_words_and_vectors_miss_passes_where_it_is_entailed() -> None:
    draft = "Garments must never have been put on [1]."
    before, after = await scores(draft, THREE, Scripted(0.95))
    assert before < 0.5 <= after
    assert after == pytest.approx((before + 2 * 0.95) / 3, abs=0.001)


async def test_a_copy_with_another_meaning_fails_where_it_is_not() -> None:
    before, after = await scores("The shop owes customers a fee [1].", [CHEQUES], Scripted(0.03))
    assert after < 0.5 <= before


async def test_a_fragment_of_a_sentence_is_no_quote_of_it() -> None:
    told = passage(1, "Offers", "It is not true that every order is free of charge.")
    script = Scripted(0.02)
    await scores("Every order is free of charge [1].", [told], script)
    assert script.asked[0] == [("It is not true that every order is free of charge.", "Every order is free of charge.")]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
async def test_entailment_raises_and_its_lack_lowers(score: float, likely: float, more: float) -> None:
    found = [Support(CitedSentence("It is free.", (1,)), score, {1: (score, "We charge nothing.")}, [])]
    told = [passage(1, "Fees", "We charge nothing.")]
    low, high = sorted((likely, more))
    [lower], [higher] = [await entailed(found, told, Scripted(one)) for one in (low, high)]
    assert 0 <= lower.score <= higher.score <= 1 + 1e-9
    assert min(score, high) - 1e-9 <= higher.score <= max(score, high) + 1e-9
    assert (low >= 0.75) <= (lower.score >= 0.5 - 1e-9)
    assert (high < 0.25) <= (higher.score < 0.5)


@pytest.mark.parametrize(
    "draft",
    [
        "You can return any item within 30 days of delivery [1].",
        "you can return any item within 30 days of delivery! [1]",
        "You have 30 days to send it back [1]. It costs £9.99 [2].",
        "Hello! Happy to help.",
        f"Items {'really ' * 150}have to be unworn [1].",
    ],
)
async def test_nothing_is_asked_that_decides_nothing(draft: str) -> None:
    script = Scripted(0.0)
    before, after = await scores(draft, THREE, script)
    assert script.asked == []
    assert before == after


async def test_a_further_premise_is_asked_about_only_while_none_entails() -> None:
    draft = "Shoes may go back [1]. Your money comes back the same way within a week [3]."
    entails = Scripted(0.1, {"Shoes can be sent back": 0.9})
    await scores(draft, THREE, entails)
    first, second = entails.asked
    assert first[0] == ("Shoes can be sent back if they were only tried on indoors.", "Shoes may go back.")
    assert [claim for _, claim in second] == ["Your money comes back the same way within a week."]
    premise = second[0][0]
    assert premise.startswith("Refunds\n")
    assert all(part in premise for part in ("within 5 working days", "The money goes back", "never charged"))


async def test_what_two_passages_say_together_is_entailed_by_both() -> None:
    draft = "Refunds take 5 working days, and items have to be unworn [1][3]."
    entails = Scripted()
    await scores(draft, THREE, entails)
    assert len(entails.asked) == 3
    [[(together, _)]] = entails.asked[2:]
    assert "We pay refunds within 5 working days." in together
    assert "Items have to be unworn and carry their labels." in together


async def test_what_is_around_a_source_has_no_question_and_is_left_out_if_it_is_long() -> None:
    source = "Dogs may come in on a lead."
    for after in ("They like it.", f"They {'really ' * 200}like it."):
        entails = Scripted()
        told = passage(1, "Dogs", f"Is everything free for dogs? {source} {after}")
        await scores("A dog on its lead is welcome [1].", [told], entails)
        premises = [premise for call in entails.asked for premise, _ in call]
        assert premises == [source, f"Dogs\n{source}\n{after}"][: 2 if len(after) < 1000 else 1]


@pytest.mark.parametrize(("likely", "passes"), [(0.95, True), (0.02, False)])
async def test_the_check_of_a_draft_asks_the_model_of_its_context(likely: float, passes: bool) -> None:
    given = replace(context(LanguageModel([ModelConfig(EXTRACTIVE)]), Channel()), entails=Scripted(likely))
    state = {
        "message": "How long?",
        "question": "How long?",
        "draft": "You have 30 days from delivery to return an item [1].",
        "passages": THREE,
    }
    update = await nodes.check(cast(SupportState, state), Runtime(context=cast(SupportContext, given)))
    [verdict] = [verdict for verdict in update["verdicts"] if verdict.name == "groundedness"]
    assert verdict.passed is passes
