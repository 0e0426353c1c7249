from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs.support import guardrails, records
from graphs.support.citations import CitedSentence, cited_sentences
from graphs.support.context import AgentProfile
from graphs.support.grounding import Support, is_courtesy, supports
from graphs.support.records import Citation, Passage
from tests.embedding_cache import cached_embedder
from tests.graphs.shop import DELIVERY, PAYMENT, REFUNDS, RETURNS, STORES

EMBEDDER = cached_embedder()
FIVE = [RETURNS, DELIVERY, REFUNDS, PAYMENT, STORES]


async def supported(draft: str, passages: Sequence[Passage] = FIVE) -> list[Support]:
    return await supports(cited_sentences(draft), passages, EMBEDDER.embed)


async def grounded(draft: str) -> bool:
    return guardrails.groundedness(await supported(draft), AgentProfile("x").groundedness_threshold).passed


@pytest.mark.parametrize(
    "draft",
    [
        "You can return any item within 30 days of delivery [1].",
        "Yes, you have 30 days from delivery to return an item [1].",
        "Shoes can go back too, as long as you only tried them on indoors [1].",
        "Standard delivery is £4.50, and it is free if you spend £60 or more [2].",
        "Express costs £8.95 and arrives the next working day [2].",
        "We pay your refund within five working days [3].",
        "Your dog is welcome in our stores on a lead [5].",
        "We do not take cheques, but you can pay by card [4].",
        "Hello! Refunds are paid within 5 working days [3]. Is there anything else I can help you with?",
        "Standard delivery costs £4.50 [2]. You can pay with gift cards [4].",
    ],
)
async def test_what_the_passages_say_is_grounded(draft: str) -> None:
    assert await grounded(draft)


@pytest.mark.parametrize(
    "draft",
    [
        "You can return any item within 60 days of delivery [1].",
        "You cannot return any item within 30 days of delivery [1].",
        "Refunds are sent to your PayPal account through our partner bank in Dublin [3].",
        "We pay refunds within four working days [3].",
        "Delivery is always free for new customers [2].",
        "A courier brings your order by bicycle, even in the mountains [2].",
        "Returns are always free [1].",
        "Our founder was born in Vienna and likes chocolate [1].",
        "Standard delivery costs £4.50 [4].",
        "Standard delivery costs £4.50 [2]. Call us on +44 20 7946 0999 [2].",
        "We accept cheques [4].",
        "Hello! How can I help you?",
        "Yes, you can.",
    ],
)
async def test_what_they_do_not_say_is_not(draft: str) -> None:
    assert not await grounded(draft)


async def test_the_verdict_names_the_worst_sentence_and_what_is_made_up() -> None:
    verdict = guardrails.groundedness(await supported("Refunds take 5 working days [3]. It costs £9.99 [2]."), 0.5)
    assert (verdict.passed, verdict.score, verdict.action) == (False, 0.0, "redraft")
    assert verdict.evidence == "not in the passages: 9.99 in “It costs £9.99.”"


async def test_an_uncited_sentence_may_rest_on_what_the_others_cite() -> None:
    assert await grounded("Items have to be unworn. You can return any item within 30 days of delivery [1].")
    assert not await grounded("We pay refunds within 5 working days. You can return any item within 30 days [1].")


async def test_the_quote_is_the_source_sentence_word_for_word() -> None:
    found = guardrails.citations(
        await supported("We take 30 days. [1] Delivery is £4.50 [2][3]. £4.50 it is [2]."), FIVE
    )
    assert found == [
        Citation("document-1", "Returns", 1, "Returns > Period", "You can return any item within 30 days of delivery."),
        Citation("document-2", "Delivery", 2, "", "Standard delivery costs £4.50 and is free from £60."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "Thanks for your message.",
        "Happy to help!",
        "Feel free to ask.",
        "Is there anything else?",
        "Yes.",
        "Gern geschehen, haben Sie weitere Fragen?",
        "¿Puedo ayudarle en algo más?",
        "Дякую!",
    ],
)
def test_courtesy_states_nothing(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is free.",
        "We ship worldwide.",
        "Call 5 times.",
        "Delivery tomorrow.",
        "See evil.com",
        "Yes, that is correct.",
        "No, that's not true.",
    ],
)
def test_a_short_claim_is_no_courtesy(text: str) -> None:
    assert not is_courtesy(text)


def cited(*numbers: int) -> list[CitedSentence]:
    return [CitedSentence("A sentence.", numbers)]


def test_citations_resolve() -> None:
    assert guardrails.citations_resolve(cited(1, 5), FIVE).passed
    nothing = guardrails.citations_resolve(cited(), FIVE)
    assert (nothing.passed, nothing.score, nothing.evidence) == (False, 0.0, "no passage is cited")
    missing = guardrails.citations_resolve(cited(1, 6, 0), FIVE)
    assert (missing.passed, missing.score, missing.evidence) == (
        False,
        pytest.approx(1 / 3, abs=1e-3),
        "no passage 0, 6",
    )


def test_only_addresses_of_cited_passages_or_of_the_settings_pass() -> None:
    link = "Go to https://shop.example/track or https://partner.example/x."
    assert guardrails.url_allow_list(link, [DELIVERY], ["https://partner.example"]).passed
    verdict = guardrails.url_allow_list(link, [DELIVERY], [])
    assert (verdict.passed, verdict.score, verdict.evidence) == (False, 0.5, "not allowed: https://partner.example/x")
    assert not guardrails.url_allow_list(link, [RETURNS], ["https://partner.example"]).passed
    assert guardrails.url_allow_list("No link.", [], []).score == 1.0


@settings(deadline=None)
@given(st.text(max_size=50), st.integers(1, 60))
def test_length_is_what_the_channel_takes(reply: str, limit: int) -> None:
    verdict = guardrails.length(reply, limit)
    assert verdict.passed is (len(reply) <= limit)
    assert 0 <= verdict.score <= 1


async def test_all_verdicts_are_given_at_once_and_length_counts_without_markers() -> None:
    draft = "Standard delivery costs £4.50 [2]."
    agent = AgentProfile("x", max_characters=len("Standard delivery costs £4.50."))
    found = guardrails.verdicts(draft, cited_sentences(draft), await supported(draft), FIVE, agent)
    assert [verdict.name for verdict in found] == [
        name for name in records.AFTER_THE_MODEL if name not in ("answerable", "judge")
    ]
    assert all(verdict.passed and verdict.action == "pass" for verdict in found)
