"""Bodies of Messenger and Instagram webhooks, and what a customer's event in them is read as."""

import dataclasses
import json

from app.channels.base import InboundEvent, Media
from app.channels.providers.instagram import Instagram
from app.channels.providers.messenger import Messenger

PAGE, PSID, IG, IGSID = "863503883522801", "6724571234567890", "17841405822304914", "1254477777772919"
AT = 1789814498123
APP, IG_APP = "1517776481860111", "2223334445556667"


def messenger(app_id=APP):
    return Messenger("https://graph.example/v25.0", "https://www.example/v25.0", app_id, "secret")


def instagram(app_id=IG_APP, page_app_id=APP):
    return Instagram(
        "https://ig.example/v25.0", "https://ig.example", "https://ig.example", app_id, "s", "https://g", page_app_id
    )


PROVIDERS = {"page": (messenger(), PAGE, PSID), "instagram": (instagram(), IG, IGSID)}
OBJECTS = tuple(PROVIDERS)


def item(object_name, *, out=False, at=AT, **content):
    _, account, customer = PROVIDERS[object_name]
    sender, recipient = (account, customer) if out else (customer, account)
    stamp = {} if at is None else {"timestamp": at}
    return {"sender": {"id": sender}, "recipient": {"id": recipient}} | stamp | content


def envelope(object_name, *items, name="messaging", account=None):
    entry = {"id": account or PROVIDERS[object_name][1], "time": AT + 277, name: list(items)}
    return json.dumps({"object": object_name, "entry": [entry]}).encode()


def read(object_name, *items, **more):
    provider, account, _ = PROVIDERS[object_name]
    return provider.parse(envelope(object_name, *items, **more), account)


def seen(event):
    """What an event says beside its defaults."""
    default = InboundEvent(channel="", kind="text", direction="in", account_id="", dedup_id="")
    fields = dataclasses.asdict(event)
    return {
        name: getattr(event, name)
        for name in fields
        if name in ("kind", "direction") or getattr(event, name) != getattr(default, name)
    }


def message(**content):
    return {"message": {"mid": "m_1"} | content}


def attached(kind, payload="none", **more):
    """A message with one attachment."""
    return message(attachments=[{"type": kind} | ({} if payload == "none" else {"payload": payload})], **more)


MID = {"message_id": "m_1", "dedup_id": "m_1"}
TEXT = MID | {"kind": "text", "may_reply": True}
MEDIA = MID | {"kind": "media", "may_reply": True}
SHARE = MID | {"kind": "share", "may_reply": True}
UNSUPPORTED = MID | {"kind": "unsupported"}
URL = {"url": "https://cdn.example/1"}
IMAGE, STICKER = Media("image", url=URL["url"]), Media("sticker", url=URL["url"])
STUCK = URL | {"sticker_id": 369239263222822}

# What a customer sends, in the form that is the same on both channels.
BOTH = {
    "text": (message(text="Hi"), TEXT | {"text": "Hi"}),
    "nul and lone surrogate": (message(text="a\x00b\ud83d"), TEXT | {"text": "ab\ufffd"}),
    "answer to a message": (
        message(text="this", reply_to={"mid": "m_0", "is_self_reply": False}),
        TEXT | {"text": "this", "reply_to_id": "m_0"},
    ),
    "quick reply": (
        message(text="Red", quick_reply={"payload": "RED"}),
        MID | {"kind": "button", "text": "Red", "payload": "RED", "may_reply": True},
    ),
    "text from an advertisement": (
        message(text="Hi", referral={"ref": "r", "ad_id": 120200000000000001, "source": "ADS"}),
        TEXT | {"text": "Hi", "ad_id": "120200000000000001"},
    ),
    "image": (attached("image", URL), MEDIA | {"media": (IMAGE,)}),
    "image with a text": (attached("image", URL, text="this?"), MEDIA | {"media": (IMAGE,), "text": "this?"}),
    "audio": (attached("audio", URL), MEDIA | {"media": (Media("audio", url=URL["url"]),)}),
    "video": (attached("video", URL), MEDIA | {"media": (Media("video", url=URL["url"]),)}),
    "file": (attached("file", URL), MEDIA | {"media": (Media("file", url=URL["url"]),)}),
    "file that is gone": (attached("file"), MEDIA | {"media": (Media("file"),)}),
    "sticker": (attached("sticker", STUCK), MEDIA | {"media": (STICKER,)}),
    "sticker without an address": (
        attached("sticker", {"sticker_id": 7}),
        MEDIA | {"media": (Media("sticker", id="7"),)},
    ),
    "sticker as it was": (attached("image", STUCK), MEDIA | {"media": (STICKER,)}),
    "sticker twice": (
        message(attachments=[{"type": "image", "payload": STUCK}, {"type": "sticker", "payload": STUCK}]),
        MEDIA | {"media": (STICKER,)},
    ),
    "two images": (
        message(attachments=[{"type": "image", "payload": URL}, {"type": "image", "payload": {"url": "https://b"}}]),
        MEDIA | {"media": (IMAGE, Media("image", url="https://b"))},
    ),
    "link in a text": (
        attached("fallback", URL, text="see https://cdn.example/1"),
        TEXT | {"text": "see https://cdn.example/1", "share_url": URL["url"]},
    ),
    "link alone": (attached("fallback", URL), SHARE | {"share_url": URL["url"]}),
    "unsupported share": (attached("fallback", None), UNSUPPORTED),
    "unsupported share without payload": (attached("fallback"), UNSUPPORTED),
    "unsupported share with a text": (attached("fallback", None, text="look"), TEXT | {"text": "look"}),
    **{
        kind: (attached(kind, URL | {"title": "t"}), SHARE | {"share_url": URL["url"]})
        for kind in ("share", "reel", "ig_reel", "post", "ig_post", "ig_story")
    },
    "post with a text": (attached("ig_post", URL, text="this?"), SHARE | {"share_url": URL["url"], "text": "this?"}),
    "story mention": (attached("story_mention", URL), MEDIA | {"media": (Media("story_mention", url=URL["url"]),)}),
    "story reply": (
        message(text="wow", reply_to={"story": {"id": 178, "url": "https://story.example"}}),
        TEXT | {"text": "wow", "reply_to_id": "178", "share_url": "https://story.example"},
    ),
    "template": (attached("template", {"template_type": "generic"}), UNSUPPORTED),
    "appointment": (attached("appointment_booking", {}), UNSUPPORTED),
    "new type": (attached("hologram", URL), UNSUPPORTED),
    "new type with a text": (attached("hologram", URL, text="see"), TEXT | {"text": "see"}),
    "nothing in it": (message(), UNSUPPORTED),
    "said to be unsupported": (message(is_unsupported=True), UNSUPPORTED),
    "deleted": (message(is_deleted=True), {"kind": "delete", "dedup_id": "m_1:delete", "target_id": "m_1"}),
    "edit": (
        {"message_edit": {"mid": "m_1", "text": "Hey", "num_edit": 2}},
        {"kind": "edit", "dedup_id": "m_1:edit:2", "message_id": "m_1", "target_id": "m_1", "text": "Hey"},
    ),
    "edit counted in text": (
        {"message_edit": {"mid": "m_1", "text": "Hey", "num_edit": "2"}},
        {"kind": "edit", "dedup_id": "m_1:edit:2", "message_id": "m_1", "target_id": "m_1", "text": "Hey"},
    ),
    "reaction": (
        {"reaction": {"mid": "m_0", "action": "react", "emoji": "❤", "reaction": "love"}},
        {"kind": "reaction", "target_id": "m_0", "emoji": "❤", "action": "add"},
    ),
    "reaction without emoji": (
        {"reaction": {"mid": "m_0", "action": "react", "reaction": "other"}},
        {"kind": "reaction", "target_id": "m_0", "emoji": "other", "action": "add"},
    ),
    "reaction taken back": (
        {"reaction": {"mid": "m_0", "action": "unreact"}},
        {"kind": "reaction", "target_id": "m_0", "action": "remove"},
    ),
    "button": (
        {"postback": {"mid": "m_1", "title": "Book", "payload": "BOOK"}},
        MID | {"kind": "button", "text": "Book", "payload": "BOOK", "may_reply": True},
    ),
    "button from an advertisement": (
        {"postback": {"mid": "m_1", "title": "Start", "payload": "S", "referral": {"ad_id": "1"}}},
        MID | {"kind": "button", "text": "Start", "payload": "S", "ad_id": "1", "may_reply": True},
    ),
    "referral": (
        {"referral": {"ref": "salon", "ad_id": "120", "source": "ADS", "type": "OPEN_THREAD"}},
        {"kind": "referral", "ad_id": "120", "payload": "salon"},
    ),
    "thread passed": (
        {"pass_thread_control": {"previous_owner_app_id": "1", "new_owner_app_id": 2}},
        {"kind": "thread_control", "direction": "system", "action": "pass", "reason": "2"},
    ),
    "thread taken": (
        {"take_thread_control": {"previous_owner_app_id": "1"}},
        {"kind": "thread_control", "direction": "system", "action": "take", "reason": "1"},
    ),
    "thread asked for": (
        {"request_thread_control": {"requested_owner_app_id": "3"}},
        {"kind": "thread_control", "direction": "system", "action": "request", "reason": "3"},
    ),
    "new event": ({"hologram": {"x": 1}}, {"kind": "unsupported"}),
    "event that is no object": ({"message": "hi"}, {"kind": "unsupported"}),
}
