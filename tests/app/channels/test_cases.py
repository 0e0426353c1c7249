"""The shared channel cases through the real HTTP endpoint: verdict, status, and what was stored."""

from uuid import UUID

import pytest
from sqlalchemy import select

from app.channels.registry import CHANNELS, provider_for
from app.models import InboundEvent
from tests.app.channels.cases import FOLDER, Outcome, body_of, differences, load, plain

CASES = [case for channel in CHANNELS for case in load(f"{channel}-*.json")]


@pytest.fixture
async def send(tenant, app):
    """Post a case to a connection of its account; returns the status and the events in the bodies that were stored."""

    async def post(case):
        bot = case["secrets"]["bot_id"]
        connection = await tenant.connect(await tenant.add_agent(), f"{bot}:{'simulated-token-' * 3}")
        app.state.webhook_secret = lambda _channel, _connection: (case["secrets"]["secret_token"],)
        headers = {**case["request"]["headers"]}
        url = f"/webhooks/{case['channel']}/{connection}"
        response = await tenant.http.post(url, content=body_of(case), headers=headers)
        await tenant.http.post(url, content=body_of(case), headers=headers)
        async with tenant.runtime.vault.session(tenant.id) as session:
            query = select(InboundEvent).where(InboundEvent.connection_id == UUID(connection))
            bodies = [event.body for event in await session.scalars(query)]
        provider = provider_for(case["channel"], tenant.runtime.settings)
        return response.status_code, [event for body in bodies for event in provider.parse(body, bot)]

    return post


@pytest.mark.skipif(not CASES, reason=f"no channel cases in {FOLDER}; set CHANNEL_CASES")
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_case(send, case):
    status, events = await send(case)
    stored = Outcome(events=[plain(event) for event in events], http_status=status, signature_valid=status == 200)
    assert differences(case, stored) == []
