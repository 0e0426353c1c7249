import asyncio

import pytest

from app.channels.base import ProviderUnavailable
from app.channels.providers.telegram import Telegram
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
    assert (await tenant.http.delete(f"/v1/connections/{connection}")).status_code == 202
    assert (await tenant.http.get(f"/v1/connections/{connection}")).json()["state"] == "disconnected"
    await run_jobs()
    assert not telegram.webhooks
    assert (await tenant.http.delete(f"/v1/connections/{connection}")).status_code == 202
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


async def test_a_bot_that_is_connected_again_keeps_its_webhook_whenever_the_release_comes(tenant, telegram, run_jobs):
    agent = await tenant.add_agent()
    old = await tenant.connect(agent)
    assert (await tenant.http.delete(f"/v1/connections/{old}")).status_code == 202
    new = await tenant.connect(agent)
    await run_jobs()
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(new)
    assert (await tenant.write(new, "Hello")).status_code == 200
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_a_bot_connected_while_its_release_runs_gets_its_webhook_back(tenant, telegram, run_jobs, monkeypatch):
    agent = await tenant.add_agent()
    old = await tenant.connect(agent)
    assert (await tenant.http.delete(f"/v1/connections/{old}")).status_code == 202
    disconnect, made = Telegram.disconnect, []

    async def connecting_meanwhile(self, client, credentials, _webhook_url):
        made.append(await tenant.connect(agent))
        # As if it had looked at the webhook just before.
        await disconnect(self, client, credentials)

    monkeypatch.setattr(Telegram, "disconnect", connecting_meanwhile)
    await run_jobs()
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(made[0])


async def test_a_disconnect_during_a_reconnect_wins(tenant, monkeypatch):
    agent = await tenant.add_agent()
    connection = await tenant.connect(agent)
    subscribe = Telegram.subscribe

    async def disconnected_meanwhile(self, *args):
        await subscribe(self, *args)
        assert (await tenant.http.delete(f"/v1/connections/{connection}")).status_code == 202

    monkeypatch.setattr(Telegram, "subscribe", disconnected_meanwhile)
    body = {"channel": "telegram", "agent_id": agent, "token": TOKEN}
    assert (await tenant.http.post("/v1/connections", json=body)).status_code == 409
    assert (await tenant.http.get(f"/v1/connections/{connection}")).json()["state"] == "disconnected"


async def test_a_reconnect_that_fails_leaves_the_connection_working(tenant, telegram, run_jobs):
    agent = await tenant.add_agent()
    connection = await tenant.connect(agent)
    telegram.fail("setWebhook", refused(429, "Too Many Requests", retry_after=3))
    body = {"channel": "telegram", "agent_id": agent, "token": TOKEN}
    assert (await tenant.http.post("/v1/connections", json=body)).status_code == 503
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(connection)
    await tenant.write(connection, "Hello")
    await run_jobs()
    assert len(telegram.sent) == 1


async def test_a_first_connect_that_fails_leaves_nothing(tenant, telegram):
    agent = await tenant.add_agent()
    telegram.fail("setWebhook", refused(400, "Bad Request: bad webhook"))
    body = {"channel": "telegram", "agent_id": agent, "token": TOKEN}
    assert (await tenant.http.post("/v1/connections", json=body)).status_code == 422
    assert (await tenant.http.get("/v1/connections")).json()["connections"] == []
    assert await tenant.connect(agent)


async def test_of_two_connects_at_once_the_one_that_fails_leaves_the_other_alone(tenant, telegram, monkeypatch):
    agent = await tenant.add_agent()
    subscribe, twin = Telegram.subscribe, []

    async def overtaken(self, *args):
        if not twin:
            twin.append("")
            twin[0] = await tenant.connect(agent)
            raise ProviderUnavailable
        await subscribe(self, *args)

    monkeypatch.setattr(Telegram, "subscribe", overtaken)
    body = {"channel": "telegram", "agent_id": agent, "token": TOKEN}
    assert (await tenant.http.post("/v1/connections", json=body)).status_code == 503
    assert (await tenant.http.get(f"/v1/connections/{twin[0]}")).json()["state"] == "active"


async def test_a_bot_that_another_tenant_connected_keeps_its_webhook(make_tenant, telegram, run_jobs):
    one, two = await make_tenant("One"), await make_tenant("Two")
    old = await one.connect(await one.add_agent())
    new = await two.connect(await two.add_agent())
    assert (await one.http.delete(f"/v1/connections/{old}")).status_code == 202
    await run_jobs()
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(new)


async def test_a_webhook_that_could_not_be_given_back_at_once_is_given_back_later(
    tenant, telegram, run_jobs, monkeypatch
):
    agent = await tenant.add_agent()
    old = await tenant.connect(agent)
    assert (await tenant.http.delete(f"/v1/connections/{old}")).status_code == 202
    new = await tenant.connect(agent)
    telegram.fail("setWebhook", refused(429, "Too Many Requests", retry_after=1))
    telegram.webhooks.clear()
    await run_jobs()
    for _ in range(6):
        await asyncio.sleep(0.6)
        await run_jobs()
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(new)


async def test_a_webhook_is_not_taken_while_nobody_says_whose_it_is(make_tenant, telegram, run_jobs):
    one, two = await make_tenant("One"), await make_tenant("Two")
    old = await one.connect(await one.add_agent())
    new = await two.connect(await two.add_agent())
    assert (await one.http.delete(f"/v1/connections/{old}")).status_code == 202
    telegram.fail("getWebhookInfo", refused(500, "down"))
    await run_jobs()
    for _ in range(6):
        await asyncio.sleep(0.6)
        await run_jobs()
    (webhook,) = telegram.webhooks.values()
    assert webhook["url"].endswith(new)
