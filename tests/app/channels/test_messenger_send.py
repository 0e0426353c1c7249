"""The Messenger provider against a Graph at the wire: what is sent, and every row of the table of errors."""

from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio

from app.channels.base import Credentials, Image, Outgoing, Recipient, SendResult
from app.channels.providers.messenger import Messenger
from app.simulators.faults import cut, garbage, slow
from app.simulators.meta import META_APP, MetaSimulator
from app.simulators.meta_wire import Page, refused
from tests.app.simulators.wire import Stage, served, unused_port

PAGE, PSID, USER = "863503883522801", "6724571234567890", "218471"
TIMEOUT = httpx.Timeout(5, read=1.0, pool=0.1)
PAGES = (Page(PAGE, "Salon"), Page("702", "Second"), Page("703", "Read only", tasks=("ANALYZE",)))

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


async def test_send(wire):
    result = await send(wire, "Hello <b>*you*</b>", reply_to="m_0", delivery_id="d1")
    [sent] = wire.simulator.sent
    assert result == SendResult("ok", message_id=sent.message_id)
    assert (sent.account_id, sent.recipient_id, sent.text) == (PAGE, PSID, "Hello <b>*you*</b>")
    assert (sent.metadata, sent.reply_to, sent.tag) == ("jobx:d1", "m_0", None)
    [call] = wire.simulator.calls
    assert (call.path, call.parameters["messaging_type"]) == (f"/v25.0/{PAGE}/messages", "RESPONSE")


async def test_send_as_little_as_possible(wire):
    assert (await send(wire, "a\x00b\ud83d", credentials=Credentials(token=wire.credentials["token"]))).outcome == "ok"
    [call] = wire.simulator.calls
    parameters = {name: value for name, value in call.parameters.items() if name != "appsecret_proof"}
    assert call.path == "/v25.0/me/messages"
    assert parameters == {
        "recipient": {"id": PSID},
        "messaging_type": "RESPONSE",
        "message": {"text": "ab\ufffd"},
    }


@pytest.mark.parametrize(
    ("by_person", "outside_window", "tag"),
    [(True, True, "HUMAN_AGENT"), (True, False, None), (False, True, None)],
)
async def test_only_a_person_may_write_outside_of_the_window(wire, by_person, outside_window, tag):
    wire.simulator.closed.add(PSID)
    result = await send(wire, by_person=by_person, outside_window=outside_window)
    assert result.outcome == ("ok" if tag else "fatal")
    assert result.code == (None if tag else "10/2018278")
    assert [sent.tag for sent in wire.simulator.sent] == ([tag] if tag else [])


async def test_send_an_image(wire):
    image = Image(data=b"\x89PNG" + b"\x00" * 5000, mime="image/png", name="price list.png")
    result = await send(wire, "", image=image, delivery_id="d2", reply_to="m_0")
    [sent] = wire.simulator.sent
    assert (result.outcome, sent.image, sent.text, sent.metadata) == ("ok", image.data, None, "jobx:d2")
    assert (sent.reply_to, sent.recipient_id) == ("m_0", PSID)
    [call] = wire.simulator.calls
    assert call.parameters["message"]["attachment"] == {"type": "image", "payload": {"is_reusable": False}}


FATAL = [
    (10, 2018278),
    (10, 2534022),
    (10, 2018065),
    (10, 2018108),
    (551, None),
    (200, 1545041),
    (10, 1893063),
    (2022, None),
    (368, None),
    (100, 2018001),
    (100, 2534014),
    (100, 2018008),
    (100, 2018047),
    (100, 2018109),
    (2018008, None),
    (2018047, None),
    (2018109, None),
    (2018300, None),
    (2018321, None),
    (10, 2018300),
    (100, 2534037),
    (100, 2534029),
    (100, None),
    (100, 999),
    (999, None),
]
RECONNECT = [
    (190, 460),
    (190, 463),
    (190, 467),
    (190, None),
    (200, None),
    (200, 2018028),
    (10, None),
    (10, 7),
    (3, None),
]
RECONNECT += [(10, 2534077), (200, 2534041), (100, 2534013)]
RETRY = [(code, None) for code in (4, 17, 32, 613, *range(80001, 80007), 1, 2)] + [(613, 2534040)]
TABLE = [(error, "fatal") for error in FATAL] + [(error, "reconnect") for error in RECONNECT]
TABLE += [(error, "retry") for error in RETRY]


@pytest.mark.parametrize(("error", "outcome"), TABLE)
async def test_send_ends_as_the_table_of_errors_says(wire, error, outcome):
    code, subcode = error
    wire.simulator.fail("messages", refused(code, subcode, status=401 if code == 190 else 400))
    assert await send(wire) == SendResult(outcome, code=f"{code}/{subcode}" if subcode else str(code))
    assert not wire.simulator.sent
    assert len(wire.simulator.calls) == 1


@pytest.mark.parametrize(
    ("fault", "result", "arrived"),
    [
        # Graph says itself that it is a passing thing, or that the service is away.
        (refused(2, status=500), SendResult("retry", code="2"), 0),
        (refused(2, status=503), SendResult("retry", code="2"), 0),
        (refused(1, status=500, transient=True), SendResult("retry", code="1"), 0),
        (refused(-1, status=500, transient=True), SendResult("retry", code="-1"), 0),
        (refused(999, transient=True), SendResult("retry", code="999"), 0),
        (garbage(status=429, acts=False), SendResult("retry", code="429"), 0),
        # A transient token or window is none.
        (refused(10, 2018278, transient=True), SendResult("fatal", code="10/2018278"), 0),
        (refused(190, status=500), SendResult("reconnect", code="190"), 0),
        # Nothing below is known not to have been executed.
        (refused(1, status=500), SendResult("unknown", code="500"), 0),
        (refused(1, status=500, acts=True), SendResult("unknown", code="500"), 1),
        (refused(999, status=500), SendResult("unknown", code="500"), 0),
        (cut(acts=False), SendResult("unknown", code="connection_lost"), 0),
        (cut(acts=True), SendResult("unknown", code="connection_lost"), 1),
        (slow(2.0), SendResult("unknown", code="timeout"), 1),
        (garbage(), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(status=502), SendResult("unknown", code="502"), 1),
        (garbage(status=400), SendResult("unknown", code="400"), 1),
        (garbage(status=401), SendResult("unknown", code="401"), 1),
        (garbage(status=302), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(b"[" * 100_000), SendResult("unknown", code="unreadable_answer"), 1),
        (garbage(b"{}"), SendResult("unknown", code="no_message_id"), 1),
        (garbage(b'{"message_id":7}'), SendResult("unknown", code="no_message_id"), 1),
        (garbage(b'{"message_id":"m","error":{"code":4}}'), SendResult("unknown", code="no_message_id"), 1),
        (garbage(b'{"error":{"code":4}}'), SendResult("unknown", code="no_message_id"), 1),
        (garbage(b'{"error":{"code":true}}', 400), SendResult("unknown", code="400"), 1),
        (garbage(b'{"error":"busy"}', 500), SendResult("unknown", code="500"), 1),
    ],
)
async def test_send_that_ends_otherwise(wire, fault, result, arrived):
    wire.simulator.fail("messages", fault)
    assert await send(wire) == result
    assert len(wire.simulator.sent) == arrived
    assert len(wire.simulator.calls) == 1


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"x-business-use-case-usage": '{"1":[{"type":"messenger","estimated_time_to_regain_access":3}]}'}, 180.0),
        ({"x-business-use-case-usage": '{"1":[{"estimated_time_to_regain_access":99999}]}'}, 86400.0),
        ({"x-business-use-case-usage": '{"1":[{"estimated_time_to_regain_access":0}],"2":7}'}, None),
        ({"x-business-use-case-usage": "soon"}, None),
        ({"x-business-use-case-usage": '[{"estimated_time_to_regain_access":3}]'}, None),
        ({"x-business-use-case-usage": "[" * 5000}, None),
        ({}, None),
    ],
)
async def test_how_long_to_wait_is_read_from_headers(wire, headers, wait):
    wire.simulator.headers.update(headers)
    wire.simulator.fail("messages", refused(80006))
    assert await send(wire) == SendResult("retry", retry_after=wait, code="80006")


async def test_send_as_the_simulated_graph_refuses_it(wire):
    assert (await send(wire, "я" * 1999)).outcome == "ok"
    assert await send(wire, "я" * 2000) == SendResult("fatal", code="100")
    assert await send(wire, " ") == SendResult("fatal", code="100")
    wire.simulator.unreachable.add(PSID)
    assert await send(wire) == SendResult("fatal", code="551")
    wire.simulator.unreachable.clear()
    wire.simulator.customers = {"1"}
    assert await send(wire) == SendResult("fatal", code="100/2018001")
    wire.simulator.revoke()
    assert await send(wire) == SendResult("reconnect", code="190")


async def test_send_with_a_token_that_is_none_goes_nowhere(wire):
    for token in ("", "with space", "line\nbreak", "Schlüssel"):
        assert await send(wire, credentials=Credentials(token=token, page_id=PAGE)) == SendResult(
            "reconnect", code="190"
        )
    assert not wire.simulator.calls


async def test_an_odd_page_id_stays_inside_of_its_path(wire):
    odd = Credentials(token=wire.credentials["token"], page_id="../me?x=/messages#")
    assert (await send(wire, credentials=odd)).outcome in ("fatal", "unknown")
    assert not wire.simulator.sent


async def test_send_without_a_connection_may_be_retried(wire):
    nobody = SimpleNamespace(**vars(wire) | {"provider": provider_at(f"http://127.0.0.1:{unused_port()}")})
    assert await send(nobody) == SendResult("retry", code="connect_failed")


async def test_typing_reads_and_writes(wire):
    await wire.provider.typing(wire.client, wire.credentials, Recipient(conversation_id=PSID))
    assert [call.parameters["sender_action"] for call in wire.simulator.calls] == ["mark_seen", "typing_on"]
    assert {call.parameters["recipient"]["id"] for call in wire.simulator.calls} == {PSID}
    assert not wire.simulator.sent


@pytest.mark.parametrize("fault", [refused(10), refused(1, status=500), cut(acts=False), slow(2.0), garbage()])
async def test_typing_never_raises(wire, fault):
    wire.simulator.fail("messages", fault, fault)
    await wire.provider.typing(wire.client, wire.credentials, Recipient(conversation_id=PSID))
    assert len(wire.simulator.calls) == 2


async def test_in_process_the_provider_meets_the_same_faults():
    simulator = MetaSimulator(pages=PAGES)
    credentials = Credentials(token=simulator.page_token(PAGE), page_id=PAGE)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        wire = SimpleNamespace(provider=provider_at("https://graph"), client=client, credentials=credentials)
        assert (await send(wire)).outcome == "ok"
        simulator.fail("messages", cut(acts=True), refused(4))
        assert await send(wire) == SendResult("unknown", code="connection_lost")
        assert await send(wire) == SendResult("retry", code="4")
