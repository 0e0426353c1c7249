"""TikTok's events: each row of the reference, what may be stored of them, and bodies that may hold anything."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.channels.base import InboundEvent, Media
from app.channels.providers.tiktok import TikTok
from app.channels.tiktok_events import reduced

BIZ, CUSTOMER, TALK = "-000m4JH_b1=", "+ZMM6I2k==", "u5Jhp=="
TIKTOK = TikTok("http://tiktok.test", "http://tiktok.test", None, None)
INBOUND = {
    "timestamp": 1789814497488,
    "unique_identifier": CUSTOMER,
    "from_user": {"id": CUSTOMER, "role": "personal_account"},
    "to_user": {"id": BIZ, "role": "business_account"},
    "from": "wthzu_nb",
    "to": "hunghero32",
    "conversation_id": TALK,
    "message_id": "m1",
    "scene_type": 0,
    "is_follower": True,
    "message_tag": {"source": "APP"},
}
OUTBOUND = INBOUND | {
    "from_user": INBOUND["to_user"],
    "to_user": INBOUND["from_user"],
    "from": "hunghero32",
    "to": "wthzu_nb",
}
WHO = {
    "conversation_id": TALK,
    "customer_id": CUSTOMER,
    "sender_id": CUSTOMER,
    "sender_name": "wthzu_nb",
    "timestamp_ms": 1789814497488,
}
IN = WHO | {"direction": "in", "dedup_id": "m1", "message_id": "m1"}
OUT = IN | {"direction": "out", "sender_id": BIZ, "sender_name": "hunghero32", "kind": "echo"}
SECRETS = ("id-of-media", "https://address.example/of/it", "cursor-of-video")

ROWS = {
    "text": ("im_receive_msg", INBOUND | {"type": "text", "text": {"body": "hi"}}, {"kind": "text", "text": "hi"}),
    "image": (
        "im_receive_msg",
        INBOUND | {"type": "image", "image": {"media_id": SECRETS[0]}},
        {"kind": "media", "media": (Media("image", SECRETS[0]),)},
    ),
    "video": (
        "im_receive_msg",
        INBOUND | {"type": "video", "video": {"media_id": SECRETS[0]}},
        {"kind": "media", "media": (Media("video", SECRETS[0]),)},
    ),
    "share": (
        "im_receive_msg",
        INBOUND | {"type": "share_post", "share_post": {"embed_url": SECRETS[1], "video_id": SECRETS[2]}},
        {"kind": "share", "share_url": SECRETS[1]},
    ),
    "sticker": (
        "im_receive_msg",
        INBOUND | {"type": "sticker", "sticker": {"url": SECRETS[1]}},
        {"kind": "media", "media": (Media("sticker", None, SECRETS[1]),)},
    ),
    "emoji": (
        "im_receive_msg",
        INBOUND | {"type": "emoji", "emoji": {"url": SECRETS[1]}},
        {"kind": "media", "media": (Media("sticker", None, SECRETS[1]),)},
    ),
    "reaction": (
        "im_receive_msg",
        INBOUND
        | {
            "type": "reaction",
            "reaction": [{"operation": "REMOVE", "emoji": "x", "original_msg_id": "m0", "type": "E"}],
        },
        {"kind": "reaction", "emoji": "x", "action": "remove", "target_id": "m0", "may_reply": False},
    ),
    "tapped button": (
        "im_receive_msg",
        INBOUND | {"type": "text", "text": {"body": "Yes"}, "reply_source_payload": {"reply_source_msg_id": "m0"}},
        {"kind": "text", "text": "Yes", "reply_to_id": "m0"},
    ),
    "quoted": (
        "im_receive_msg",
        INBOUND | {"type": "text", "text": {"body": "it"}, "referenced_message_info": {"referenced_message_id": "m0"}},
        {"kind": "text", "text": "it", "reply_to_id": "m0"},
    ),
    "unknown type": ("im_receive_msg", INBOUND | {"type": "new"}, {"kind": "unsupported", "may_reply": False}),
    "own send": (
        "im_send_msg",
        OUTBOUND | {"type": "text", "text": {"body": "9"}, "message_tag": {"source": "API"}},
        OUT | {"text": "9", "echo_origin": "api"},
    ),
    "a person in the app": (
        "im_send_msg",
        OUTBOUND | {"type": "text", "text": {"body": "9"}},
        OUT | {"text": "9", "echo_origin": "human"},
    ),
    "a person on the web": (
        "im_send_msg",
        OUTBOUND | {"message_tag": {"source": "WEB"}},
        OUT | {"echo_origin": "human"},
    ),
    "nobody knows": ("im_send_msg", OUTBOUND | {"message_tag": {"source": "OTHERS"}}, OUT | {"echo_origin": "unknown"}),
    "TikTok's own greeting": (
        "im_send_msg",
        OUTBOUND | {"auto_message_type": "WELCOME_MESSAGE", "type": "text", "text": {"body": "Welcome"}},
        OUT | {"text": "Welcome", "echo_origin": "automation"},
    ),
    "own card": (
        "im_send_msg",
        OUTBOUND | {"type": "template", "template": {"elements": [{"title": "A"}]}, "message_tag": {"source": "API"}},
        OUT | {"echo_origin": "api"},
    ),
    "read": (
        "im_mark_read_msg",
        {name: value for name, value in INBOUND.items() if name != "message_id"}
        | {"read": {"last_read_timestamp": 1789814600000}},
        WHO
        | {
            "kind": "read",
            "direction": "in",
            "dedup_id": f"read:{TALK}:1789814600000",
            "watermark_ms": 1789814600000,
            "message_id": None,
            "may_reply": False,
        },
    ),
}


def _body(event, content, **more):
    envelope = {"client_key": "a", "event": event, "create_time": 1789814497, "user_openid": BIZ}
    return json.dumps(envelope | {"content": json.dumps(content)} | more).encode()


@pytest.mark.parametrize("row", ROWS)
def test_every_event(row):
    name, content, expected = ROWS[row]
    [event] = TIKTOK.parse(_body(name, content), BIZ)
    base = IN | {"may_reply": True} if name == "im_receive_msg" else {"may_reply": False}
    wanted = InboundEvent(channel="tiktok", account_id=BIZ, **(base | expected))
    assert event == wanted


def test_events_without_a_conversation():
    stripped = {"to": "hunghero32", "to_user": INBOUND["to_user"], "timestamp": 5}
    [event] = TIKTOK.parse(_body("im_receive_msg_eu", stripped), BIZ)
    assert (event.kind, event.direction, event.conversation_id, event.may_reply) == ("stripped", "in", None, False)
    [event] = TIKTOK.parse(_body("authorization.removed", {"reason": 4}), BIZ)
    assert (event.kind, event.direction, event.reason, event.timestamp_ms) == (
        "account_removed",
        "system",
        4,
        1789814497000,
    )
    referral = INBOUND | {"referral": {"source": "ad", "ad": {"ad_id": 77, "ad_name": "Spring"}}}
    [event] = TIKTOK.parse(_body("im_referral_msg", referral), BIZ)
    assert (event.kind, event.ad_id, event.may_reply) == ("referral", "77", False)
    [event] = TIKTOK.parse(_body("im_new_thing", INBOUND), BIZ)
    assert (event.kind, event.may_reply) == ("unsupported", False)
    for name in ("im_auto_message_config_update", "im_auto_message_audit_update", "im_receive_high_intent_comment"):
        assert TIKTOK.parse(_body(name, {}), BIZ) == []


@pytest.mark.parametrize("row", ROWS)
def test_what_is_stored_says_the_same_without_media(row):
    """DESIGN, promise 6: media, shares and stickers become their type."""
    name, content, _ = ROWS[row]
    body = _body(name, content | {"profile_image": SECRETS[1], "image_list": [{"url": SECRETS[1]}]}, more=SECRETS[1])
    [part] = TIKTOK.parts(body)
    assert part.account_id == BIZ
    assert not any(secret.encode() in part.body for secret in SECRETS)
    [whole], [stored] = TIKTOK.parse(body, BIZ), TIKTOK.parse(part.body, BIZ)
    less = {"media": tuple(Media(each.type) for each in whole.media), "share_url": None}
    assert vars(stored) == vars(whole) | less
    # Once reduced it stays as it is.
    assert json.loads(reduced(part.body)) == json.loads(part.body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _places(value, at=()):
    yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, (*at, name))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=st.sampled_from(sorted(ROWS)), data=st.data(), value=_JSON)
def test_no_change_to_an_event_makes_it_raise(row, data, value):
    name, content, _ = copy.deepcopy(ROWS[row])
    place = data.draw(st.sampled_from(list(_places(content))))
    if place:
        inner = content
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
    else:
        content = value
    body = _body(name, content, something=value)
    for part in TIKTOK.parts(body):
        stored = TIKTOK.parse(part.body, BIZ)
        assert len(stored) == len(TIKTOK.parse(body, BIZ)) == 1
        assert stored[0].dedup_id == TIKTOK.parse(body, BIZ)[0].dedup_id


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"\xff", b"[" * 100_000, b"{}", b'{"event":1}', b'{"event":"x"}']
)
def test_what_is_no_event_gives_nothing(body):
    assert (TIKTOK.parts(body), TIKTOK.parse(body, BIZ)) == ([], [])
