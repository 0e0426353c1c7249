"""TikTok's provider against its simulator: every row of the error table, the consent, tokens that rotate, images."""

import json
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.channels.base import ConnectRefused, Image, Outgoing, ProviderUnavailable, Recipient, SendResult
from app.channels.providers.tiktok import TikTok
from app.simulators.faults import cut, garbage
from app.simulators.tiktok import Business, TikTokSimulator, refused

APP, SECRET, SITE = "aw123", "tt-test-app-secret-8d1c", "http://tiktok.test"
BODY = (
    b'{"client_key":"aw123","event":"im_receive_msg","create_time":1700000000,"user_openid":"biz-123",'
    b'"content":"{\\"message_id\\":\\"m1\\"}"}'
)
SIGNED = "8105849a342f156e6f3238d1f85f05f029e43fb9db6c562d22ca5f9607acbb0d"
SEND = "business/message/send"
BACK = "https://jobx.test/oauth/tiktok/callback"


@pytest.fixture
async def wire():
    """A simulator, the provider for it and a client."""
    simulator = TikTokSimulator(APP, SECRET, Business("-000m4JH_b1=", "hunghero32", "Hung's Shop"))
    transport = httpx.ASGITransport(simulator.app)
    async with httpx.AsyncClient(transport=transport) as client:
        yield SimpleNamespace(sim=simulator, client=client, tiktok=TikTok(f"{SITE}/open_api/v1.3", SITE, APP, SECRET))


@pytest.fixture
async def credentials(wire):
    [grant] = await grants(wire)
    return grant.credentials


async def grants(wire):
    page = await wire.client.get(wire.tiktok.authorise_url("the-state", BACK, "verifier"))
    query = parse_qs(urlsplit(page.headers["location"]).query)
    assert query["state"] == ["the-state"]
    return await wire.tiktok.grants(wire.client, query["code"][0], BACK, "verifier")


async def send(wire, credentials, text="Hello", **fields):
    message = Outgoing(to=Recipient(conversation_id="u5Jhp+/=="), text=text, **fields)
    return await wire.tiktok.send(wire.client, credentials, message)


@pytest.mark.parametrize(
    ("told", "now", "body", "good"),
    [
        (f"t=1700000000,s={SIGNED}", 1700000000, BODY, True),
        (f"s={SIGNED}, t=1700000000", 1700000300, BODY, True),
        (f"t=1700000000,s={SIGNED}", 1700000301, BODY, False),
        (f"t=1700000000,s={SIGNED}", 1699999699, BODY, False),
        (f"t=1700000001,s={SIGNED}", 1700000000, BODY, False),
        (f"t=1700000000,s={SIGNED}", 1700000000, BODY + b" ", False),
        (f"t=1700000000,s={SIGNED[:-1]}", 1700000000, BODY, False),
        (f"t=1700000000,s={SIGNED.upper()}", 1700000000, BODY, False),
        ("t=1700000000", 1700000000, BODY, False),
        (SIGNED, 1700000000, BODY, False),
        ("t=٣,s=ä", 1700000000, BODY, False),
        ("", 1700000000, BODY, False),
    ],
)
def test_verify(told, now, body, good):
    tiktok = TikTok(SITE, SITE, APP, SECRET)
    assert tiktok.verify({"tiktok-signature": told}, body, SECRET, now) is good
    assert not tiktok.verify({}, body, SECRET, now)
    assert not tiktok.verify({"Tiktok-Signature": told}, body, "another", now)
    with pytest.raises(ValueError, match="empty"):
        tiktok.verify({"Tiktok-Signature": told}, body, "", now)


async def test_a_consent_asks_for_little_and_gives_the_account(wire):
    asked = parse_qs(urlsplit(wire.tiktok.authorise_url("s", BACK, "v")).query)["scope"][0].split(",")
    messages = {f"message.list.{name}" for name in ("read", "send", "manage")}
    assert set(asked) == {"user.info.basic", "user.info.username"} | messages
    [grant] = await grants(wire)
    assert (grant.account.account_id, grant.account.display_name) == ("-000m4JH_b1=", "Hung's Shop")
    [profile] = [call for call in wire.sim.calls if call.path == "business/get"]
    assert json.loads(profile.parameters["fields"]) == ["username", "display_name"]


async def test_missing_scopes_are_named(wire):
    wire.sim.business.scope = "user.info.basic,message.list.read"
    with pytest.raises(ConnectRefused, match=r"message\.list\.send, message\.list\.manage") as refusal:
        await grants(wire)
    assert refusal.value.code == "missing_scopes"


async def test_a_code_is_good_once_and_for_its_address(wire):
    page = await wire.client.get(wire.tiktok.authorise_url("s", BACK, "v"))
    code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
    with pytest.raises(ConnectRefused):
        await wire.tiktok.grants(wire.client, code, "https://elsewhere.test/", "v")
    with pytest.raises(ConnectRefused):
        await wire.tiktok.grants(wire.client, code, BACK, "v")


async def test_without_an_app_it_is_said_what_is_missing(wire):
    nobody = TikTok(SITE, SITE, None, None)
    with pytest.raises(ConnectRefused, match="JOBX_TIKTOK__APP_ID"):
        nobody.authorise_url("s", BACK, "v")


async def test_a_refresh_rotates_the_pair_and_the_used_one_is_dead(wire, credentials):
    fresh = await wire.tiktok.refresh(wire.client, credentials)
    assert fresh["access_token"] != credentials["access_token"]
    assert fresh["refresh_token"] != credentials["refresh_token"]
    assert fresh["scope"] == credentials["scope"]
    assert (await send(wire, fresh)).outcome == "ok"
    assert await send(wire, credentials) == SendResult("reconnect", code="40105")
    with pytest.raises(ConnectRefused):
        await wire.tiktok.refresh(wire.client, credentials)
    wire.sim.fail("tt_user/oauth2/refresh_token", refused(40100))
    with pytest.raises(ProviderUnavailable):
        await wire.tiktok.refresh(wire.client, fresh)


async def test_subscribe_and_disconnect(wire, credentials):
    await wire.tiktok.subscribe(wire.client, credentials, "https://jobx.test/webhooks/tiktok", "unused")
    assert wire.sim.webhook_url == "https://jobx.test/webhooks/tiktok"
    wire.sim.fail("tt_user/oauth2/revoke", garbage(status=502, acts=False))
    with pytest.raises(ProviderUnavailable):
        await wire.tiktok.disconnect(wire.client, credentials)
    await wire.tiktok.disconnect(wire.client, credentials)
    assert wire.sim.access_tokens == set()
    await wire.tiktok.disconnect(wire.client, credentials)
    assert wire.sim.webhook_url is not None, "the webhook is that of all accounts"


async def test_send_and_typing(wire, credentials):
    result = await send(wire, credentials, reply_to="u5Buqc==")
    [sent] = wire.sim.sent
    assert result == SendResult("ok", message_id=sent.message_id)
    assert (sent.conversation_id, sent.text, sent.reply_to) == ("u5Jhp+/==", "Hello", "u5Buqc==")
    await wire.tiktok.typing(wire.client, credentials, Recipient(conversation_id="u5Jhp+/=="))
    assert list(wire.sim.actions) == ["MARK_READ", "TYPING"]


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (refused(40100), SendResult("retry", retry_after=60.0, code="40100")),
        (refused(51065), SendResult("retry", code="51065")),
        (refused(40105), SendResult("reconnect", code="40105")),
        (refused(40001), SendResult("reconnect", code="40001")),
        (refused(40002), SendResult("fatal", code="40002")),
        (refused(40007), SendResult("fatal", code="40007")),
        (refused(40064), SendResult("fatal", code="40064")),
        (refused(40908), SendResult("fatal", code="40908")),
        (refused(49999), SendResult("fatal", code="49999")),
        (garbage(status=500), SendResult("unknown", code="500")),
        (garbage(status=429, acts=False), SendResult("retry", retry_after=60.0, code="429")),
        (garbage(), SendResult("unknown", code="unreadable_answer")),
        (garbage(b'{"code":"0"}'), SendResult("unknown", code="200")),
        (garbage(b'{"code":0,"data":{"message":{"message_id":""}}}'), SendResult("unknown", code="no_message_id")),
        (cut(acts=True), SendResult("unknown", code="connection_lost")),
        (cut(acts=False), SendResult("unknown", code="connection_lost")),
    ],
)
async def test_send_ends_as_the_error_table_says(wire, credentials, fault, result):
    wire.sim.fail(SEND, fault)
    assert await send(wire, credentials) == result


async def test_send_without_a_connection_may_be_retried(credentials):
    nobody = TikTok("http://127.0.0.1:1/open_api/v1.3", SITE, APP, SECRET)
    async with httpx.AsyncClient() as client:
        message = Outgoing(to=Recipient(conversation_id="c"), text="Hello")
        assert await nobody.send(client, credentials, message) == SendResult("retry", code="connect_failed")


async def test_an_image_is_uploaded_where_it_is_taken(wire, credentials):
    image = Image(data=b"\xff\xd8\xff" + bytes(100), mime="image/jpeg", name="size.jpg")
    assert (await send(wire, credentials, image=image)).outcome == "ok"
    assert wire.sim.sent[-1].kind == "IMAGE"
    wire.sim.images = False
    assert await send(wire, credentials, image=image) == SendResult("fatal", code="image_not_taken")
    wire.sim.images = True
    large = Image(data=bytes(3 * 1024 * 1024 + 1), mime="image/png", name="large.png")
    assert await send(wire, credentials, image=large) == SendResult("fatal", code="image_not_taken")
    # What fails before the send has said nothing to the customer.
    wire.sim.fail("business/message/media/upload", cut(acts=True))
    assert (await send(wire, credentials, image=image)).outcome == "retry"
    wire.sim.fail(SEND, cut(acts=True))
    assert (await send(wire, credentials, image=image)).outcome == "unknown"


async def test_no_token_is_in_a_log_or_an_error(wire, credentials, caplog):
    caplog.set_level("DEBUG")
    await send(wire, credentials)
    wire.sim.fail(SEND, cut(acts=True))
    await send(wire, credentials)
    assert credentials["access_token"] not in caplog.text + repr(credentials)
    assert SECRET not in caplog.text
