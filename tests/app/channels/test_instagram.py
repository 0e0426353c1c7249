"""The Instagram provider against a Graph at the wire, by Instagram Login and through a Page."""

import json
import logging
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from app.channels.base import ConnectRefused, Credentials, Image, Outgoing, ProviderUnavailable, Recipient, SendResult
from app.channels.instagram_login import SCOPES
from app.channels.meta_login import PAGE_FIELDS
from app.channels.providers.instagram import Instagram
from app.simulators.faults import cut, garbage, slow
from app.simulators.meta import INSTAGRAM_APP, META_APP, MetaSimulator
from app.simulators.meta_wire import Page, Professional, refused
from tests.app.simulators.wire import Stage, served, unused_port

IG, IGSID, SCOPED, PAGE = "17841405822304914", "1254477777772919", "9876543210", "863503883522801"
BACK = "https://jobx.example/oauth/instagram/callback"
TIMEOUT = httpx.Timeout(5, read=1.0, pool=0.1)
START, DAY = 1_789_814_400, 24 * 3600
TRY_AGAIN = (ProviderUnavailable, "provider_unavailable")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    """One server for all tests; its app changes with each."""
    stage = Stage()
    async with served(stage) as url:
        yield stage, url


@pytest_asyncio.fixture(loop_scope="module")
async def wire(stage):
    """A simulator on loopback, the provider for it, a client, credentials of both set-ups, and a clock to move."""
    app, url = stage
    clock = SimpleNamespace(now=float(START))
    page = Page(PAGE, "Salon", instagram_id=IG, instagram_username="salon")
    simulator = MetaSimulator(
        pages=[page, Page("702", "Bare")], professional=Professional(IG, SCOPED, "salon"), clock=lambda: clock.now
    )
    app.app = simulator.app
    login = Credentials(setup="login", token=simulator.instagram_token(), user_id=SCOPED)
    through_page = Credentials(setup="page", token=simulator.page_token(PAGE), page_id=PAGE, user_id="218471")
    async with httpx.AsyncClient(timeout=TIMEOUT) as client:
        yield SimpleNamespace(
            simulator=simulator,
            provider=provider_at(url, clock=lambda: clock.now),
            client=client,
            url=url,
            clock=clock,
            login=login,
            page=through_page,
        )


def provider_at(url, app=INSTAGRAM_APP, **more):
    return Instagram(f"{url}/v25.0", url, url, app.id, app.secret, f"{url}/v25.0", META_APP.id, META_APP.secret, **more)


def outgoing(text="Hello", address=None, **fields):
    to = Recipient(conversation_id=IGSID, customer_id=IGSID, address=address or {})
    return Outgoing(to=to, text=text, **fields)


async def send(wire, *text, credentials=None, **fields):
    return await wire.provider.send(wire.client, credentials or wire.login, outgoing(*text, **fields))


async def consent(wire):
    """The code that the consent page sends the owner back with, and what is behind it."""
    answer = await wire.client.get(wire.provider.authorise_url("state-1", BACK, "verifier"))
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].partition("code=")[2]


async def grant(wire):
    [found] = await wire.provider.grants(wire.client, await consent(wire), BACK, "verifier")
    return found


async def test_the_consent_page_asks_for_what_is_needed():
    asked = parse_qs(urlsplit(provider_at("https://i").authorise_url("s", BACK, "v")).query)
    assert asked == {
        "client_id": [INSTAGRAM_APP.id],
        "redirect_uri": [BACK],
        "state": ["s"],
        "response_type": ["code"],
        "scope": [",".join(SCOPES)],
    }


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_consent_grants_the_account_that_events_name(wire, wrapped):
    wire.simulator.wrapped = wrapped
    assert (await consent(wire)).endswith("#_")
    found = await grant(wire)
    assert (found.account.account_id, found.account.display_name) == (IG, "@salon")
    assert found.account.routes == (f"user:{SCOPED}",)
    kept = found.credentials
    assert {name: kept[name] for name in kept.keys() - {"token"}} == {
        "setup": "login",
        "user_id": SCOPED,
        "issued_at": str(START),
        "refresh_at": str(START + 7 * DAY),
        "expires_at": str(START + 60 * DAY),
    }
    assert (await send(wire, credentials=kept)).outcome == "ok"
    assert [call.path for call in wire.simulator.calls][:3] == ["/oauth/access_token", "/access_token", "/v25.0/me"]


@pytest.mark.parametrize("wrapped", [False, True])
async def test_missing_permissions_are_named(wire, wrapped):
    wire.simulator.wrapped = wrapped
    wire.simulator.instagram_granted.remove("instagram_business_manage_messages")
    with pytest.raises(ConnectRefused, match="instagram_business_manage_messages") as raised:
        await grant(wire)
    assert raised.value.code == "missing_scopes"


async def test_permissions_that_are_not_told_are_not_missing(wire):
    wire.simulator.fail(
        "access_token", garbage(b'{"access_token":"' + wire.login["token"].encode() + b'","user_id":5}')
    )
    assert (await grant(wire)).account.routes == (f"user:{SCOPED}", "user:5")


@pytest.mark.parametrize(
    ("name", "fault", "refusal", "words"),
    [
        (
            "access_token",
            garbage(b'{"error_type":"OAuthException","code":400}', 400),
            (ConnectRefused, "x"),
            "error 400",
        ),
        ("access_token", garbage(b'{"error_type":"OAuthException","code":"400"}', 400), TRY_AGAIN, "Try again"),
        ("access_token", garbage(b'{"data":[]}'), TRY_AGAIN, "no access token"),
        ("access_token", garbage(b'{"data":[7]}'), TRY_AGAIN, "no access token"),
        ("access_token", cut(acts=True), TRY_AGAIN, "Try again"),
        ("ig_exchange_token", refused(190, 463, status=401), (ConnectRefused, "bad_token"), "Connect again"),
        ("ig_exchange_token", refused(4), TRY_AGAIN, "right now"),
        ("ig_exchange_token", slow(2.0), TRY_AGAIN, "Try again"),
        ("me", refused(10), (ConnectRefused, "no_permission"), "permission is missing"),
        ("me", garbage(b'{"id":"9876543210"}'), TRY_AGAIN, "which account"),
    ],
)
async def test_consent_says_in_words_what_is_wrong(wire, name, fault, refusal, words):
    error, code = refusal
    wire.simulator.fail(name, fault)
    with pytest.raises(error, match=words) as raised:
        await grant(wire)
    assert raised.value.code == (code if code != "x" else "connect_refused")
    assert raised.value.__context__ is None


async def test_a_code_is_good_once(wire):
    code = await consent(wire)
    assert await wire.provider.grants(wire.client, code, BACK, "v")
    with pytest.raises(ConnectRefused, match="its error 400"):
        await wire.provider.grants(wire.client, code, BACK, "v")


async def test_without_an_app_nothing_is_connected(wire):
    bare = Instagram(f"{wire.url}/v25.0", wire.url, wire.url, None, None, f"{wire.url}/v25.0")
    with pytest.raises(ConnectRefused, match="not set up"):
        bare.authorise_url("s", BACK, "v")
    with pytest.raises(ConnectRefused, match="not set up"):
        await bare.grants(wire.client, "code", BACK, "v")
    assert (await bare.send(wire.client, wire.login, outgoing())).outcome == "ok"


async def test_a_token_is_renewed_weekly_but_not_on_its_first_day(wire):
    kept = (await grant(wire)).credentials
    wire.clock.now += DAY - 60
    early = await wire.provider.refresh(wire.client, kept)
    assert (early["token"], early["refresh_at"]) == (kept["token"], str(START + DAY))
    assert "ig_refresh_token" not in [call.name for call in wire.simulator.calls]
    wire.clock.now = START + 7 * DAY
    fresh = await wire.provider.refresh(wire.client, kept)
    assert fresh["token"] != kept["token"]
    assert fresh["user_id"] == SCOPED
    assert fresh["setup"] == "login"
    assert [int(fresh[name]) - START for name in ("issued_at", "refresh_at", "expires_at")] == [
        7 * DAY,
        14 * DAY,
        67 * DAY,
    ]
    assert (await send(wire, credentials=fresh)).outcome == "ok"


async def test_a_short_life_is_renewed_before_its_end(wire):
    wire.simulator.fail("ig_refresh_token", garbage(b'{"access_token":"t","expires_in":259200}'))
    wire.clock.now += 2 * DAY
    fresh = await wire.provider.refresh(wire.client, wire.login)
    assert [int(fresh[name]) - wire.clock.now for name in ("refresh_at", "expires_at")] == [2 * DAY, 3 * DAY]
    for odd in (
        b'{"access_token":"t"}',
        b'{"access_token":"t","expires_in":"soon"}',
        b'{"access_token":"t","expires_in":-1}',
    ):
        wire.simulator.fail("ig_refresh_token", garbage(odd))
        fresh = await wire.provider.refresh(wire.client, wire.login)
        assert int(fresh["expires_at"]) - wire.clock.now == 60 * DAY


async def test_a_token_that_has_expired_needs_its_owner(wire):
    kept = (await grant(wire)).credentials
    wire.clock.now += 61 * DAY
    with pytest.raises(ConnectRefused, match="Connect again") as raised:
        await wire.provider.refresh(wire.client, kept)
    assert raised.value.code == "bad_token"
    assert await send(wire, credentials=kept) == SendResult("reconnect", code="190/463")


@pytest.mark.parametrize(
    "fault", [refused(4), refused(2, status=500), cut(acts=True), slow(2.0), garbage(), garbage(b'{"expires_in":1}')]
)
async def test_a_renewal_in_doubt_may_be_tried_again(wire, fault):
    wire.clock.now += 2 * DAY
    wire.simulator.fail("ig_refresh_token", fault)
    with pytest.raises(ProviderUnavailable):
        await wire.provider.refresh(wire.client, wire.login)


async def test_a_pages_token_is_not_renewed(wire):
    wire.clock.now += 365 * DAY
    assert await wire.provider.refresh(wire.client, wire.page) == wire.page
    assert not wire.simulator.calls


async def test_identify_through_a_page(wire):
    account = await wire.provider.identify(wire.client, wire.page)
    assert (account.account_id, account.display_name, account.routes) == (IG, "@salon", ("user:218471",))
    bare = Credentials(setup="page", token=wire.simulator.page_token("702"))
    with pytest.raises(ConnectRefused, match="no professional Instagram account") as raised:
        await wire.provider.identify(wire.client, bare)
    assert raised.value.code == "no_account"


async def test_subscribe_and_disconnect_by_login(wire):
    await wire.provider.subscribe(wire.client, wire.login, "https://hook", "secret")
    assert set(wire.simulator.subscribed[IG].split(",")) == {
        "messages",
        "messaging_postbacks",
        "messaging_seen",
        "message_reactions",
        "message_edit",
        "messaging_referral",
    }
    await wire.provider.disconnect(wire.client, wire.login)
    assert wire.simulator.subscribed == {}
    assert {call.path for call in wire.simulator.calls} == {"/v25.0/me/subscribed_apps"}


async def test_subscribe_and_disconnect_through_a_page(wire):
    await wire.provider.subscribe(wire.client, wire.page, "https://hook", "secret")
    assert wire.simulator.subscribed == {PAGE: PAGE_FIELDS}
    await wire.provider.disconnect(wire.client, wire.page)
    assert wire.simulator.subscribed == {}
    assert {call.path for call in wire.simulator.calls} == {f"/v25.0/{PAGE}/subscribed_apps"}


async def test_disconnect_without_access_is_done_and_in_doubt_is_not(wire):
    for fault in (cut(acts=True), refused(4), garbage(b'{"success":false}')):
        wire.simulator.fail("subscribed_apps", fault)
        with pytest.raises(ProviderUnavailable):
            await wire.provider.disconnect(wire.client, wire.login)
    wire.simulator.revoke()
    await wire.provider.disconnect(wire.client, wire.login)


@pytest.mark.parametrize(("setup", "node"), [("login", "me"), ("page", PAGE)])
async def test_send(wire, setup, node):
    credentials = getattr(wire, setup)
    result = await send(wire, "Hello", credentials=credentials, reply_to="aWdf_0", delivery_id="d1")
    [sent] = wire.simulator.sent
    assert result == SendResult("ok", message_id=sent.message_id)
    assert (sent.recipient_id, sent.text, sent.reply_to, sent.metadata) == (IGSID, "Hello", "aWdf_0", None)
    [call] = wire.simulator.calls
    assert call.path == f"/v25.0/{node}/messages"
    assert call.parameters.keys() - {"appsecret_proof"} == {"recipient", "message", "reply_to"}
    assert ("appsecret_proof" in call.parameters) == (setup == "page")


async def test_length_is_counted_in_bytes(wire):
    for text in ("a" * 1000, "я" * 500, "😀" * 250):
        assert (await send(wire, text)).outcome == "ok"
        assert await send(wire, text + "!") == SendResult("fatal", code="100")
    assert (wire.provider.capabilities.unit, wire.provider.capabilities.max_length) == ("bytes", 1000)


@pytest.mark.parametrize(("by_person", "tag"), [(True, "HUMAN_AGENT"), (False, None)])
async def test_only_a_person_may_write_outside_of_the_window(wire, by_person, tag):
    wire.simulator.closed.add(IGSID)
    result = await send(wire, by_person=by_person, outside_window=True)
    assert (result.outcome, result.code) == (("ok", None) if tag else ("fatal", "10/2534022"))
    assert [sent.tag for sent in wire.simulator.sent] == ([tag] if tag else [])


async def test_an_image_is_not_sent(wire):
    image = Image(data=b"\x89PNG", mime="image/png", name="a.png")
    assert await send(wire, image=image) == SendResult("fatal", code="image")
    assert not wire.provider.capabilities.images
    assert not wire.simulator.calls


@pytest.mark.parametrize("setup", ["login", "page"])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ((10, 2534077), "reconnect"),
        ((200, 2534041), "reconnect"),
        ((100, 2534013), "reconnect"),
        ((100, 2534029), "fatal"),
        ((613, 2534040), "retry"),
        ((10, 2534022), "fatal"),
        ((100, 2534014), "fatal"),
        ((100, 2534037), "fatal"),
        ((190, 460), "reconnect"),
        ((551, None), "fatal"),
        ((4, None), "retry"),
        ((2, None), "retry"),
    ],
)
async def test_send_ends_as_the_table_of_errors_says(wire, setup, error, outcome):
    code, subcode = error
    wire.simulator.fail("messages", refused(code, subcode))
    expected = SendResult(outcome, code=f"{code}/{subcode}" if subcode else str(code))
    assert await send(wire, credentials=getattr(wire, setup)) == expected
    assert not wire.simulator.sent


async def test_the_type_of_an_error_says_nothing(wire):
    body = json.dumps({"error": {"type": "IGApiException", "code": 10, "error_subcode": 2534022}}).encode()
    wire.simulator.fail("messages", garbage(body, 403, acts=False))
    assert await send(wire) == SendResult("fatal", code="10/2534022")


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (cut(acts=True), SendResult("unknown", code="connection_lost")),
        (slow(2.0), SendResult("unknown", code="timeout")),
        (garbage(), SendResult("unknown", code="unreadable_answer")),
        (garbage(status=503), SendResult("unknown", code="503")),
        (refused(1, status=500), SendResult("unknown", code="500")),
        (garbage(status=429, acts=False), SendResult("retry", code="429")),
    ],
)
async def test_send_that_ends_otherwise(wire, fault, result):
    wire.simulator.fail("messages", fault)
    assert await send(wire) == result
    assert len(wire.simulator.calls) == 1


async def test_send_without_a_connection_may_be_retried(wire):
    nobody = SimpleNamespace(**vars(wire) | {"provider": provider_at(f"http://127.0.0.1:{unused_port()}")})
    assert await send(nobody) == SendResult("retry", code="connect_failed")
    assert await send(wire, credentials=Credentials(token="no token")) == SendResult("reconnect", code="190")


@pytest.mark.parametrize("setup", ["login", "page"])
async def test_typing_reads_and_writes_and_never_raises(wire, setup):
    credentials = getattr(wire, setup)
    await wire.provider.typing(wire.client, credentials, Recipient(conversation_id=IGSID))
    assert [call.parameters["sender_action"] for call in wire.simulator.calls] == ["mark_seen", "typing_on"]
    wire.simulator.fail("messages", cut(acts=False), refused(10))
    await wire.provider.typing(wire.client, credentials, Recipient(conversation_id=IGSID))


async def test_no_secret_is_in_a_log_line(wire, caplog):
    for name in (None, "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    code = await consent(wire)
    caplog.clear()
    [found] = await wire.provider.grants(wire.client, code, BACK, "v")
    wire.clock.now += 2 * DAY
    fresh = await wire.provider.refresh(wire.client, found.credentials)
    await send(wire, credentials=fresh)
    told = "".join(str(vars(record)) for record in caplog.records) + repr(found)
    assert "[hidden]" in told
    for secret in (INSTAGRAM_APP.secret, code.removesuffix("#_"), found.credentials["token"], fresh["token"]):
        assert secret not in told
