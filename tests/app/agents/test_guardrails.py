"""What a tenant sets of an agent's guardrails, and that the graph is told."""

import pytest

from app.agents.service import profile_of
from app.conversations import answering
from app.models import Agent
from app.simulators.telegram import text_update
from graphs.support.records import CONFIGURABLE, Guard

SET = {"promises": {"mode": "shadow", "threshold": None}, "groundedness": {"mode": "act", "threshold": 0.7}}


async def test_an_agent_says_how_its_guardrails_are_set(tenant):
    agent = await tenant.add_agent()
    read = (await tenant.http.get(f"/v1/agents/{agent}")).json()
    assert (read["guardrails"], read["forbidden_phrases"], read["mask_personal_data"]) == ({}, [], False)
    told = {"guardrails": SET, "forbidden_phrases": ["money back"], "mask_personal_data": True, "judge": "openai/wise"}
    changed = await tenant.http.patch(f"/v1/agents/{agent}", json=told)
    assert changed.status_code == 200, changed.text
    assert {name: changed.json()[name] for name in told} == told
    assert (await tenant.http.patch(f"/v1/agents/{agent}", json={"judge": None})).json()["judge"] is None
    # They are set as a whole, like labels.
    one = {"abuse": {"mode": "shadow"}}
    changed = (await tenant.http.patch(f"/v1/agents/{agent}", json={"guardrails": one})).json()
    assert changed["guardrails"] == {"abuse": {"mode": "shadow", "threshold": None}}
    assert changed["forbidden_phrases"] == ["money back"]
    assert (await tenant.http.patch(f"/v1/agents/{agent}", json={"guardrails": {}})).json()["guardrails"] == {}


async def test_the_graph_is_told(tenant):
    agent = await tenant.add_agent(guardrails=SET, forbidden_phrases=["money back"], mask_personal_data=True)
    async with tenant.runtime.vault.session(tenant.id) as session:
        profile = profile_of(await session.get_one(Agent, agent), 1000)
    assert profile.guardrails == {"promises": Guard("shadow"), "groundedness": Guard("act", 0.7)}
    assert profile.forbidden_phrases == ("money back",)
    assert profile.mask_personal_data is True


async def test_the_graph_is_told_who_writes(tenant, run_jobs, monkeypatch):
    connection, names, run = await tenant.connect(await tenant.add_agent()), [], answering.run

    async def noting(context, *arguments):
        names.append(context.customer_name)
        return await run(context, *arguments)

    monkeypatch.setattr(answering, "run", noting)
    written = text_update(5001, "Hello", update_id=1, message_id=1, name="Ada Lovelace")
    assert (await tenant.post(connection, written)).status_code == 200
    await run_jobs()
    assert names == ["Ada Lovelace"]


@pytest.mark.parametrize(
    "guardrails",
    [
        {"canary-4711": {"mode": "act"}},
        {"approved_answer": {"mode": "shadow"}},
        {"abuse": {"mode": "off"}},
        {"abuse": {"mode": "act", "threshold": 1.1}},
        {"abuse": {"modes": "act"}},
        {"abuse": "act"},
    ],
)
async def test_what_cannot_be_set_is_refused(tenant, guardrails):
    response = await tenant.http.post("/v1/agents", json={"name": "Fin", "guardrails": guardrails})
    assert response.status_code == 422
    assert "canary" not in response.text
    [error] = response.json()["errors"]
    assert error["field"].startswith("body.guardrails")
    if "abuse" not in guardrails:
        assert all(name in error["message"] for name in CONFIGURABLE)
