"""Telegram updates as events: every kind, the shared cases, and whatever else could arrive."""

import copy
import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.channels.base import InboundEvent, Media
from app.channels.providers.telegram import Telegram
from app.simulators.telegram import text_update
from tests.app.channels import cases

# A busy machine is no failure.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BOT = "7000000001"
PERSON = {"id": 5123456789, "is_bot": False, "first_name": "Ada", "last_name": "B", "username": "ada"}
CHAT = {"id": 5123456789, "type": "private"}
GROUP = {"id": -1001234567890, "type": "supergroup"}
OWNER = {"id": 6111111111, "is_bot": False, "first_name": "Olena"}
MESSAGE = {"message_id": 41, "from": PERSON, "chat": CHAT, "date": 1789814498}
BUSINESS = MESSAGE | {"business_connection_id": "bc_1"}
BY_OWNER = BUSINESS | {"from": OWNER}
BUTTONS = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}, {"text": "Book", "callback_data": "book:1"}]]}
BY_BOT = {
    "message_id": 90,
    "from": {"id": 7000000001, "is_bot": True},
    "chat": CHAT,
    "date": 1,
    "reply_markup": BUTTONS,
}
TAP = {"id": "4382bfdwdsb323b2d9", "from": PERSON, "message": BY_BOT, "data": "book:1"}
CUSTOMER = {"conversation_id": "5123456789", "customer_id": "5123456789", "sender_id": "5123456789"}
WITH_NAME = CUSTOMER | {"sender_name": "Ada B"}
IN = WITH_NAME | {"direction": "in", "message_id": "41", "timestamp_ms": 1789814498000}
VIA_BUSINESS = IN | {"business_connection_id": "bc_1"}
ECHO = VIA_BUSINESS | {"direction": "out", "sender_id": "6111111111", "sender_name": "Olena"}
PHOTO = [{"file_id": "small"}, {"file_id": "large"}]
VOICE = {"file_id": "v", "mime_type": "audio/ogg"}
FILE = {"file_id": "d", "mime_type": "application/pdf", "file_name": "bill.pdf"}

UPDATES = {
    "text": ("message", MESSAGE | {"text": "hi"}, IN | {"kind": "text", "text": "hi", "may_reply": True}),
    "nul and lone surrogate": (
        "message",
        MESSAGE | {"text": "a\x00b\ud83d"},
        IN | {"kind": "text", "text": "ab\ufffd", "may_reply": True},
    ),
    "quoted": (
        "message",
        MESSAGE | {"text": "this", "reply_to_message": BY_BOT},
        IN | {"kind": "text", "text": "this", "reply_to_id": "90", "may_reply": True},
    ),
    "photo": (
        "message",
        MESSAGE | {"photo": PHOTO, "caption": "this one?", "media_group_id": "1"},
        IN | {"kind": "media", "text": "this one?", "media": (Media("image", "large"),), "may_reply": True},
    ),
    "voice": (
        "message",
        MESSAGE | {"voice": VOICE},
        IN | {"kind": "media", "media": (Media("audio", "v", mime="audio/ogg"),), "may_reply": True},
    ),
    "document": (
        "message",
        MESSAGE | {"document": FILE},
        IN | {"kind": "media", "media": (Media("file", "d", None, "application/pdf", "bill.pdf"),), "may_reply": True},
    ),
    "animation": (
        "message",
        MESSAGE | {"document": FILE, "animation": {"file_id": "g"}},
        IN | {"kind": "media", "media": (Media("video", "g"),), "may_reply": True},
    ),
    "sticker": (
        "message",
        MESSAGE | {"sticker": {"file_id": "s", "emoji": "👍"}},
        IN | {"kind": "media", "media": (Media("sticker", "s"),), "may_reply": True},
    ),
    "location": (
        "message",
        MESSAGE | {"location": {"latitude": 50.45, "longitude": 30.52}},
        IN | {"kind": "media", "media": (Media("location", url="geo:50.450000,30.520000"),), "may_reply": True},
    ),
    "venue": (
        "message",
        MESSAGE | {"venue": {"title": "Salon", "location": {"latitude": 1, "longitude": 2}}, "location": {}},
        IN
        | {
            "kind": "media",
            "media": (Media("location", url="geo:1.000000,2.000000", name="Salon"),),
            "may_reply": True,
        },
    ),
    "contact": (
        "message",
        MESSAGE | {"contact": {"phone_number": "+380441234567", "first_name": "Ada"}},
        IN | {"kind": "media", "media": (Media("contact", url="tel:+380441234567", name="Ada"),), "may_reply": True},
    ),
    "poll": ("message", MESSAGE | {"poll": {"id": "1"}}, IN | {"kind": "unsupported"}),
    "new type": ("message", MESSAGE | {"hologram": {"file_id": "1"}}, IN | {"kind": "unsupported"}),
    "pinned": ("message", MESSAGE | {"pinned_message": BY_BOT}, IN | {"kind": "system"}),
    "of a bot": (
        "message",
        MESSAGE | {"from": PERSON | {"is_bot": True}, "text": "beep"},
        IN | {"kind": "text", "text": "beep", "may_reply": False},
    ),
    "edit": (
        "edited_message",
        MESSAGE | {"text": "hi!", "edit_date": 1789814510},
        IN | {"kind": "edit", "text": "hi!", "target_id": "41", "timestamp_ms": 1789814510000},
    ),
    "edited caption": (
        "edited_message",
        MESSAGE | {"photo": PHOTO, "caption": "that"},
        IN | {"kind": "edit", "text": "that", "target_id": "41", "media": (Media("image", "large"),)},
    ),
    "tap": (
        "callback_query",
        TAP,
        WITH_NAME
        | {
            "kind": "button",
            "direction": "in",
            "text": "Book",
            "payload": "book:1",
            "callback_id": "4382bfdwdsb323b2d9",
        }
        | {"target_id": "90", "may_reply": True},
    ),
    "tap on a message that is gone": (
        "callback_query",
        TAP | {"message": {"chat": CHAT, "message_id": 90, "date": 0}},
        WITH_NAME
        | {"kind": "button", "direction": "in", "payload": "book:1", "callback_id": "4382bfdwdsb323b2d9"}
        | {"target_id": "90", "may_reply": True},
    ),
    "tap on an inline message": (
        "callback_query",
        {"id": "1", "from": PERSON, "inline_message_id": "x", "data": "d"},
        {"kind": "button", "direction": "in", "payload": "d", "callback_id": "1", "customer_id": "5123456789"}
        | {"sender_id": "5123456789", "sender_name": "Ada B"},
    ),
    "blocked": (
        "my_chat_member",
        {"chat": CHAT, "from": PERSON, "date": 1789814498, "new_chat_member": {"status": "kicked"}},
        WITH_NAME | {"kind": "blocked", "direction": "in", "timestamp_ms": 1789814498000},
    ),
    "unblocked": (
        "my_chat_member",
        {"chat": CHAT, "from": PERSON, "date": 1789814498, "new_chat_member": {"status": "member"}},
        WITH_NAME | {"kind": "system", "direction": "in", "reason": "unblocked", "timestamp_ms": 1789814498000},
    ),
    "business connection": (
        "business_connection",
        {"id": "bc_1", "user": OWNER, "date": 1789814498, "is_enabled": True, "rights": {"can_reply": True}},
        {"kind": "system", "direction": "system", "business_connection_id": "bc_1", "action": "enabled"}
        | {"timestamp_ms": 1789814498000},
    ),
    "business connection without the right": (
        "business_connection",
        {"id": "bc_1", "user": OWNER, "date": 1789814498, "is_enabled": True, "rights": {}},
        {"kind": "system", "direction": "system", "business_connection_id": "bc_1", "action": "enabled"}
        | {"timestamp_ms": 1789814498000, "reason": "no_right_to_reply"},
    ),
    "business connection ended": (
        "business_connection",
        {"id": "bc_1", "user": OWNER, "date": 1789814498, "is_enabled": False},
        {"kind": "system", "direction": "system", "business_connection_id": "bc_1", "action": "disabled"}
        | {"timestamp_ms": 1789814498000},
    ),
    "business text": (
        "business_message",
        BUSINESS | {"text": "hi"},
        VIA_BUSINESS | {"kind": "text", "text": "hi", "may_reply": True},
    ),
    "business, by our bot": (
        "business_message",
        BY_OWNER | {"text": "yes", "sender_business_bot": {"id": 7000000001}},
        ECHO | {"kind": "echo", "text": "yes", "echo_origin": "api"},
    ),
    "business, by another bot": (
        "business_message",
        BY_OWNER | {"text": "yes", "sender_business_bot": {"id": 7000000002}},
        ECHO | {"kind": "echo", "text": "yes", "echo_origin": "automation"},
    ),
    "business, by the owner": (
        "business_message",
        BY_OWNER | {"photo": PHOTO},
        ECHO | {"kind": "echo", "media": (Media("image", "large"),), "echo_origin": "human"},
    ),
    "business, away message": (
        "business_message",
        BY_OWNER | {"text": "closed", "is_from_offline": True},
        ECHO | {"kind": "echo", "text": "closed", "echo_origin": "automation"},
    ),
    "business, edited by the customer": (
        "edited_business_message",
        BUSINESS | {"text": "hi!"},
        VIA_BUSINESS | {"kind": "edit", "text": "hi!", "target_id": "41"},
    ),
    "business, edited by the owner": (
        "edited_business_message",
        BY_OWNER | {"text": "hi!"},
        ECHO | {"kind": "edit", "text": "hi!", "target_id": "41", "echo_origin": "human"},
    ),
    "business, deleted": (
        "deleted_business_messages",
        {"business_connection_id": "bc_1", "chat": CHAT, "message_ids": [41, 42]},
        CUSTOMER | {"kind": "delete", "direction": "in", "target_ids": ("41", "42"), "business_connection_id": "bc_1"},
    ),
    "business, one deleted": (
        "deleted_business_messages",
        {"business_connection_id": "bc_1", "chat": CHAT, "message_ids": [41]},
        CUSTOMER
        | {"kind": "delete", "direction": "in", "target_id": "41", "target_ids": ("41",)}
        | {"business_connection_id": "bc_1"},
    ),
    "group text": ("message", MESSAGE | {"chat": GROUP, "text": "hi all"}, {"conversation_id": "-1001234567890"}),
    "group edit": ("edited_message", MESSAGE | {"chat": GROUP, "text": "x"}, {"conversation_id": "-1001234567890"}),
    "group tap": ("callback_query", TAP | {"message": BY_BOT | {"chat": GROUP}}, {"conversation_id": "-1001234567890"}),
    "added to a group": (
        "my_chat_member",
        {"chat": GROUP, "from": PERSON, "date": 1, "new_chat_member": {"status": "member"}},
        {"conversation_id": "-1001234567890"},
    ),
    "channel post": ("channel_post", {"chat": GROUP, "date": 1, "text": "x"}, {"conversation_id": "-1001234567890"}),
    "unknown with a chat": (
        "message_reaction",
        {"chat": CHAT, "user": PERSON, "message_id": 41, "date": 1789814498},
        CUSTOMER | {"kind": "unsupported", "direction": "in", "message_id": "41", "timestamp_ms": 1789814498000},
    ),
    "unknown without a chat": ("poll", {"id": "1"}, {"kind": "unsupported", "direction": "in"}),
}
IN_GROUP = {"kind": "system", "direction": "system", "reason": "group_chat"}


def parse(name, value, update_id=900000001):
    return Telegram().parse(json.dumps({"update_id": update_id, name: value}).encode(), BOT)


@pytest.mark.parametrize("case", UPDATES)
def test_every_update_is_one_event(case):
    name, value, expected = UPDATES[case]
    [event] = parse(name, value)
    stamp = {"channel": "telegram", "account_id": BOT, "dedup_id": "900000001"}
    defaults = vars(InboundEvent(kind="text", direction="in", **stamp))
    group = IN_GROUP if "-100" in expected.get("conversation_id", "") else {}
    assert vars(event) == defaults | stamp | group | expected


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff\xfe\x00", b"null", b"7", b"[]", b"[" * 100_000, b"9" * 5000, b"{}"),
        b'{"update_id":1}',
        b'{"update_id":true,"message":{}}',
        b'{"message":{"text":"x"}}',
        b'{"update_id":1,"message":"x"}',
        b'{"update_id":1e400,"message":{}}',
    ],
)
def test_what_is_no_update_gives_nothing(body):
    assert Telegram().parse(body, BOT) == []


def test_an_update_of_the_simulator_is_read():
    update = text_update(5, "hi", update_id=7, message_id=9, name="Ada", date=1789814498)
    [event] = Telegram().parse(json.dumps(update).encode(), "1")
    assert (event.kind, event.text, event.conversation_id, event.sender_name) == ("text", "hi", "5", "Ada")
    assert (event.dedup_id, event.message_id, event.timestamp_ms, event.may_reply) == ("7", "9", 1789814498000, True)
    assert text_update(5, "hi")["message"]["date"] > 1_700_000_000


CASES = cases.load("telegram-*.json")


def test_shared_cases_are_there():
    if not CASES:
        pytest.skip(f"no telegram-*.json in {cases.FOLDER} (CHANNEL_CASES): the shared cases were not run")
    assert {case["channel"] for case in CASES} == {"telegram"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_shared_case(case):
    telegram, secrets, body = Telegram(), case["secrets"], cases.body_of(case)
    valid = telegram.verify(case["request"]["headers"], body, secrets["secret_token"], case.get("now", 0))
    first, second = ([*map(cases.plain, telegram.parse(body, secrets["bot_id"]))] if valid else [] for _ in "12")
    assert cases.differences(case, cases.Outcome(first, signature_valid=valid, again=second)) == []


@pytest.mark.parametrize("case", [case for case in CASES if "duplicate" in case["id"]], ids=lambda case: case["id"])
def test_a_redelivered_case_has_the_id_of_its_first(case):
    first_id = case["expected"]["events"][0]["duplicate_of"]
    [first] = cases.load(f"{first_id}.json")
    [ours], [firsts] = (Telegram().parse(cases.body_of(each), BOT) for each in (case, first))
    assert ours.dedup_id == firsts.dedup_id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("a\x00\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def nodes(value, path=()):
    """The paths of everything inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from nodes(inner, (*path, key))


def check(events, account_id):
    for event in events:
        assert event.account_id == account_id
        assert event.dedup_id
        stored = json.dumps(dataclasses.asdict(event), ensure_ascii=False).encode()  # fails on a lone surrogate
        assert b"\\u0000" not in stored
        if event.conversation_id is None or event.conversation_id.startswith("-"):
            assert not event.may_reply


@CALM
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_it_raise(body):
    check(Telegram().parse(body, BOT), BOT)


@CALM
@given(st.data())
def test_no_change_to_an_update_makes_it_raise(data):
    name, value, _ = UPDATES[data.draw(st.sampled_from(sorted(UPDATES)))]
    update = copy.deepcopy({"update_id": 1, name: value})
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(list(nodes(update))))
        inner = update
        for key in path:
            inner = inner[key]
        inner[last] = data.draw(json_values)
    check(Telegram().parse(json.dumps(update).encode(), BOT), BOT)
