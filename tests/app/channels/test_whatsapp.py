"""WhatsApp's provider against its simulator: sends, every row of the error table, connecting, and its events."""

import json
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.channels.base import (
    ConnectRefused,
    Credentials,
    Image,
    Media,
    Outgoing,
    ProviderUnavailable,
    Recipient,
    SendResult,
    Template,
)
from app.channels.providers.whatsapp import WhatsApp
from app.simulators.faults import cut, garbage
from app.simulators.meta import META_APP
from app.simulators.whatsapp import WhatsAppSimulator, refused

BSUID, NUMBER = "US.13491208655302741918", "16505551234"
GRAPH = "http://graph.test/v25.0"


@pytest.fixture
async def wire():
    """A simulator, the provider for it, a client and credentials for its number."""
    simulator = WhatsAppSimulator(META_APP)
    own = Credentials(token=simulator.token(), phone_number_id=simulator.phone_number_id, waba_id=simulator.waba_id)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator.app)) as client:
        provider = WhatsApp(GRAPH, META_APP.id, META_APP.secret)
        yield SimpleNamespace(sim=simulator, client=client, provider=provider, credentials=own)


async def send(wire, text="Hello", address=None, credentials=None, **fields):
    to = Recipient(conversation_id=BSUID, address={"to": NUMBER} if address is None else address)
    message = Outgoing(to=to, text=text, delivery_id="d1", **fields)
    return await wire.provider.send(wire.client, credentials or wire.credentials, message)


async def test_send(wire):
    result = await send(wire, reply_to="wamid.asked")
    [sent] = wire.sim.sent
    assert result == SendResult("ok", message_id=sent.message_id)
    assert sent.content == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": NUMBER,
        "type": "text",
        "text": {"body": "Hello", "preview_url": False},
        "context": {"message_id": "wamid.asked"},
        "biz_opaque_callback_data": "jobx:d1",
    }


async def test_whom_it_goes_to(wire):
    for address, where in (
        ({"to": NUMBER, "recipient": BSUID}, {"to": NUMBER}),
        ({"recipient": BSUID}, {"recipient": BSUID}),
        ({}, {"to": BSUID}),
    ):
        await send(wire, address=address)
        content = wire.sim.sent[-1].content
        assert {name: content[name] for name in ("to", "recipient") if name in content} == where


async def test_a_template_and_an_image(wire):
    template = Template(name="write_again", language="en", texts=("Sheena",))
    assert (await send(wire, template=template)).outcome == "ok"
    parameters = [{"type": "text", "text": "Sheena"}]
    assert wire.sim.sent[-1].content["template"] == {
        "name": "write_again",
        "language": {"code": "en"},
        "components": [{"type": "body", "parameters": parameters}],
    }
    assert await send(wire, template=Template(name="unknown", language="en")) == SendResult("fatal", code="132001")
    image = Image(data=b"\x89PNG", mime="image/png", name="size.png")
    assert (await send(wire, "Sizes", image=image)).outcome == "ok"
    assert wire.sim.sent[-1].content["image"]["caption"] == "Sizes"
    wire.sim.fail("media", cut(acts=True))
    assert (await send(wire, image=image)).outcome == "retry"
    gif = Image(data=b"GIF", mime="image/gif", name="x.gif")
    assert await send(wire, image=gif) == SendResult("fatal", code="image_not_taken")


_RECONNECT = (190, 0, 3, 10, 200, 299, 131005)
_FATAL = (131047, 131026, 131050, 131049, 130472, 131021, 131030, 131008, 131009, 100, 131031, 368, 130497)
_FATAL += (131042, 132000, 132016, 999999)
_RETRY = (130429, 4, 80007, 131048, 131064, 131000, 131016, 131057, 2)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *((code, "reconnect") for code in _RECONNECT),
        *((code, "fatal") for code in _FATAL),
        *((code, "retry") for code in _RETRY),
    ],
)
async def test_send_ends_as_the_error_table_says(wire, code, outcome):
    wire.sim.fail("messages", refused(code))
    assert await send(wire) == SendResult(outcome, code=str(code))


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (refused(131056), SendResult("retry", retry_after=6.0, code="131056")),
        (refused(131000, status=500), SendResult("unknown", code="500")),
        (garbage(status=503), SendResult("unknown", code="503")),
        (garbage(status=429, acts=False), SendResult("retry", code="429")),
        (garbage(), SendResult("unknown", code="no_message_id")),
        (garbage(b'{"messages":[]}'), SendResult("unknown", code="no_message_id")),
        (cut(acts=True), SendResult("unknown", code="connection_lost")),
    ],
)
async def test_send_that_ends_otherwise(wire, fault, result):
    wire.sim.fail("messages", fault)
    found = await send(wire)
    assert (found.outcome, found.retry_after) == (result.outcome, result.retry_after)
    assert found.code in (result.code, "unreadable_answer")


async def test_typing_marks_the_message_read(wire):
    await wire.provider.typing(wire.client, wire.credentials, Recipient(conversation_id=BSUID, message_id="wamid.1"))
    await wire.provider.typing(wire.client, wire.credentials, Recipient(conversation_id=BSUID))
    assert list(wire.sim.read) == ["wamid.1"]


async def test_embedded_signup(wire):
    [grant] = await wire.provider.grants(wire.client, wire.sim.code(), "", "")
    assert (grant.account.account_id, grant.account.display_name) == (wire.sim.phone_number_id, "Marlow & Finch")
    assert grant.account.routes == (wire.sim.waba_id,)
    await wire.provider.subscribe(wire.client, Credentials(grant.credentials | {"pin": "123456"}), "", "")
    assert (wire.sim.subscribed, wire.sim.registered_with) == (True, "123456")
    used = wire.sim.code()
    await wire.provider.grants(wire.client, used, "", "")
    late = wire.sim.code()
    wire.sim.codes[late] = 0
    for code in (used, late, "nonsense"):
        with pytest.raises(ConnectRefused) as refusal:
            await wire.provider.grants(wire.client, code, "", "")
        assert refusal.value.code == "bad_code"
    wire.sim.granted = ["whatsapp_business_messaging"]
    with pytest.raises(ConnectRefused, match="whatsapp_business_management"):
        await wire.provider.grants(wire.client, wire.sim.code(), "", "")
    with pytest.raises(ConnectRefused, match=r"FB\.login"):
        wire.provider.authorise_url("s", "u", "v")


async def test_a_token_that_was_typed_in(wire):
    assert (await wire.provider.identify(wire.client, wire.credentials)).account_id == wire.sim.phone_number_id
    for wrong in ({"phone_number_id": "1"}, {"waba_id": "1"}, {"token": "EAAdead"}, {"token": "ä b"}):
        with pytest.raises(ConnectRefused):
            await wire.provider.identify(wire.client, Credentials(wire.credentials | wrong))


async def test_disconnect(wire):
    await wire.provider.subscribe(wire.client, wire.credentials, "", "")
    wire.sim.fail("subscribed_apps", garbage(status=502, acts=False))
    with pytest.raises(ProviderUnavailable):
        await wire.provider.disconnect(wire.client, wire.credentials)
    await wire.provider.disconnect(wire.client, wire.credentials)
    assert not wire.sim.subscribed
    await wire.provider.disconnect(wire.client, Credentials(wire.credentials | {"token": "EAAdead"}))


def _parse(sim, *changes):
    _, body = sim.webhook(*changes)
    return WhatsApp(GRAPH, None, None).parse(body, "")


MESSAGES = {
    "text": ({"text": {"body": "hi"}}, {"kind": "text", "text": "hi", "may_reply": True}),
    "document": (
        {"document": {"id": "7", "filename": "bill.pdf", "mime_type": "application/pdf", "caption": "this"}},
        {"kind": "media", "text": "this", "media": (Media("file", "7", None, "application/pdf", "bill.pdf"),)},
    ),
    "audio": ({"audio": {"id": "7", "voice": True}}, {"kind": "media", "media": (Media("audio", "7"),)}),
    "sticker": ({"sticker": {"id": "7"}}, {"kind": "media", "media": (Media("sticker", "7"),)}),
    "interactive": (
        {"interactive": {"type": "list_reply", "list_reply": {"id": "r1", "title": "Red", "description": "d"}}},
        {"kind": "button", "text": "Red", "payload": "r1", "button_id": "r1", "may_reply": True},
    ),
    "button": ({"button": {"payload": "p", "text": "Yes"}}, {"kind": "button", "text": "Yes", "payload": "p"}),
    "reaction": (
        {"reaction": {"message_id": "wamid.0", "emoji": ""}},
        {"kind": "reaction", "emoji": None, "action": "remove", "target_id": "wamid.0", "may_reply": False},
    ),
    "location": (
        {"location": {"latitude": 48.2, "longitude": 16.37, "name": "Shop"}},
        {"kind": "media", "media": (Media("location", url="geo:48.200000,16.370000", name="Shop"),)},
    ),
    "contacts": (
        {"contacts": [{"name": {"formatted_name": "Ann"}, "phones": [{"phone": "+1 2"}]}]},
        {"kind": "media", "media": (Media("contact", url="tel:+1 2", name="Ann"),)},
    ),
    "edit": (
        {"edit": {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "new"}}}},
        {"kind": "edit", "text": "new", "target_id": "wamid.0", "may_reply": False},
    ),
    "edited caption": (
        {
            "type": "edit",
            "edit": {
                "original_message_id": "wamid.0",
                "message": {"type": "image", "image": {"id": "8", "caption": "new"}},
            },
        },
        {"kind": "edit", "text": "new", "media": (Media("image", "8"),), "target_id": "wamid.0", "may_reply": False},
    ),
    "revoke": ({"revoke": {"original_message_id": "wamid.0"}}, {"kind": "delete", "target_id": "wamid.0"}),
    "unsupported": ({"errors": [{"code": 131051}]}, {"kind": "unsupported", "error_code": 131051}),
    "order": ({"order": {"catalog_id": "1"}}, {"kind": "unsupported"}),
    "system": (
        {"system": {"wa_id": "2", "type": "user_changed_number", "body": "x"}},
        {"kind": "system", "new_wa_id": "2", "reason": "user_changed_number", "may_reply": False},
    ),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_message(kind):
    content, expected = MESSAGES[kind]
    sim = WhatsAppSimulator(META_APP)
    message = {"id": "wamid.1", "from": NUMBER, "from_user_id": BSUID, "timestamp": "1749416383", "type": kind}
    more = {"context": {"id": "wamid.q"}, "referral": {"source_id": "ad7"}}
    others = [{"wa_id": "9", "profile": {"name": "Other"}}, {"user_id": BSUID, "profile": {"name": "Sheena"}}]
    [event] = _parse(sim, sim.change(contacts=others, messages=[message | more | content]))
    found = vars(event)
    assert {name: found[name] for name in expected} == expected
    assert (event.conversation_id, event.aliases, event.sender_name) == (BSUID, (NUMBER,), "Sheena")
    assert (event.reply_to_id, event.ad_id, event.timestamp_ms) == ("wamid.q", "ad7", 1749416383000)
    assert event.address == {"recipient": BSUID, "to": NUMBER}


def test_groups_echoes_statuses_and_accounts():
    sim = WhatsAppSimulator(META_APP)
    message = {"id": "wamid.1", "from": NUMBER, "group_id": "g", "type": "text", "text": {"body": "hi"}}
    [event] = _parse(sim, sim.change(messages=[message]))
    assert (event.kind, event.reason, event.may_reply, event.text) == ("system", "group_chat", False, None)
    echo = {"id": "wamid.2", "from": "1", "to": NUMBER, "type": "text", "text": {"body": "I am here"}}
    change = sim.change(message_echoes=[echo]) | {"field": "smb_message_echoes"}
    [event] = _parse(sim, change)
    assert (event.kind, event.direction, event.echo_origin, event.customer_id) == ("echo", "out", "human", NUMBER)
    status = {"id": "wamid.3", "status": "failed", "errors": [{"code": 131056}], "biz_opaque_callback_data": "jobx:d1"}
    [event] = _parse(sim, sim.change(statuses=[status]))
    assert (event.kind, event.error_code, event.retryable, event.delivery_id) == ("failed", 131056, True, "d1")
    gone = {"field": "account_update", "value": {"event": "PARTNER_REMOVED", "waba_info": {"waba_id": "77"}}}
    held = {"field": "account_update", "value": {"event": "ACCOUNT_RESTRICTION"}}
    first, second = _parse(sim, gone, held)
    assert (first.kind, first.account_id, first.reason) == ("account_removed", "77", "PARTNER_REMOVED")
    assert (second.kind, second.account_id) == ("system", sim.waba_id)


def test_each_number_gets_its_own_part():
    sim, other = WhatsAppSimulator(META_APP), WhatsAppSimulator(META_APP, phone_number_id="2")
    _, body = sim.webhook(sim.message("one"), other.message("two"), {"field": "history", "value": {}})
    provider = WhatsApp(GRAPH, None, None)
    parts = provider.parts(body)
    assert [part.account_id for part in parts] == [sim.phone_number_id, "2"]
    assert [[event.text for event in provider.parse(part.body, "")] for part in parts] == [["one"], ["two"]]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(MESSAGES)), name=st.sampled_from(["id", "from", "timestamp", "type", ""]), value=_JSON
)
def test_no_change_to_a_message_makes_it_raise(kind, name, value):
    sim = WhatsAppSimulator(META_APP)
    message = {"id": "wamid.1", "from": NUMBER, "timestamp": "1", "type": kind} | MESSAGES[kind][0]
    message[name or kind] = value
    for change in (sim.change(messages=[message]), sim.change(statuses=[message]), sim.change(contacts=value)):
        _, body = sim.webhook(change)
        provider = WhatsApp(GRAPH, None, None)
        for part in provider.parts(body):
            for event in provider.parse(part.body, ""):
                assert event.dedup_id
                json.dumps(vars(event), default=str).encode()
