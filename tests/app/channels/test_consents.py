"""Consents with a choice of accounts, by code, and what follows on channels with windows, templates and statuses."""

import os
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from app.crypto import MasterKey
from app.keys.service import Vault
from app.models import Consent, Delivery, Message, now
from app.rotate import put_under_current
from app.settings import MessengerSettings, MetaSettings, WhatsAppSettings
from app.simulators.faults import cut
from app.simulators.meta import META_APP, MetaSimulator
from app.simulators.meta_webhooks import Thread, signed_request
from app.simulators.meta_wire import Page
from app.simulators.whatsapp import WhatsAppSimulator
from tests.conftest import MASTER_KEY

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs 3 pounds per parcel."
QUESTION = "How many days do I have to return an item?"
BSUID, NUMBER = "US.13491208655302741918", "16505551234"
META = MetaSettings(
    app_id=META_APP.id, app_secret=SecretStr(META_APP.secret), verify_token=SecretStr("jobx-verify-token-42")
)


@pytest.fixture
async def shop(tenant, runtime, run_jobs):
    """A tenant that knows of returns, and simulators of Messenger and WhatsApp behind the runtime's clients."""
    tenant.meta = MetaSimulator(
        pages=[Page("863", "Salon"), Page("702", "Second"), Page("703", "None", tasks=("ADS",))]
    )
    tenant.whatsapp = WhatsAppSimulator(META_APP)
    graph = "http://graph.test/v25.0"
    changed = {
        "meta": META,
        "messenger": MessengerSettings(api_base=graph, auth_base=graph),
        "whatsapp": WhatsAppSettings(api_base=graph),
    }
    runtime.settings = runtime.settings.model_copy(update=changed)
    transport, other = httpx.ASGITransport(tenant.meta.app), httpx.ASGITransport(tenant.whatsapp.app)
    async with httpx.AsyncClient(transport=transport) as messenger, httpx.AsyncClient(transport=other) as whatsapp:
        runtime.provider_http = {**runtime.provider_http, "messenger": messenger, "whatsapp": whatsapp}
        await tenant.add_text("Returns", RETURNS)
        await run_jobs()
        tenant.agent = await tenant.add_agent()
        yield tenant


async def start(shop, channel, **more):
    response = await shop.http.post("/v1/consents", json={"channel": channel, "agent_id": shop.agent, **more})
    assert response.status_code == 201, response.text
    return response.json()


@pytest.fixture
async def pages(shop):
    """A consent on Messenger with a choice of two Pages."""
    consent = await start(shop, "messenger")
    page = await shop.runtime.provider_http["messenger"].get(consent["url"])
    back = httpx.URL(page.headers["location"])
    assert (await shop.http.get(f"{back.path}?{back.query.decode()}")).status_code == 200
    return (await shop.http.get(f"/v1/consents/{consent['id']}")).json()


@pytest.fixture
async def number(shop):
    """A connected WhatsApp number."""
    [made] = (await start(shop, "whatsapp", code=shop.whatsapp.code()))["connection_ids"]
    return made


async def write(shop, sim_change):
    headers, body = shop.whatsapp.webhook(sim_change)
    response = await shop.http.post("/webhooks/whatsapp", content=body, headers=headers)
    assert response.status_code == 200


async def test_pages_are_chosen_and_what_was_granted_is_forgotten(shop, pages):
    assert (pages["state"], pages["accounts"]) == (
        "choose",
        [{"id": "863", "name": "Salon"}, {"id": "702", "name": "Second"}],
    )
    path = f"/v1/consents/{pages['id']}/accounts"
    unknown = await shop.http.post(path, json={"account_ids": ["703"]})
    assert unknown.status_code == 404
    chosen = (await shop.http.post(path, json={"account_ids": ["863"]})).json()
    assert (chosen["state"], chosen["accounts"], len(chosen["connection_ids"])) == ("connected", [], 1)
    again = await shop.http.post(path, json={"account_ids": ["702"]})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_choose")
    async with shop.runtime.vault.session(shop.id) as session:
        assert (await session.scalars(select(Consent.grants_sealed))).all() == [None]
    assert shop.meta.subscribed.keys() == {"863"}


async def test_a_choice_is_the_tenants_own_and_has_its_time(shop, pages, make_tenant):
    other = await make_tenant("Other")
    path = f"/v1/consents/{pages['id']}"
    assert (await other.http.get(path)).status_code == 404
    assert (await other.http.post(f"{path}/accounts", json={"account_ids": ["863"]})).status_code == 404
    async with shop.runtime.vault.session(shop.id) as session:
        await session.execute(update(Consent).values(expires_at=now() - timedelta(seconds=1)))
    late = await shop.http.post(f"{path}/accounts", json={"account_ids": ["863"]})
    assert late.status_code == 409


async def test_meta_asks_whether_the_webhook_is_ours(shop):
    query = {"hub.mode": "subscribe", "hub.verify_token": "jobx-verify-token-42", "hub.challenge": "115"}
    for channel in ("messenger", "instagram", "whatsapp"):
        answer = await shop.http.get(f"/webhooks/{channel}", params=query)
        assert (answer.status_code, answer.text) == (200, "115")
        assert answer.headers["content-type"].startswith("text/plain")
        for wrong in ({"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": ""}):
            assert (await shop.http.get(f"/webhooks/{channel}", params=query | wrong)).status_code == 403


async def test_who_connected_a_page_can_have_it_all_deleted(shop, pages, run_jobs):
    chosen = await shop.http.post(f"/v1/consents/{pages['id']}/accounts", json={"account_ids": ["863"]})
    [connection] = chosen.json()["connection_ids"]
    thread = Thread("page", "863", "6724571234567890")
    posted = thread.webhook(META_APP.secret, thread.text(QUESTION))
    await shop.http.post("/webhooks/messenger", content=posted.body, headers=posted.headers)
    await run_jobs()
    assert "30 days" in shop.meta.sent[-1].text
    # First the app is removed at Facebook, then the data is asked to be deleted.
    form = {"signed_request": signed_request(shop.meta.user_id, META_APP.secret)}
    assert (await shop.http.post("/callbacks/meta/deauthorise", data=form)).status_code == 200
    assert (await shop.http.get(f"/v1/connections/{connection}")).json()["state"] == "disconnected"
    answer = (await shop.http.post("/callbacks/meta/data-deletion", data=form)).json()
    assert answer["url"].endswith(f"/deletions/{answer['confirmation_code']}")
    page = await shop.http.get(f"/deletions/{answer['confirmation_code']}")
    assert "under way" in page.text
    await run_jobs()
    page = await shop.http.get(f"/deletions/{answer['confirmation_code']}")
    assert "has been deleted" in page.text
    assert (await shop.http.get("/v1/conversations")).json()["conversations"] == []
    assert (await shop.http.get("/deletions/AAAA")).status_code == 404
    nobody = {"signed_request": signed_request("1", META_APP.secret)}
    code = (await shop.http.post("/callbacks/meta/data-deletion", data=nobody)).json()["confirmation_code"]
    assert "Nothing was stored" in (await shop.http.get(f"/deletions/{code}")).text
    forged = {"signed_request": signed_request(shop.meta.user_id, "another secret")}
    assert (await shop.http.post("/callbacks/meta/data-deletion", data=forged)).status_code == 401


async def test_a_customer_is_one_by_number_and_by_scoped_id(shop, number, run_jobs):
    for ids in ({"number": NUMBER}, {"number": NUMBER, "scoped": BSUID}, {"number": None, "scoped": BSUID}):
        await write(shop, shop.whatsapp.message(QUESTION, **ids))
        await run_jobs()
    [conversation] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    assert [message["author"] for message in await shop.messages()] == ["customer", "agent"] * 3
    assert conversation["connection_id"] == number
    contents = [sent.content for sent in shop.whatsapp.sent]
    assert [content.get("to") or content["recipient"] for content in contents] == [NUMBER, NUMBER, BSUID]


async def test_statuses_move_forward_only_and_a_late_failure_goes_to_a_person(shop, number, run_jobs):
    await write(shop, shop.whatsapp.message(QUESTION, scoped=BSUID))
    await run_jobs()
    sent = shop.whatsapp.sent[-1]
    for status, seen in (("read", "read"), ("delivered", "read"), ("sent", "read")):
        await write(shop, shop.whatsapp.status(sent, status))
        await run_jobs()
        assert (await shop.messages())[-1]["status"] == seen
    await write(shop, shop.whatsapp.status(sent, "failed", 131026))
    await run_jobs()
    assert (await shop.messages())[-1]["status"] == "failed"
    [waiting] = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    assert waiting["id"]


async def test_a_send_in_doubt_is_settled_by_its_status(shop, number, run_jobs):
    shop.whatsapp.fail("messages", cut(acts=True))
    await write(shop, shop.whatsapp.message(QUESTION, scoped=BSUID))
    await run_jobs()
    assert (await shop.messages())[-1]["status"] == "unknown"
    await write(shop, shop.whatsapp.status(shop.whatsapp.sent[-1], "sent"))
    await run_jobs()
    assert (await shop.messages())[-1]["status"] == "sent"
    assert len(shop.whatsapp.sent) == 1


@pytest.mark.parametrize("named", [None, {"name": "write_again", "language": "en"}])
async def test_outside_of_the_window_a_template_goes_or_nothing(shop, number, run_jobs, named):
    changed = await shop.http.patch(f"/v1/connections/{number}", json={"template": named})
    assert (changed.status_code, changed.json()["template"]) == (200, named)
    old = shop.whatsapp.message(QUESTION, scoped=BSUID)
    old["value"]["messages"][0]["timestamp"] = str(int((now() - timedelta(hours=25)).timestamp()))
    await write(shop, old)
    await run_jobs()
    assert [sent.content["type"] for sent in shop.whatsapp.sent] == (["template"] if named else [])
    [waiting] = (await shop.http.get("/v1/conversations", params={"status": "handed_off"})).json()["conversations"]
    assert waiting["handoff"]["reason"] == "window_closed"
    async with shop.runtime.vault.session(shop.id) as session:
        states = list(await session.scalars(select(Delivery.state)))
        kinds = list(await session.scalars(select(Message.kind).where(Message.direction == "out")))
    assert (states, kinds) == ((["sent"], ["template"]) if named else ([], []))


async def test_the_routes_follow_the_master_key(shop, number, run_jobs, runtime):
    """A number that was connected under an older master key is found while both are held, and then by the new one."""
    new = MasterKey(os.urandom(32), MASTER_KEY)
    runtime.vault = Vault(runtime.db, new)
    await write(shop, shop.whatsapp.message(QUESTION, scoped=BSUID))
    await run_jobs()
    await put_under_current(runtime.vault, runtime.queue, lambda _: None)
    await run_jobs()
    runtime.vault = Vault(runtime.db, MasterKey(new.key))
    await write(shop, shop.whatsapp.message(QUESTION, scoped=BSUID))
    await run_jobs()
    assert len(shop.whatsapp.sent) == 2
    assert new.route_hash("whatsapp", "1") not in (
        new.route_hash("messenger", "1"),
        MASTER_KEY.route_hash("whatsapp", "1"),
    )
