"""A TikTok account from its consent to its disconnect, through the service and the simulator."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update

from app.channels import gate
from app.channels.care import care_for_due
from app.channels.registry import provider_for
from app.models import Connection, Conversation, InboundEvent, Message, now
from app.settings import TikTokSettings
from app.simulators.faults import cut
from app.simulators.tiktok import Business, Sent, TikTokSimulator, refused

APP, SECRET = "aw123", "tt-test-app-secret-8d1c"
RETURNS = "You can return any item within 30 days of delivery. Returning by post costs 3 pounds per parcel."
QUESTION = "How many days do I have to return an item?"


@pytest.fixture
async def sim(runtime):
    """The simulator behind the runtime's TikTok client."""
    simulator = TikTokSimulator(APP, SECRET, Business("-000m4JH_b1=", "hunghero32", "Hung's Shop"))
    own = TikTokSettings(
        app_id=APP,
        app_secret=SecretStr(SECRET),
        api_base="http://tiktok.test/open_api/v1.3",
        auth_base="http://tiktok.test",
    )
    runtime.settings = runtime.settings.model_copy(update={"tiktok": own})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        runtime.provider_http = {**runtime.provider_http, "tiktok": client}
        yield simulator


@pytest.fixture
async def shop(tenant, sim, run_jobs):
    """A tenant that knows of returns, with an agent."""
    await tenant.add_text("Returns", RETURNS)
    await run_jobs()
    tenant.agent = await tenant.add_agent()
    tenant.numbers = iter(range(1, 1000))
    return tenant


async def start(shop, **more):
    response = await shop.http.post("/v1/consents", json={"channel": "tiktok", "agent_id": shop.agent, **more})
    assert response.status_code == 201, response.text
    return response.json()


async def agree(shop, consent):
    """What the owner's browser does."""
    page = await shop.runtime.provider_http["tiktok"].get(consent["url"])
    back = urlsplit(page.headers["location"])
    return await shop.http.get(f"{back.path}?{back.query}")


@pytest.fixture
async def connection(shop):
    consent = await start(shop)
    assert (await agree(shop, consent)).status_code == 200
    [made] = (await shop.http.get(f"/v1/consents/{consent['id']}")).json()["connection_ids"]
    return made


async def write(shop, sim, text, customer="+ZMM6I2k==", conversation="u5Jhp=="):
    headers, body = sim.message(customer, conversation, text, f"m{next(shop.numbers)}==")
    return (await shop.http.post("/webhooks/tiktok", content=body, headers=headers)).status_code


async def test_a_consent_connects_and_is_good_once(shop, sim):
    consent = await start(shop)
    assert (consent["state"], consent["connection_ids"]) == ("waiting", [])
    page = await agree(shop, consent)
    assert (page.status_code, "is connected" in page.text) == (200, True)
    done = (await shop.http.get(f"/v1/consents/{consent['id']}")).json()
    assert (done["state"], done["accounts"], done["error"]) == ("connected", [], None)
    read = (await shop.http.get(f"/v1/connections/{done['connection_ids'][0]}")).json()
    assert (read["channel"], read["state"], read["display_name"]) == ("tiktok", "active", "Hung's Shop")
    assert read["retention"] == "immediate"
    assert sim.webhook_url == "http://127.0.0.1:8000/webhooks/tiktok"
    again = await agree(shop, consent)
    assert (again.status_code, "used already" in again.text) == (422, True)
    for state in ("", "nonsense", "A" * 86, "ä"):
        refused_page = await shop.http.get("/oauth/tiktok/callback", params={"code": "x", "state": state})
        assert refused_page.status_code == 422


async def test_a_consent_that_fails_says_why(shop, sim):
    sim.business.scope = "user.info.basic"
    consent = await start(shop)
    page = await agree(shop, consent)
    assert page.status_code == 422
    done = (await shop.http.get(f"/v1/consents/{consent['id']}")).json()
    assert (done["state"], done["error_code"]) == ("failed", "missing_scopes")
    assert "message.list.send" in done["error"]
    denied = await start(shop)
    state = dict(part.split("=") for part in urlsplit(denied["url"]).query.split("&"))["state"]
    await shop.http.get("/oauth/tiktok/callback", params={"error": "access_denied", "state": state})
    assert (await shop.http.get(f"/v1/consents/{denied['id']}")).json()["error_code"] == "consent_denied"
    assert (await shop.http.get("/v1/connections")).json()["connections"] == []


async def test_another_tenant_cannot_connect_the_same_account(shop, connection, make_tenant, sim):
    other = await make_tenant("Other")
    other.agent = await other.add_agent()
    consent = await start(other)
    await agree(other, consent)
    done = (await other.http.get(f"/v1/consents/{consent['id']}")).json()
    assert (done["state"], done["error_code"]) == ("failed", "account_taken")
    assert (await other.http.get("/v1/connections")).json()["connections"] == []


async def test_a_conversation_of_five_turns(shop, connection, sim, run_jobs):
    for number in range(1, 6):
        assert await write(shop, sim, QUESTION) == 200
        await run_jobs()
        assert len(sim.sent) == number
        assert "30 days" in sim.sent[-1].text
        headers, body = sim.echo(sim.sent[-1], "+ZMM6I2k==")
        for _ in range(2):
            assert (await shop.http.post("/webhooks/tiktok", content=body, headers=headers)).status_code == 200
        await run_jobs()
    messages = await shop.messages()
    assert [message["author"] for message in messages] == ["customer", "agent"] * 5
    read = {"read": {"last_read_timestamp": int(now().timestamp() * 1000) + 1000}}
    about = {"conversation_id": "u5Jhp==", "from_user": {"id": "+ZMM6I2k=="}}
    headers, body = sim.webhook("im_mark_read_msg", about | read)
    await shop.http.post("/webhooks/tiktok", content=body, headers=headers)
    await run_jobs()
    assert {message["status"] for message in await shop.messages() if message["direction"] == "out"} == {"read"}


async def test_what_is_nobodys_or_forged_is_not_stored(shop, connection, sim):
    async def count():
        async with shop.runtime.vault.session(shop.id) as session:
            return len(list(await session.scalars(select(InboundEvent))))

    headers, body = sim.message("c", "t", "Hello", "m1")
    signed = headers["Tiktok-Signature"]
    wrong = headers | {"Tiktok-Signature": signed[:-1] + ("1" if signed.endswith("0") else "0")}
    assert (await shop.http.post("/webhooks/tiktok", content=body, headers=wrong)).status_code == 401
    sim.business.id = "somebody-else"
    headers, body = sim.message("c", "t", "Hello", "m2")
    assert (await shop.http.post("/webhooks/tiktok", content=body, headers=headers)).status_code == 200
    assert await count() == 0
    assert (await shop.http.post(f"/webhooks/tiktok/{connection}", content=body, headers=headers)).status_code == 404
    assert (await shop.http.get("/webhooks/tiktok", params={"hub.mode": "subscribe"})).status_code == 403


async def test_of_what_comes_with_a_message_nothing_is_kept(shop, connection, sim, run_jobs):
    about = {"timestamp": 1789814498000, "conversation_id": "u5Jhp==", "from": "Ann", "to": "shop"}
    people = {"from_user": {"id": "+ZMM6I2k=="}, "to_user": {"id": sim.business.id}}
    image = {"message_id": "m-image", "type": "image", "image": {"media_id": "7"}}
    headers, body = sim.webhook("im_receive_msg", about | people | image)
    assert (await shop.http.post("/webhooks/tiktok", content=body, headers=headers)).status_code == 200
    await run_jobs()
    message = (await shop.messages())[0]
    assert (message["kind"], message["attachments"]) == ("media", [])


async def test_a_person_in_the_app_pauses_the_agent(shop, connection, sim, run_jobs):
    await write(shop, sim, QUESTION)
    await run_jobs()
    theirs = Sent(sim.business.id, "u5Jhp==", "TEXT", "I take over", "x1==", now().timestamp())
    headers, body = sim.echo(theirs, "+ZMM6I2k==", "APP")
    await shop.http.post("/webhooks/tiktok", content=body, headers=headers)
    await run_jobs()
    await write(shop, sim, QUESTION)
    await run_jobs()
    assert len(sim.sent) == 1
    assert [message["author"] for message in await shop.messages()] == ["customer", "agent", "person", "customer"]


async def test_a_send_in_doubt_is_settled_by_its_echo(shop, connection, sim, run_jobs):
    sim.fail("business/message/send", cut(acts=True))
    await write(shop, sim, QUESTION)
    await run_jobs()
    assert (await shop.messages())[-1]["status"] == "unknown"
    # TikTok marks it as the app's, and nothing else tells whose it is.
    headers, body = sim.echo(sim.sent[-1], "+ZMM6I2k==")
    await shop.http.post("/webhooks/tiktok", content=body, headers=headers)
    await run_jobs()
    messages = await shop.messages()
    assert [(message["author"], message["status"]) for message in messages][-1] == ("agent", "sent")
    assert len(sim.sent) == 1


async def test_the_window_closes_after_two_days_and_after_nine_messages(shop, connection, sim, run_jobs, monkeypatch):
    await write(shop, sim, QUESTION)
    await run_jobs()
    async with shop.runtime.vault.session(shop.id) as session:
        asked = (await session.scalars(select(Message).where(Message.direction == "in"))).one()
        said = (await session.scalars(select(Message).where(Message.direction == "out"))).one()
        for number in range(8):
            values = {"dedup_hash": bytes([number] * 32), "provider_message_hash": None}
            copied = Message(
                connection_id=said.connection_id,
                conversation_id=said.conversation_id,
                direction="out",
                author="person",
                status="sent",
                text="More",
                sent_at=now(),
                **values,
            )
            session.add(copied)
        connection_row = await session.get_one(Connection, asked.connection_id)
        conversation = await session.get_one(Conversation, said.conversation_id)
        limits = provider_for("tiktok", shop.runtime.settings).capabilities
        assert await gate.hindrance_to_send(session, connection_row, conversation, limits) == "window_closed"
        await session.flush()
        statement = update(Message).where(Message.dedup_hash == bytes([0] * 32)).values(status="failed")
        await session.execute(statement)
        assert await gate.hindrance_to_send(session, connection_row, conversation, limits) is None
        assert await gate.hindrance_to_send(session, connection_row, conversation, limits, parts=2) == "window_closed"
        later = now() + timedelta(hours=47, minutes=54)
        monkeypatch.setattr(gate, "now", lambda: later)
        assert await gate.hindrance_to_send(session, connection_row, conversation, limits) is None
        monkeypatch.setattr(gate, "now", lambda: later + timedelta(minutes=2))
        assert await gate.hindrance_to_send(session, connection_row, conversation, limits) == "window_closed"


async def test_tokens_are_refreshed_ahead_of_their_end(shop, connection, sim, runtime, run_jobs):
    before = set(sim.access_tokens)
    await care_for_due(runtime)
    await run_jobs()
    assert sim.access_tokens == before, "nothing was due"
    await _due(shop, refresh_at=now())
    # Two processes look at the same time, and a third finds the first's job.
    for _ in range(3):
        await care_for_due(runtime)
    await run_jobs()
    assert sim.access_tokens != before
    assert len([call for call in sim.calls if call.path == "tt_user/oauth2/refresh_token"]) == 1
    assert await write(shop, sim, QUESTION) == 200
    await run_jobs()
    assert len(sim.sent) == 1


async def test_a_token_that_died_early_is_refreshed_once_and_the_reply_goes(shop, connection, sim, run_jobs, moved):
    sim.access_tokens.clear()
    await write(shop, sim, QUESTION)
    await run_jobs()
    await moved()
    assert len(sim.sent) == 1
    assert (await shop.http.get(f"/v1/connections/{connection}")).json()["state"] == "active"


async def test_an_owner_who_has_to_let_us_in_again_loses_nothing(shop, connection, sim, run_jobs, moved):
    sim.access_tokens.clear()
    sim.refresh_tokens.clear()
    await write(shop, sim, QUESTION)
    await run_jobs()
    await moved()
    assert len(sim.sent) == 0
    assert (await shop.http.get(f"/v1/connections/{connection}")).json()["state"] == "needs_reauthorisation"
    waiting = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    assert len(waiting) == 1
    consent = await start(shop)
    await agree(shop, consent)
    assert (await shop.http.get(f"/v1/consents/{consent['id']}")).json()["connection_ids"] == [connection]
    await write(shop, sim, QUESTION, customer="another", conversation="another")
    await run_jobs()
    assert len(sim.sent) == 1


async def test_once_a_day_events_are_asked_for_again(shop, connection, sim, runtime, run_jobs):
    sim.webhook_url = None
    await _due(shop, checked_at=now() - timedelta(days=1, minutes=1))
    await care_for_due(runtime)
    await run_jobs()
    assert sim.webhook_url is not None
    sim.webhook_url = None
    await care_for_due(runtime)
    await run_jobs()
    assert sim.webhook_url is None
    # TikTok is away: not today, and not for ever.
    await _due(shop, checked_at=now() - timedelta(days=2))
    sim.fail("business/webhook/update", refused(51065))
    await care_for_due(runtime)
    await run_jobs()
    assert (await shop.http.get(f"/v1/connections/{connection}")).json()["state"] == "active"


async def test_a_disconnect_revokes_and_erases_at_once(shop, connection, sim, run_jobs):
    await write(shop, sim, QUESTION)
    await run_jobs()
    response = await shop.http.delete(f"/v1/connections/{connection}")
    assert response.status_code == 202
    await run_jobs()
    assert (sim.access_tokens, sim.refresh_tokens) == (set(), set())
    assert (await shop.http.get("/v1/conversations")).json()["conversations"] == []
    [erasure] = (await shop.http.get("/v1/erasures")).json()["erasures"]
    assert (erasure["state"], erasure["receipt"]["revocation"]) == ("done", "confirmed")
    assert await write(shop, sim, QUESTION) == 200
    consent = await start(shop)
    assert (await agree(shop, consent)).status_code == 200


async def test_an_owner_who_removes_the_app_is_an_erasure(shop, connection, sim, run_jobs):
    await write(shop, sim, QUESTION)
    await run_jobs()
    headers, body = sim.webhook("authorization.removed", {"reason": 1})
    assert (await shop.http.post("/webhooks/tiktok", content=body, headers=headers)).status_code == 200
    await run_jobs()
    assert (await shop.http.get("/v1/conversations")).json()["conversations"] == []
    [erasure] = (await shop.http.get("/v1/erasures")).json()["erasures"]
    assert erasure["state"] == "done"


@pytest.fixture
def moved(runtime, run_jobs):
    """Let every job that waits for a time be due now, and run."""

    async def move():
        async with runtime.db.session() as session:
            await session.execute(
                text("update queue.procrastinate_jobs set scheduled_at = now() where status = 'todo'")
            )
        await run_jobs()

    return move


async def _due(shop, **values):
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Connection).values(**values))
