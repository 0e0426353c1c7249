"""What a question finds, and what of it the model is shown."""

from tests.tenant import Tenant

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
