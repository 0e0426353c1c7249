"""Gmail: Google's push tokens, consent, the mailbox's history and sends, against the simulator at the wire."""

import json
import time

import httpx
import jwt
import pytest

from app.channels.base import ConnectRefused, Credentials, Outgoing, ProviderUnavailable, Recipient
from app.channels.gmail_push import read_history
from app.channels.mail import MAX_MAIL_BYTES
from app.channels.polling import Mailbox
from app.channels.providers.gmail import Gmail
from app.simulators.faults import cut, garbage
from app.simulators.gmail import GmailSimulator, customer_mail, refused

ADDRESS = "hello@salon.test"
MARK = "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d"
BACK = "https://jobx.test/oauth/gmail/callback"
URL = "http://google.test"


@pytest.fixture
def sim():
    return GmailSimulator("client", "secret", ADDRESS)


@pytest.fixture
def gmail():
    return Gmail(f"{URL}/gmail/v1", URL, URL, "client", "secret", "projects/p/topics/t")


@pytest.fixture
async def client(sim):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sim.app)) as wire:
        yield wire


async def consent(gmail, client, verifier="v" * 64):
    page = await client.get(gmail.authorise_url("state", BACK, verifier))
    return dict(httpx.URL(page.headers["location"]).params)["code"]


@pytest.fixture
async def granted(gmail, client):
    [grant] = await gmail.grants(client, await consent(gmail, client), BACK, "v" * 64)
    return grant


def mailbox(position=None):
    return Mailbox(account_id=ADDRESS, own_addresses=frozenset({ADDRESS}), position=position)


@pytest.fixture
def known(sim):
    return json.dumps({"audience": sim.audience, "service_account_email": sim.push_account, "jwks": sim.jwks()})


def test_a_push_is_genuine(gmail, sim, known):
    headers, body = sim.push()
    assert gmail.verify(headers, body, known, time.time())
    assert gmail.verify({"authorization": headers["Authorization"]}, body, known, time.time())
    [part] = gmail.parts(body)
    [event] = gmail.parse(part.body, ADDRESS)
    assert (part.account_id, event.kind, event.account_id) == (ADDRESS, "mailbox_changed", ADDRESS)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"iss": "https://evil.example"},
        {"aud": "https://other.example"},
        {"email": "someone@else.iam.gserviceaccount.com"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"exp": "never"},
    ],
    ids=str,
)
def test_a_push_that_is_not_is_refused(gmail, sim, known, claims):
    headers, body = sim.push(**claims)
    assert not gmail.verify(headers, body, known, time.time())


def test_tokens_of_others_are_refused(gmail, sim, known):
    headers, body = sim.push()
    now = time.time()
    other = GmailSimulator("client", "secret", ADDRESS)
    assert not gmail.verify(other.push()[0], body, known, now)
    claims = jwt.decode(headers["Authorization"][7:], options={"verify_signature": False})
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "simulated-key"})
    public = json.dumps(sim.jwks()["keys"][0]) * 2
    symmetric = jwt.encode(claims, public, algorithm="HS256", headers={"kid": "simulated-key"})
    for value in (f"Bearer {unsigned}", f"Bearer {symmetric}", "Bearer ", "Bearer x.y.z", "Basic x", ""):
        assert not gmail.verify({"Authorization": value}, body, known, now)
    assert not gmail.verify({}, body, known, now)
    assert not gmail.verify(headers, body, known, now + 3601)
    for empty in ("", "{}", json.dumps({"audience": "", "service_account_email": "", "jwks": sim.jwks()})):
        with pytest.raises(ValueError, match="would"):
            gmail.verify(headers, body, empty, now)
    without_keys = json.dumps({"audience": sim.audience, "service_account_email": sim.push_account, "jwks": {}})
    assert not gmail.verify(headers, body, without_keys, now)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"message": {"data": "!"}}', b'{"message": []}'])
def test_a_push_of_nothing(gmail, body):
    assert gmail.parts(body) == gmail.parse(body, ADDRESS) == []


async def test_a_consent(gmail, client, sim, granted):
    assert (granted.account.account_id, granted.credentials["address"]) == (ADDRESS, ADDRESS)
    await gmail.subscribe(client, granted.credentials, "https://jobx.test/webhooks/gmail", "x")
    assert (sim.watch.topic, sim.watch.labels) == ("projects/p/topics/t", ["INBOX"])
    fresh = await gmail.refresh(client, granted.credentials)
    assert fresh["access_token"] != granted.credentials["access_token"]
    assert (fresh["refresh_token"], fresh["address"]) == (granted.credentials["refresh_token"], ADDRESS)
    await gmail.disconnect(client, fresh)
    assert (sim.watch, sim.access_tokens, sim.refresh_tokens) == (None, set(), set())
    await gmail.disconnect(client, fresh)
    with pytest.raises(ConnectRefused, match="invalid_grant"):
        await gmail.refresh(client, fresh)


async def test_a_consent_that_fails(gmail, client, sim):
    with pytest.raises(ConnectRefused):
        await gmail.grants(client, await consent(gmail, client), BACK, "another verifier")
    sim.scope = "openid email"
    with pytest.raises(ConnectRefused, match=r"gmail\.modify") as failed:
        await gmail.grants(client, await consent(gmail, client), BACK, "v" * 64)
    assert failed.value.code == "missing_scopes"
    with pytest.raises(ConnectRefused, match="JOBX_GMAIL__CLIENT_ID"):
        Gmail(URL, URL, URL, None, None).authorise_url("state", BACK, "v")
    sim.fail("token", garbage(status=503, body=b"{}", acts=False))
    with pytest.raises(ProviderUnavailable):
        await gmail.refresh(client, Credentials(refresh_token="x"))


async def test_no_topic_means_no_watch(client, sim, granted):
    await Gmail(f"{URL}/gmail/v1", URL, URL, "client", "secret").subscribe(client, granted.credentials, "", "x")
    assert sim.watch is None


async def test_what_is_new_is_fetched_once(gmail, client, sim, granted):
    sim.write("old@client.test", "From before")
    here = await gmail.fetch(client, granted.credentials, mailbox())
    assert here.events == ()
    sim.write("Ann <ann@client.test>", "How much?")
    for label in ("SPAM", "TRASH", "DRAFT"):
        sim.deliver(customer_mail("x@client.test", ADDRESS, "no"), label)
    sim.deliver(customer_mail(ADDRESS, "ann@client.test", "I wrote this myself"), "SENT")
    new = await gmail.fetch(client, granted.credentials, mailbox(here.position))
    assert [(event.kind, event.customer_id) for event in new.events] == [
        ("text", "ann@client.test"),
        ("echo", "ann@client.test"),
    ]
    assert new.events[1].echo_origin == "human"
    assert new.events[0].address["thread"].startswith("18c")
    again = await gmail.fetch(client, granted.credentials, mailbox(new.position))
    assert (again.events, again.more) == ((), False)


async def test_pages(gmail, client, sim, granted):
    position = (await gmail.fetch(client, granted.credentials, mailbox())).position
    for number in range(120):
        sim.write("ann@client.test", f"Number {number}")
    texts, rounds, more = [], 0, True
    while more:
        got = await gmail.fetch(client, granted.credentials, mailbox(position))
        texts += [event.text for event in got.events]
        position, more, rounds = got.position, got.more, rounds + 1
    assert (texts, rounds) == ([f"Number {number}" for number in range(120)], 3)


async def test_a_history_that_is_forgotten(gmail, client, sim, granted):
    position = (await gmail.fetch(client, granted.credentials, mailbox())).position
    for number in range(70):
        sim.write("ann@client.test", f"Number {number}")
    sim.first_history = 10**12
    for mail in sim.mails.values():
        # What was there before the mailbox was connected.
        mail.arrived -= 7200 * (b"Number" not in mail.raw)
    texts, more = set(), True
    while more:
        got = await gmail.fetch(client, granted.credentials, mailbox(position))
        texts |= {event.text for event in got.events}
        position, more = got.position, got.more
    assert texts == {f"Number {number}" for number in range(70)}
    sim.first_history = 0
    sim.write("ann@client.test", "And on")
    got = await gmail.fetch(client, granted.credentials, mailbox(position))
    assert [event.text for event in got.events] == ["And on"]


async def test_a_large_mail_is_not_read(gmail, client, sim, granted):
    position = (await gmail.fetch(client, granted.credentials, mailbox())).position
    raw = customer_mail("ann@client.test", ADDRESS, "See the film", "My holiday")
    sim.deliver(raw, "INBOX", size=MAX_MAIL_BYTES + 1)
    gone = sim.deliver(raw, "INBOX")
    del sim.mails[gone]
    sim.deliver(raw.replace(b"Message-ID: <", b"Message-ID: <x"), "INBOX", size=MAX_MAIL_BYTES)
    large, small = (await gmail.fetch(client, granted.credentials, mailbox(position))).events
    assert (large.kind, large.customer_id, large.subject) == ("unsupported", "ann@client.test", "My holiday")
    assert (large.text, large.may_reply, small.text) == (None, False, "See the film")


async def test_a_fetch_that_fails(gmail, client, sim, granted):
    position = (await gmail.fetch(client, granted.credentials, mailbox())).position
    for fault in (
        refused(429, "rateLimitExceeded"),
        refused(403, "userRateLimitExceeded"),
        refused(500, "x"),
        cut(acts=False),
    ):
        sim.fail("history", fault)
        with pytest.raises(ProviderUnavailable):
            await gmail.fetch(client, granted.credentials, mailbox(position))
    sim.fail("history", refused(403, "insufficientPermissions"))
    with pytest.raises(ConnectRefused, match="insufficientPermissions"):
        await gmail.fetch(client, granted.credentials, mailbox(position))
    sim.access_tokens.clear()
    with pytest.raises(ConnectRefused):
        await gmail.fetch(client, granted.credentials, mailbox(position))


async def fetched(gmail, client, sim, granted):
    position = (await gmail.fetch(client, granted.credentials, mailbox())).position
    sim.write("Ann <ann@client.test>", "How much?")
    [event] = (await gmail.fetch(client, granted.credentials, mailbox(position))).events
    to = Recipient(conversation_id=event.conversation_id, message_id=event.message_id, address=event.address)
    return event, Outgoing(to=to, text="30 EUR.", delivery_id=MARK)


async def test_an_answer(gmail, client, sim, granted):
    event, message = await fetched(gmail, client, sim, granted)
    result = await gmail.send(client, granted.credentials, message)
    assert (result.outcome, result.message_id) == ("ok", f"jobx.{MARK}@salon.test")
    [sent] = sim.sent
    assert (sent.thread_id, sim.said()) == (event.address["thread"], ["30 EUR."])
    assert f"In-Reply-To: <{event.message_id}>".encode() in sent.raw
    assert "UNREAD" not in sim.mails[event.address["gmail"]].labels
    sim.replaces_message_ids = True
    result = await gmail.send(client, granted.credentials, message)
    assert result.message_id.endswith("@mail.gmail.com")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (refused(401, "authError"), "reconnect"),
        (refused(403, "insufficientPermissions"), "reconnect"),
        (refused(403, "domainPolicy"), "reconnect"),
        (refused(403, "rateLimitExceeded"), "retry"),
        (refused(403, "userRateLimitExceeded"), "retry"),
        (refused(429, "rateLimitExceeded"), "retry"),
        (refused(500, "backendError"), "retry"),
        (refused(503, "backendError"), "retry"),
        (refused(400, "invalidArgument"), "fatal"),
        (refused(404, "notFound"), "fatal"),
        (garbage(status=502), "unknown"),
        (garbage(status=200), "unknown"),
        (cut(acts=True), "unknown"),
        (cut(acts=False), "unknown"),
    ],
    ids=str,
)
async def test_what_a_send_comes_to(gmail, client, sim, granted, fault, outcome):
    _, message = await fetched(gmail, client, sim, granted)
    sim.fail("messages/send", fault)
    result = await gmail.send(client, granted.credentials, message)
    assert result.outcome == outcome
    assert outcome != "retry" or not sim.sent


async def test_a_send_that_never_left(gmail, granted):
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as nowhere:
        away = Gmail("http://127.0.0.1:9/gmail/v1", URL, URL, "client", "secret")
        to = Recipient(conversation_id="c", address={"to": "ann@client.test"})
        result = await away.send(nowhere, granted.credentials, Outgoing(to=to, text="x", delivery_id=MARK))
        lost = Outgoing(to=Recipient(conversation_id="c"), text="x", delivery_id=MARK)
        assert (await away.send(nowhere, granted.credentials, lost)).outcome == "fatal"
    assert (result.outcome, result.code) == ("retry", "connect_failed")


def test_a_history_without_sense():
    history = [{"messagesAdded": [{"message": {}}, 7]}, None, {"messagesAdded": 3}]
    assert read_history({"history": history}).new_message_ids == ()
    assert read_history({"historyId": 5, "nextPageToken": "n"}).next_page == "n"
