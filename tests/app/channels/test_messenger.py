"""The Messenger provider against a Graph at the wire: consent, subscription, disconnect."""

import json
import logging
import traceback
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from app.channels.base import ConnectRefused, Credentials, Outgoing, ProviderUnavailable, Recipient
from app.channels.providers.messenger import SCOPES, Messenger
from app.simulators.faults import cut, garbage, slow
from app.simulators.meta import META_APP, MetaSimulator
from app.simulators.meta_wire import Page, refused
from tests.app.simulators.wire import Stage, served

PAGE, PSID, USER = "863503883522801", "6724571234567890", "218471"
BACK = "https://jobx.example/oauth/messenger/callback"
TIMEOUT = httpx.Timeout(5, read=1.0, pool=0.1)
PAGES = (Page(PAGE, "Salon"), Page("702", "Second"), Page("703", "Read only", tasks=("ANALYZE",)))
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
    """A simulator on loopback, the provider for it, a client and the credentials of a Page."""
    app, url = stage
    simulator = MetaSimulator(pages=PAGES, user_id=USER)
    app.app = simulator.app
    credentials = Credentials(token=simulator.page_token(PAGE), page_id=PAGE, user_id=USER)
    async with httpx.AsyncClient(timeout=TIMEOUT) as client:
        provider = provider_at(url)
        yield SimpleNamespace(simulator=simulator, provider=provider, client=client, url=url, credentials=credentials)


def provider_at(url, config_id=None, app=META_APP):
    return Messenger(f"{url}/v25.0", f"{url}/v25.0", app.id, app.secret, config_id)


def outgoing(text="Hello", address=None, **fields):
    to = Recipient(conversation_id=PSID, customer_id=PSID, address=address or {})
    return Outgoing(to=to, text=text, **fields)


async def send(wire, *text, credentials=None, **fields):
    credentials = wire.credentials if credentials is None else credentials
    return await wire.provider.send(wire.client, credentials, outgoing(*text, **fields))


async def consent(wire, provider=None):
    """The code that the consent page sends the owner back with."""
    url = (provider or wire.provider).authorise_url("state-1", BACK, "verifier")
    answer = await wire.client.get(url)
    assert answer.status_code == 302, answer.text
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert back["state"] == ["state-1"]
    return back["code"][0]


async def grants(wire):
    return await wire.provider.grants(wire.client, await consent(wire), BACK, "verifier")


async def test_the_consent_page_asks_for_what_is_needed():
    asked = parse_qs(urlsplit(provider_at("https://f").authorise_url("s", BACK, "v")).query)
    assert asked == {
        "client_id": [META_APP.id],
        "redirect_uri": [BACK],
        "state": ["s"],
        "response_type": ["code"],
        "scope": [",".join(SCOPES)],
    }
    configured = parse_qs(urlsplit(provider_at("https://f", config_id="77").authorise_url("s", BACK, "v")).query)
    assert (configured["config_id"], "scope" in configured) == (["77"], False)


async def test_a_consent_grants_each_page_whose_messages_may_be_answered(wire):
    wire.simulator.pages_at_once = 1
    found = await grants(wire)
    assert [(grant.account.account_id, grant.account.display_name) for grant in found] == [
        (PAGE, "Salon"),
        ("702", "Second"),
    ]
    assert {grant.account.routes for grant in found} == {(f"user:{USER}",)}
    first = found[0].credentials
    assert dict(first) == {"token": wire.simulator.page_token(PAGE), "page_id": PAGE, "user_id": USER}
    assert await wire.provider.identify(wire.client, first) == found[0].account
    assert [call.name for call in wire.simulator.calls].count("accounts") == 3
    assert await wire.provider.refresh(wire.client, first) == first


async def test_a_code_is_good_once(wire):
    code = await consent(wire)
    assert await wire.provider.grants(wire.client, code, BACK, "v")
    with pytest.raises(ConnectRefused, match="used before") as raised:
        await wire.provider.grants(wire.client, code, BACK, "v")
    assert raised.value.code == "bad_code"


async def test_missing_permissions_are_named(wire):
    wire.simulator.granted -= {"pages_messaging", "pages_manage_metadata"}
    with pytest.raises(ConnectRefused, match="pages_messaging, pages_manage_metadata") as raised:
        await grants(wire)
    assert raised.value.code == "missing_scopes"


async def test_permissions_that_only_widen_the_list_may_be_left_off(wire):
    wire.simulator.granted -= {"business_management", "pages_read_engagement"}
    assert len(await grants(wire)) == 2


async def test_no_page_at_all_is_said(wire):
    wire.simulator.pages = {"703": PAGES[2]}
    with pytest.raises(ConnectRefused, match="no Page") as raised:
        await grants(wire)
    assert raised.value.code == "no_page"


@pytest.mark.parametrize(
    ("name", "fault", "refusal", "words"),
    [
        ("access_token", refused(100, 36007), (ConnectRefused, "bad_code"), "expired"),
        ("access_token", refused(100), (ConnectRefused, "connect_refused"), "its error 100"),
        ("access_token", garbage(b'{"token_type":"bearer"}'), TRY_AGAIN, "no access token"),
        ("access_token", cut(acts=True), TRY_AGAIN, "Try again"),
        ("fb_exchange_token", refused(190, 460, status=401), (ConnectRefused, "bad_token"), "Connect again"),
        ("fb_exchange_token", slow(2.0), TRY_AGAIN, "Try again"),
        ("permissions", refused(4), TRY_AGAIN, "right now"),
        ("permissions", refused(2, status=500), TRY_AGAIN, "Try again"),
        ("me", garbage(b"{}"), TRY_AGAIN, "who consented"),
        ("accounts", refused(200), (ConnectRefused, "no_permission"), "permission is missing"),
        ("accounts", garbage(), TRY_AGAIN, "Try again"),
        ("accounts", garbage(b'{"data":7}'), (ConnectRefused, "no_page"), "no Page"),
        ("accounts", garbage(b'{"data":[7,{"id":"1","tasks":["MESSAGING"]}]}'), (ConnectRefused, "no_page"), "no Page"),
    ],
)
async def test_consent_says_in_words_what_is_wrong(wire, name, fault, refusal, words):
    error, code = refusal
    wire.simulator.fail(name, fault)
    with pytest.raises(error, match=words) as raised:
        await grants(wire)
    assert raised.value.code == code
    assert raised.value.__context__ is None


async def test_without_an_app_nothing_is_connected(wire):
    bare = Messenger(f"{wire.url}/v25.0", wire.url, None, None)
    with pytest.raises(ConnectRefused, match="not set up"):
        bare.authorise_url("s", BACK, "v")
    with pytest.raises(ConnectRefused, match="not set up"):
        await bare.grants(wire.client, "code", BACK, "v")
    assert (await bare.identify(wire.client, wire.credentials)).account_id == PAGE


async def test_a_wrong_app_secret_is_refused(wire):
    wrong = provider_at(wire.url, app=META_APP.__class__(META_APP.id, "other"))
    code = await consent(wire)
    with pytest.raises(ProviderUnavailable):
        await wrong.grants(wire.client, code, BACK, "v")
    with pytest.raises(ConnectRefused, match="its error 100"):
        await wrong.identify(wire.client, wire.credentials)


async def test_calls_carry_the_proof_of_the_app(wire):
    wire.simulator.requires_proof = True
    assert await grants(wire)
    assert (await send(wire)).outcome == "ok"
    bare = Messenger(f"{wire.url}/v25.0", wire.url, None, None)
    assert (await bare.send(wire.client, wire.credentials, outgoing())).outcome == "fatal"


async def test_subscribe_asks_for_every_field_that_is_read_and_disconnect_ends_it(wire):
    for _ in "12":
        await wire.provider.subscribe(wire.client, wire.credentials, "https://hook", "secret")
    assert set(wire.simulator.subscribed[PAGE].split(",")) == {
        "messages",
        "messaging_postbacks",
        "message_echoes",
        "message_edits",
        "message_reads",
        "message_deliveries",
        "message_reactions",
        "messaging_referrals",
        "messaging_handovers",
        "standby",
    }
    await wire.provider.disconnect(wire.client, wire.credentials)
    await wire.provider.disconnect(wire.client, wire.credentials, "https://hook")
    assert wire.simulator.subscribed == {}


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (refused(190, 460, status=401), (ConnectRefused, "bad_token")),
        (refused(10), (ConnectRefused, "no_permission")),
        (refused(368), (ConnectRefused, "connect_refused")),
        (refused(17), TRY_AGAIN),
        (refused(1, status=500), TRY_AGAIN),
        (garbage(b'{"success":false}'), TRY_AGAIN),
        (garbage(), TRY_AGAIN),
        (cut(acts=False), TRY_AGAIN),
    ],
)
async def test_subscribe_that_fails_says_whether_to_try_again(wire, fault, refusal):
    wire.simulator.fail("subscribed_apps", fault)
    with pytest.raises(refusal[0]) as raised:
        await wire.provider.subscribe(wire.client, wire.credentials, "https://hook", "secret")
    assert raised.value.code == refusal[1]


async def test_disconnect_without_access_is_done(wire):
    for fault in (refused(190, 460, status=401), refused(100, 33), refused(200), refused(10)):
        wire.simulator.fail("subscribed_apps", fault)
        await wire.provider.disconnect(wire.client, wire.credentials)
    wire.simulator.revoke()
    await wire.provider.disconnect(wire.client, wire.credentials)


@pytest.mark.parametrize(
    "fault", [refused(1, status=500), refused(4), cut(acts=True), garbage(), garbage(b'{"success":false}'), slow(2.0)]
)
async def test_disconnect_that_is_not_confirmed_says_so(wire, fault):
    wire.simulator.fail("subscribed_apps", fault)
    with pytest.raises(ProviderUnavailable):
        await wire.provider.disconnect(wire.client, wire.credentials)


async def test_identify_by_a_token_alone(wire):
    account = await wire.provider.identify(wire.client, Credentials(token=wire.credentials["token"]))
    assert (account.account_id, account.display_name, account.routes) == (PAGE, "Salon", ())
    for token in ("", "no-token", "Schlüssel", "a b\n"):
        with pytest.raises((ConnectRefused, ProviderUnavailable)):
            await wire.provider.identify(wire.client, Credentials(token=token))
    wire.simulator.fail("me", garbage(b'{"name":"x"}'))
    with pytest.raises(ProviderUnavailable, match="which Page"):
        await wire.provider.identify(wire.client, wire.credentials)


async def test_no_secret_is_in_a_log_line_or_an_exception(wire, caplog):
    for name in (None, "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    raised = []
    faults = (None, refused(4), refused(190), refused(1, status=500), cut(acts=True), slow(2.0), garbage(status=302))
    for fault in faults:
        code = await consent(wire)
        for name in ("fb_exchange_token", "messages", "subscribed_apps", "me") if fault else ():
            wire.simulator.fail(name, fault)
        await send(wire)
        for call in (
            wire.provider.grants(wire.client, code, BACK, "v"),
            wire.provider.identify(wire.client, wire.credentials),
            wire.provider.disconnect(wire.client, wire.credentials),
        ):
            try:
                await call
            except (ConnectRefused, ProviderUnavailable) as error:
                raised.append("".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__))
    assert len(raised) > 10
    # The test's own visit to the consent page is logged whole; it is what the owner's browser does.
    records = [record for record in caplog.records if "dialog" not in str(vars(record))]
    told = "".join(str(vars(record)) for record in records) + "".join(raised) + repr(wire.credentials)
    assert "[hidden]" in told
    for secret in (META_APP.secret, wire.credentials["token"], "user-token-"):
        assert secret not in told
    assert json.dumps(wire.credentials)
