"""A WhatsApp number connected by a token of the operator's own Meta app."""

import httpx
import pytest
from pydantic import SecretStr

from app.settings import MetaSettings, WhatsAppSettings
from app.simulators.meta import META_APP
from app.simulators.whatsapp import WhatsAppSimulator


@pytest.fixture
async def sim(runtime):
    """The simulator behind the runtime's WhatsApp client."""
    simulator = WhatsAppSimulator(META_APP)
    own = {
        "meta": MetaSettings(app_id=META_APP.id, app_secret=SecretStr(META_APP.secret)),
        "whatsapp": WhatsAppSettings(api_base="http://graph.test/v25.0"),
    }
    runtime.settings = runtime.settings.model_copy(update=own)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        runtime.provider_http = {**runtime.provider_http, "whatsapp": client}
        yield simulator


async def connect(tenant, sim, **changes):
    form = {
        "channel": "whatsapp",
        "agent_id": await tenant.add_agent(),
        "token": sim.token(),
        "waba_id": sim.waba_id,
        "phone_number_id": sim.phone_number_id,
    }
    return await tenant.http.post("/v1/connections", json=form | changes)


async def test_a_token_connects_its_number(tenant, sim):
    made = await connect(tenant, sim)
    assert (made.status_code, made.json()["account_id"]) == (201, sim.phone_number_id)
    assert made.json()["state"] == "active"
    assert sim.token() not in made.text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"phone_number_id": "1"}, "unknown_number"),
        ({"pin": "12"}, "invalid_request"),
        ({"token": ""}, "invalid_request"),
    ],
    ids=str,
)
async def test_a_form_that_is_wrong_says_why(tenant, sim, changes, code):
    answer = await connect(tenant, sim, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_token_that_is_refused_is_not_shown(tenant, sim):
    answer = await connect(tenant, sim, token="EAA-a-wrong-token")
    assert answer.status_code == 422
    assert "EAA-a-wrong-token" not in answer.text
    assert (await tenant.http.get("/v1/connections")).json()["connections"] == []
