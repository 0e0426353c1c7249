import json
from uuid import uuid4

import pytest


async def test_an_agent_is_made_read_changed_and_deleted(tenant):
    agent = await tenant.add_agent(instructions="Be kind.", allowed_urls=["https://shop.example/help"])
    read = (await tenant.http.get(f"/v1/agents/{agent}")).json()
    assert (read["instructions"], read["allowed_urls"]) == ("Be kind.", ["https://shop.example/help"])
    changed = await tenant.http.patch(f"/v1/agents/{agent}", json={"name": "Fox"})
    assert (changed.json()["name"], changed.json()["instructions"]) == ("Fox", "Be kind.")
    assert [item["id"] for item in (await tenant.http.get("/v1/agents")).json()["agents"]] == [agent]
    assert (await tenant.http.delete(f"/v1/agents/{agent}")).status_code == 204
    assert (await tenant.http.get(f"/v1/agents/{agent}")).status_code == 404


async def test_an_agent_that_answers_on_a_connection_is_kept(tenant):
    agent = await tenant.add_agent()
    await tenant.connect(agent)
    response = await tenant.http.delete(f"/v1/agents/{agent}")
    assert (response.status_code, response.json()["code"]) == (409, "agent_in_use")


async def test_an_agent_knows_only_documents_that_exist(tenant):
    response = await tenant.http.post("/v1/agents", json={"name": "A", "knowledge": {"document_ids": [str(uuid4())]}})
    assert (response.status_code, response.json()["code"]) == (422, "unknown_document")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "a\x00b"},
        {"name": "x" * 201},
        {"name": "A", "allowed_urls": ["javascript:alert(1)"]},
        {"name": "A", "groundedness_threshold": 2},
        {"name": "A", "handoff_message": ""},
    ],
)
async def test_bad_fields_are_named(tenant, fields):
    response = await tenant.http.post("/v1/agents", json=fields)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith("body.")


async def test_a_preview_answers_with_citations_and_reaches_no_customer(tenant, telegram, run_jobs):
    added = await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    agent = await tenant.add_agent()
    answer = await tenant.reply(agent, "How many days do I have to return an item?")
    assert answer["outcome"] == "replied"
    assert "30 days" in answer["reply"]
    assert answer["citations"][0]["document_id"] == added["id"]
    assert "30 days" in answer["citations"][0]["quote"]
    assert answer["model"] == "jobx/extractive"
    assert {verdict["name"] for verdict in answer["verdicts"]} >= {"groundedness"}
    assert answer["usage"]["prompt_tokens"] > 0
    assert answer["timings"]
    assert not telegram.sent


async def test_an_unanswerable_question_is_a_handoff_with_a_reason(tenant, run_jobs):
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    answer = await tenant.reply(await tenant.add_agent(), "Who won the world cup in 1974?")
    assert answer["outcome"] == "handoff"
    assert answer["reason"]
    assert answer["reply"] == "Thank you for your message. A colleague will get back to you here."


async def test_an_agent_answers_from_its_own_documents_only(tenant, run_jobs):
    socks = await tenant.add_text("Socks", "Socks cost 5 pounds a pair.")
    await tenant.add_text("Hats", "Hats cost 19 pounds each.")
    await run_jobs()
    agent = await tenant.add_agent(knowledge={"document_ids": [socks["id"]]})
    assert "5 pounds" in (await tenant.reply(agent, "What do socks cost?"))["reply"]
    hats = await tenant.reply(agent, "What do hats cost?")
    assert "19" not in hats["reply"]
    assert {passage["document_id"] for passage in hats["passages"]} <= {socks["id"]}


async def test_a_preview_can_be_streamed(tenant, run_jobs):
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    agent = await tenant.add_agent()
    async with tenant.http.stream(
        "POST",
        f"/v1/agents/{agent}/reply",
        json={"message": "How many days do I have to return an item?"},
        headers={"Accept": "text/event-stream"},
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.aiter_lines()]
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert events[-1] == "result"
    assert "step" in events
    last = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")][-1]
    assert "30 days" in json.loads(last)["reply"]


async def test_another_tenants_agent_does_not_exist(make_tenant):
    one, two = await make_tenant("One"), await make_tenant("Two")
    agent = await one.add_agent()
    for response in (
        await two.http.get(f"/v1/agents/{agent}"),
        await two.http.patch(f"/v1/agents/{agent}", json={"name": "x"}),
        await two.http.delete(f"/v1/agents/{agent}"),
        await two.http.post(f"/v1/agents/{agent}/reply", json={"message": "hi"}),
        await two.http.post("/v1/connections", json={"channel": "telegram", "agent_id": agent, "token": "x"}),
    ):
        assert (response.status_code, response.json()["detail"]) == (404, "There is no such agent.")


async def test_an_agent_given_empty_knowledge_knows_every_document(tenant):
    agent = await tenant.add_agent()
    response = await tenant.http.patch(f"/v1/agents/{agent}", json={"knowledge": {}})
    assert response.status_code == 200
    assert response.json()["knowledge"] == {"document_ids": [], "source_ids": [], "labels": [], "languages": []}
