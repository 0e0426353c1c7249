"""What an agent knows: documents by id, source and label, in some languages."""

from uuid import UUID, uuid4

import pytest

from app.models import Agent
from app.models.agents import NOTHING
from tests.app.egress.sites import site
from tests.app.sources.web import Web, add, page

SOCKS = "Socks cost 5 pounds a pair. They are made of wool, and there are ten colours to choose from."
HATS = "Hats cost 19 pounds each. They are made of felt, and there are three sizes to choose from."
SCHALS = "Ein Schal kostet 30 Euro. Die Schals sind aus Wolle, und es gibt sie in vier Farben."
QUESTION = "What do socks and hats cost, and what kostet ein Schal?"


@pytest.fixture
async def shop(tenant, run_jobs):
    """Three documents, of which two have a label."""
    tenant.socks = (await tenant.add_text("Socks", SOCKS, labels=["clothes"]))["id"]
    tenant.hats = (await tenant.add_text("Hats", HATS))["id"]
    tenant.schals = (await tenant.add_text("Schals", SCHALS, labels=["Clothes", "winter"]))["id"]
    await run_jobs()
    return tenant


async def known(shop, agent):
    return {passage["document_id"] for passage in (await shop.reply(agent, QUESTION))["passages"]}


async def teach(shop, agent, **knowledge):
    response = await shop.http.patch(f"/v1/agents/{agent}", json={"knowledge": knowledge})
    assert response.status_code == 200, response.text
    return response.json()["knowledge"]


async def test_ids_and_labels_add_up_and_languages_narrow(shop):
    agent = await shop.add_agent()
    socks, hats, schals = shop.socks, shop.hats, shop.schals
    for knowledge, expected in (
        ({}, {socks, hats, schals}),
        ({"labels": ["clothes"]}, {socks, schals}),
        ({"labels": ["WINTER"], "document_ids": [hats]}, {hats, schals}),
        ({"languages": ["en"]}, {socks, hats}),
        ({"labels": ["clothes"], "languages": ["en", "fr"]}, {socks}),
        ({"document_ids": [hats], "labels": ["clothes"], "languages": ["de"]}, {schals}),
        ({"labels": ["nothing"]}, set()),
        ({"languages": ["xx"]}, set()),
        ({"document_ids": [hats], "languages": ["de"]}, set()),
        ({"document_ids": [hats]}, {hats}),
    ):
        everything = {"document_ids": [], "source_ids": [], "labels": [], "languages": []}
        assert await teach(shop, agent, **knowledge) == everything | knowledge
        assert await known(shop, agent) == expected, knowledge


async def test_a_scope_holds_in_a_customers_turn(shop, telegram, run_jobs):
    agent = await shop.add_agent(knowledge={"labels": ["clothes"]})
    connection = await shop.connect(agent)
    await shop.write(connection, "What do socks cost?")
    await run_jobs()
    assert "5 pounds" in telegram.sent[-1].text
    await shop.write(connection, "What do hats cost?")
    await run_jobs()
    assert "19" not in telegram.sent[-1].text
    await shop.http.patch(f"/v1/documents/{shop.hats}", json={"labels": ["clothes"]})
    await shop.write(connection, "What do hats cost each?", chat_id=5002)
    await run_jobs()
    assert "19 pounds" in telegram.sent[-1].text
    await shop.http.patch(f"/v1/documents/{shop.hats}", json={"labels": []})
    await shop.write(connection, "How much is one of the hats?", chat_id=5003)
    await run_jobs()
    assert "19" not in telegram.sent[-1].text


async def test_a_label_without_documents_is_a_handoff(shop, telegram, run_jobs):
    agent = await shop.add_agent(knowledge={"labels": ["winter"]})
    connection = await shop.connect(agent)
    await shop.http.patch(f"/v1/documents/{shop.schals}", json={"labels": []})
    await shop.write(connection, "What do socks cost?")
    await run_jobs()
    assert telegram.sent[-1].text == "Thank you for your message. A colleague will get back to you here."


async def test_an_agent_whose_only_labelled_document_was_erased_knows_nothing(shop, run_jobs):
    agent = await shop.add_agent(knowledge={"labels": ["winter"], "document_ids": [shop.hats]})
    await shop.http.delete(f"/v1/documents/{shop.schals}")
    assert await known(shop, agent) == {shop.hats}
    await run_jobs()
    await shop.http.delete(f"/v1/documents/{shop.hats}")
    assert await known(shop, agent) == set()
    await run_jobs()
    assert await known(shop, agent) == set()
    assert await known(shop, await shop.add_agent()) == {shop.socks}


@pytest.fixture
async def web(pages):
    """A site with one page."""
    web = Web()
    web.pages = {"/": page("Gloves cost 12 pounds a pair, socks and hats cost more. They are made of leather.")}
    async with site(web.serve) as web.site:
        yield web


async def test_an_agent_whose_only_source_went_knows_nothing(shop, run_jobs, web):
    source = await add(shop, web.url(), kind="page")
    await run_jobs()
    agent = await shop.add_agent(knowledge={"source_ids": [source]})
    more = await shop.add_agent(knowledge={"source_ids": [source], "labels": ["winter"]})
    (mine,) = await known(shop, agent)
    assert await known(shop, more) == {mine, shop.schals}
    await shop.http.delete(f"/v1/sources/{source}")
    assert (await known(shop, agent), await known(shop, more)) == (set(), {shop.schals})
    await run_jobs()
    assert (await known(shop, agent), await known(shop, more)) == (set(), {shop.schals})
    async with shop.runtime.vault.session(shop.id) as session:
        assert (await session.get_one(Agent, UUID(agent))).source_ids == [NOTHING]


async def test_an_agent_whose_source_lost_its_only_document_knows_nothing(shop, run_jobs, web):
    source = await add(shop, web.url(), kind="page", labels=["web"])
    await run_jobs()
    agents = [await shop.add_agent(knowledge=one) for one in ({"source_ids": [source]}, {"labels": ["web"]})]
    (mine,) = await known(shop, agents[0])
    await shop.http.delete(f"/v1/documents/{mine}")
    assert [await known(shop, agent) for agent in agents] == [set(), set()]
    await run_jobs()
    assert [await known(shop, agent) for agent in agents] == [set(), set()]


async def test_what_does_not_exist_is_refused(shop, make_tenant, run_jobs, web):
    other = await make_tenant("Other")
    source = await add(shop, web.url(), kind="page")
    going = await add(shop, web.url("/gone/"), kind="page")
    await shop.http.delete(f"/v1/sources/{going}")
    for asked, knowledge, code in (
        (shop, {"source_ids": [str(uuid4())]}, "unknown_source"),
        (shop, {"source_ids": [source, going]}, "unknown_source"),
        (other, {"source_ids": [source]}, "unknown_source"),
        (other, {"document_ids": [shop.hats]}, "unknown_document"),
        (shop, {"labels": ["x" * 51]}, "invalid_request"),
        (shop, {"languages": ["English"]}, "invalid_request"),
        # Misspelt, it would be no scope at all, and the agent would know everything.
        (shop, {"label": ["winter"]}, "invalid_request"),
    ):
        response = await asked.http.post("/v1/agents", json={"name": "A", "knowledge": knowledge})
        assert (response.status_code, response.json()["code"]) == (422, code)
    # The same word is nobody else's label.
    agent = await other.add_agent(knowledge={"labels": ["clothes"]})
    assert await known(other, agent) == set()
