"""A provider that was told the previous secret is believed until it has been told the new one."""

import json
import os
from uuid import UUID

import pytest

from app.channels.providers.telegram import Telegram
from app.crypto import MasterKey
from app.keys.service import Vault
from app.rotate import put_under_current
from app.simulators.telegram import refused, text_update
from tests.app.keys.conftest import QUESTION
from tests.conftest import MASTER_KEY
from tests.tenant import secrets

HEADER = "X-Telegram-Bot-Api-Secret-Token"
_TOLD = "select encode(webhook_master_id, 'hex') from keys.connection_keys"


@pytest.fixture
async def connection(tenant):
    return await tenant.connect(await tenant.add_agent())


@pytest.fixture
def rotated(runtime, db, new_master):
    """From now on the process has the new key, and the one before."""

    def rotate():
        runtime.vault = Vault(db, new_master)

    return rotate


async def _post(tenant, connection, secret, number=1):
    headers = {HEADER: secret, "Content-Type": "application/json"}
    body = json.dumps(text_update(7, "Hello", update_id=number, message_id=number))
    return (await tenant.http.post(f"/webhooks/telegram/{connection}", content=body, headers=headers)).status_code


async def test_both_secrets_are_believed_and_no_third(tenant, connection, rotated, runtime):
    rotated()
    current, previous = runtime.vault.master.webhook_secrets(UUID(connection))
    assert previous == MASTER_KEY.webhook_secret(UUID(connection))
    assert current != previous
    assert [await _post(tenant, connection, secret, at) for at, secret in enumerate((current, previous))] == [200, 200]
    third = MasterKey(os.urandom(32)).webhook_secret(UUID(connection))
    for wrong in (third, "", current[:-1], current + previous):
        assert await _post(tenant, connection, wrong) == 401
    runtime.vault = Vault(runtime.db, MasterKey(runtime.vault.master.key))
    assert await _post(tenant, connection, previous) == 401


async def test_every_secret_is_tried_whatever_the_others_say(tenant, connection, monkeypatch):
    tried = []
    verify = Telegram.verify

    def watched(self, headers, body, secret, now):
        tried.append(secret)
        return verify(self, headers, body, secret, now)

    monkeypatch.setattr(Telegram, "verify", watched)
    tenant.http._transport.app.state.webhook_secret = secrets("one", "two", "three")
    for secret, status in (("one", 200), ("three", 200), ("four", 401)):
        tried.clear()
        assert await _post(tenant, connection, secret, len(secret)) == status
        assert tried == ["one", "two", "three"]


async def test_no_secret_at_all_opens_nothing(tenant, connection):
    tenant.http._transport.app.state.webhook_secret = secrets()
    assert await _post(tenant, connection, "") == 401


async def test_a_provider_that_is_down_is_told_later(tenant, connection, rotated, runtime, telegram, run_jobs, stored):
    rotated()
    said = []
    telegram.fail("setWebhook", refused(500, "down"))
    await put_under_current(runtime.vault, runtime.queue, said.append)
    await run_jobs(once=True)
    assert stored.rows(_TOLD) == [(MASTER_KEY.id.hex(),)]
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "1 webhooks have the secret of an older master key" in said[-1]
    await run_jobs()
    assert stored.rows(_TOLD) == [(runtime.vault.master.id.hex(),)]
    (webhook,) = telegram.webhooks.values()
    assert await _post(tenant, connection, webhook["secret_token"]) == 200


async def test_credentials_that_are_dead_are_left_and_counted(tenant, connection, rotated, runtime, telegram, run_jobs):
    rotated()
    telegram.fail("setWebhook", refused(401, "Unauthorized"))
    said = []
    await put_under_current(runtime.vault, runtime.queue, said.append)
    await run_jobs()
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "1 webhooks" in said[-1]
    # Connected again it is told, whoever asks.
    assert await tenant.connect((await tenant.http.get("/v1/agents")).json()["agents"][0]["id"]) == connection
    said.clear()
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "not needed any more" in said[-1]


async def test_a_disconnect_during_the_renewal_wins(
    tenant, connection, rotated, runtime, telegram, run_jobs, monkeypatch
):
    rotated()
    subscribe = Telegram.subscribe

    async def disconnected_before(self, *args):
        monkeypatch.setattr(Telegram, "subscribe", subscribe)
        assert (await tenant.http.delete(f"/v1/connections/{connection}")).status_code == 204
        await Telegram.disconnect(self, args[0], args[1])
        await subscribe(self, *args)

    monkeypatch.setattr(Telegram, "subscribe", disconnected_before)
    await put_under_current(runtime.vault, runtime.queue, lambda _: None)
    await run_jobs()
    assert not telegram.webhooks


async def test_a_disconnected_and_a_simulated_connection_are_left_alone(
    tenant, connection, rotated, runtime, telegram, run_jobs, stored
):
    stored.rows("update tenant.connections set simulated = true")
    rotated()
    said = []
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "not needed any more" in said[-1]
    stored.rows("update tenant.connections set simulated = false, state = 'disconnected'")
    await put_under_current(runtime.vault, runtime.queue, said.append)
    assert "not needed any more" in said[-1]


async def test_a_secret_told_by_an_older_release_is_renewed_once(tenant, connection, runtime, run_jobs, stored):
    stored.rows("update keys.connection_keys set webhook_master_id = null")
    await put_under_current(runtime.vault, runtime.queue, lambda _: None)
    await run_jobs()
    assert stored.rows(_TOLD) == [(MASTER_KEY.id.hex(),)]
    assert (await tenant.write(connection, QUESTION)).status_code == 200
