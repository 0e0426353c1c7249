"""What a question finds, and what of it the model is shown."""

import pytest

from tests.tenant import Tenant
from tests.vectorstore.tiny_model import write_tiny_reranker
from vectorstore.model_files import EmbeddingError
from vectorstore.rerank import CrossEncoderReranker

RULES = [
    f"Rule {number} of the house concerns the {number * 7}th matter and nothing else at all." for number in range(60)
]


async def test_the_model_is_shown_what_stands_around_a_passage_and_nothing_twice(tenant: Tenant, run_jobs) -> None:
    await tenant.add_text("House rules", " ".join(RULES))
    await tenant.add_text("Lamps", "The blue lamp is on the ground floor.")
    await run_jobs()
    agent = await tenant.add_agent()

    (found, *_) = await tenant.search("Which rule concerns the 210th matter?", limit=1)
    shown = (await tenant.reply(agent, "Which rule concerns the 210th matter?"))["passages"]

    rules = [passage["text"] for passage in shown if passage["title"] == "House rules"]
    assert len(rules[0]) > 2 * len(found["text"])
    assert rules[0].index(RULES[30]) > 0
    together = "\n".join(rules)
    assert all(together.count(rule) <= 1 for rule in RULES)
    # All of the document was found, chunk by chunk: it is one text again.
    assert rules == [" ".join(RULES)]


async def test_a_passage_ends_where_its_section_ends(tenant: Tenant, run_jobs) -> None:
    text = "# Shipping\n\n" + " ".join(RULES[:12]) + "\n\n# Returns\n\n" + " ".join(RULES[30:42])
    await tenant.add_file("rules.md", text.encode(), "text/markdown")
    await run_jobs()
    agent = await tenant.add_agent()
    shown = (await tenant.reply(agent, "Which rule concerns the 210th matter?"))["passages"]
    for passage in shown:
        assert (RULES[30] in passage["text"]) == (passage["heading"] == "Returns")
        assert (RULES[0] in passage["text"]) == (passage["heading"] == "Shipping")


@pytest.fixture
def reranker(tmp_path):
    made = CrossEncoderReranker(write_tiny_reranker(tmp_path / "tiny"), tmp_path / "exported")
    yield made
    made.close()


async def test_a_reranker_puts_what_was_found_in_its_order(tenant: Tenant, run_jobs, reranker) -> None:
    for number in range(6):
        await tenant.add_text(f"Rule {number}", RULES[number])
    await run_jobs()
    question = "Which rule concerns the 14th matter?"
    before = await tenant.search(question)
    tenant.runtime.reranker = reranker
    found = await tenant.search(question)

    texts = [f"{one['title']}\n{one['text']}" for one in found]
    assert [one["score"] for one in found] == pytest.approx(await reranker.scores(question, texts))
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert found != before


async def test_an_approved_answer_is_found_whatever_a_reranker_thinks_of_it(tenant: Tenant, run_jobs, reranker) -> None:
    pairs = [{"question": "May I bring my dog?", "answer": "Yes, on a lead."}]
    await tenant.http.post("/v1/documents", json={"title": "Answers", "pairs": pairs})
    for number in range(20):
        await tenant.add_text(f"Rule {number}", f"{RULES[number]} Dogs stay outside in case {number}.")
    await run_jobs()
    agent = await tenant.add_agent()
    tenant.runtime.reranker = reranker
    assert (await tenant.reply(agent, "may i bring my dog"))["reply"] == "Yes, on a lead."


async def test_a_reranker_that_fails_leaves_the_order(tenant: Tenant, run_jobs, monkeypatch, reranker) -> None:
    for number in range(3):
        await tenant.add_text(f"Rule {number}", RULES[number])
    await run_jobs()
    before = await tenant.search("Which rule concerns the 14th matter?")

    async def fail(_question, _texts):
        raise EmbeddingError("gone")

    monkeypatch.setattr(reranker, "scores", fail)
    tenant.runtime.reranker = reranker
    assert await tenant.search("Which rule concerns the 14th matter?") == before


async def test_a_search_says_how_likely_it_found_an_answer(tenant: Tenant, run_jobs) -> None:
    await tenant.add_text("House rules", " ".join(RULES))
    await run_jobs()

    async def relevance(query: str) -> float:
        found = (await tenant.http.post("/v1/search", json={"query": query})).json()
        assert found["passages"]
        return found["relevance"]

    assert await relevance("Which rule concerns the 210th matter?") > 0.5
    assert await relevance("Do penguins in Antarctica have knees?") < 0.1
    empty = await tenant.http.post("/v1/search", json={"query": "house", "labels": ["nothing has this"]})
    assert empty.json() == {"passages": [], "relevance": 0.0}


async def test_what_is_hardly_relevant_goes_to_a_person_by_the_agent_s_threshold(tenant: Tenant, run_jobs) -> None:
    await tenant.add_text("House rules", " ".join(RULES))
    await run_jobs()
    question = "Which rule concerns the 210th matter?"
    strict, lenient = await tenant.add_agent(relevance_threshold=1), await tenant.add_agent(relevance_threshold=0)

    told = await tenant.reply(strict, question)
    assert (told["outcome"], told["reason"], told["model"]) == ("handoff", "no_passages", None)
    (verdict,) = [verdict for verdict in told["verdicts"] if verdict["name"] == "relevance"]
    assert (verdict["passed"], verdict["action"]) == (False, "handoff")
    assert 0.5 < verdict["score"] < 1
    told = await tenant.reply(lenient, question)
    assert told["outcome"] == "replied"
    assert {**verdict, "passed": True, "action": "pass"} in told["verdicts"]
