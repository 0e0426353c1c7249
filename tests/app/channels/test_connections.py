import pytest

from app.simulators.telegram import refused
from tests.tenant import TOKEN

OTHER = "7000000002:" + "other-simulated-" * 3


async def test_connecting_points_the_bots_webhook_at_us(tenant, telegram):
    connection = await tenant.connect(await tenant.add_agent())
    read = (await tenant.http.get(f"/v1/connections/{connection}")).json()
    assert (read["state"], read["account_id"], read["simulated"]) == ("active", "7000000001", False)
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(f"/webhooks/telegram/{connection}")


async def test_a_bad_token_is_refused_in_words_and_never_shown(tenant):
    agent = await tenant.add_agent()
    for token in ("nonsense", "123:short"):
        response = await tenant.http.post(
            "/v1/connections", json={"channel": "telegram", "agent_id": agent, "token": token}
        )
        assert (response.status_code, response.json()["code"]) == (422, "bad_token")
        assert token not in response.text
    assert (await tenant.http.get("/v1/connections")).json()["connections"] == []


async def test_telegram_being_down_is_said(tenant, telegram):
    agent = await tenant.add_agent()
    telegram.fail("getMe", refused(500, "down"))
    response = await tenant.http.post(
        "/v1/connections", json={"channel": "telegram", "agent_id": agent, "token": TOKEN}
    )
    assert (response.status_code, response.json()["code"]) == (503, "provider_unavailable")


async def test_connecting_the_same_bot_again_keeps_its_connection(tenant, telegram):
    first_agent, second_agent = await tenant.add_agent(), await tenant.add_agent()
    first = await tenant.connect(first_agent)
    again = await tenant.connect(second_agent)
    assert again == first
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(first)
    listed = (await tenant.http.get("/v1/connections")).json()["connections"]
    assert [item["agent_id"] for item in listed] == [second_agent]


async def test_two_bots_are_two_connections(tenant):
    agent = await tenant.add_agent()
    assert await tenant.connect(agent) != await tenant.connect(agent, OTHER)


async def test_disconnecting_takes_the_webhook_back_and_forgets_the_token(tenant, telegram, run_jobs):
    agent = await tenant.add_agent()
    connection = await tenant.connect(agent)
    assert (await tenant.http.delete(f"/v1/connections/{connection}")).status_code == 204
    assert (await tenant.http.get(f"/v1/connections/{connection}")).json()["state"] == "disconnected"
    await run_jobs()
    assert not telegram.webhooks
    assert (await tenant.http.delete(f"/v1/connections/{connection}")).status_code == 204
    assert await tenant.connect(agent) != connection


async def test_a_token_never_reaches_a_log(tenant, telegram, run_jobs, caplog):
    caplog.set_level("DEBUG")
    agent = await tenant.add_agent()
    connection = await tenant.connect(agent)
    telegram.fail("sendMessage", refused(500, "down"))
    await tenant.write(connection, "A canary question that nobody may log")
    await run_jobs()
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records if record.name != "httpx")
    assert "Starting job" in logged
    for secret in (TOKEN, tenant.key, "canary question", "5001"):
        assert secret not in logged


@pytest.mark.parametrize("channel", ["tiktok", "pigeon", ""])
async def test_an_unknown_channel_is_refused(tenant, channel):
    agent = await tenant.add_agent()
    response = await tenant.http.post("/v1/connections", json={"channel": channel, "agent_id": agent, "token": TOKEN})
    assert response.status_code == 422
