"""TikTok's webhook events: what of them may be stored, and what they mean.

Source: TikTok API for Business v1.3, Business Messaging (shared reference, section 1.3). `content` is JSON in a string.
Only what DESIGN's promise 6 lists survives `reduced`: media, shares and stickers become their type.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.channels.base import EchoOrigin, InboundEvent, Media
from app.channels.reading import Json, as_id, as_list, as_ms, as_object, as_text, read_object, seconds_as_ms

# Told to every app, and about no message.
_IGNORED = frozenset(
    {"im_auto_message_config_update", "im_auto_message_audit_update", "im_receive_high_intent_comment"}
)
_ORIGINS: Mapping[str, EchoOrigin] = {"API": "api", "APP": "human", "WEB": "human"}
_ACTIONS = {"ADD": "add", "REMOVE": "remove"}

# What is kept of an event's content: a name, and True for its value or what is kept of its object.
_KEPT: Mapping[str, Any] = {
    "timestamp": True,
    "from_user": {"id": True, "role": True},
    "to_user": {"id": True, "role": True},
    "from": True,
    "to": True,
    "conversation_id": True,
    "message_id": True,
    "type": True,
    "text": {"body": True},
    "message_tag": {"source": True},
    "auto_message_type": True,
    "referenced_message_info": {"referenced_message_id": True},
    "reply_source_payload": {"reply_source_msg_id": True},
    "reaction": {"operation": True, "emoji": True, "original_msg_id": True},
    "read": {"last_read_timestamp": True},
    "referral": {"source": True, "ad": {"ad_id": True}},
    "reason": True,
}
_SCALARS = (str, int, float, bool)


def account_of(body: bytes) -> str | None:
    """The business account that an event is of, or None if it is no event."""
    envelope = read_object(body)
    return as_id(envelope.get("user_openid")) if as_text(envelope.get("event")) else None


def reduced(body: bytes) -> bytes:
    """An event with what may be stored of it, and nothing else; its content is an object then."""
    return _reduced(read_object(body))


def _reduced(envelope: Json) -> bytes:
    kept = {name: envelope[name] for name in ("event", "create_time", "user_openid") if _is_plain(envelope.get(name))}
    return orjson.dumps(kept | {"content": _keep(_content(envelope), _KEPT)})


def parse_event(body: bytes) -> list[InboundEvent]:
    """The event in a body as it came, or in one that was reduced; [] for what is none or says nothing to us."""
    envelope = read_object(body)
    name, account = as_text(envelope.get("event")), as_id(envelope.get("user_openid"))
    if name is None or account is None or name in _IGNORED:
        return []
    return [_READERS.get(name, _unknown)(_Event(account, name, envelope, _content(envelope)))]


@dataclass(frozen=True)
class _Event:
    """An envelope with its content decoded."""

    account_id: str
    name: str
    envelope: Json
    content: Json

    def made(self, **fields: Any) -> InboundEvent:
        """An InboundEvent of this account; without an id of its own it is known by what it says."""
        own = f"{self.name}:{hashlib.sha256(_reduced(self.envelope)).hexdigest()[:32]}"
        fields.setdefault("dedup_id", own)
        fields.setdefault("timestamp_ms", as_ms(self.content.get("timestamp")) or self.told_at)
        return InboundEvent(channel="tiktok", account_id=self.account_id, **fields)

    @property
    def told_at(self) -> int | None:
        """When TikTok made the envelope, Unix milliseconds."""
        return seconds_as_ms(self.envelope.get("create_time"))

    def person(self, side: str) -> dict[str, Any]:
        """Who the customer is, on which side they are, and in which conversation."""
        sender = as_id(as_object(self.content.get("from_user")).get("id"))
        customer = as_id(as_object(self.content.get(f"{side}_user")).get("id"))
        return {
            "conversation_id": as_id(self.content.get("conversation_id")),
            "customer_id": customer,
            "sender_id": sender,
            "sender_name": as_text(self.content.get("from")),
        }

    def message(self) -> dict[str, Any]:
        """Ids of a message, and of the one that it answers."""
        message_id = as_id(self.content.get("message_id"))
        quoted = as_object(self.content.get("referenced_message_info")).get("referenced_message_id")
        tapped = as_object(self.content.get("reply_source_payload")).get("reply_source_msg_id")
        known = {} if message_id is None else {"dedup_id": message_id, "message_id": message_id}
        return known | {"reply_to_id": as_id(quoted) or as_id(tapped)}


def _received(event: _Event) -> InboundEvent:
    content = _message_content(event.content)
    # Nobody can be answered without a conversation.
    answerable = (
        content["kind"] in ("text", "media", "share") and as_id(event.content.get("conversation_id")) is not None
    )
    return event.made(direction="in", may_reply=answerable, **event.person("from"), **event.message(), **content)


def _echo(event: _Event) -> InboundEvent:
    content = _message_content(event.content) | {"kind": "echo"}
    source = as_text(as_object(event.content.get("message_tag")).get("source")) or ""
    automatic = as_text(event.content.get("auto_message_type")) is not None
    origin = "automation" if automatic else _ORIGINS.get(source.upper(), "unknown")
    return event.made(direction="out", echo_origin=origin, **event.person("to"), **event.message(), **content)


def _read(event: _Event) -> InboundEvent:
    watermark = as_ms(as_object(event.content.get("read")).get("last_read_timestamp"))
    who = event.person("from")
    own = {"dedup_id": f"read:{who['conversation_id']}:{watermark}"} if watermark is not None else {}
    return event.made(kind="read", direction="in", watermark_ms=watermark, **who, **own)


def _stripped(event: _Event) -> InboundEvent:
    """Somebody in Europe wrote: TikTok tells neither who nor what, and nobody can be answered."""
    return event.made(kind="stripped", direction="in")


def _referral(event: _Event) -> InboundEvent:
    referral = as_object(event.content.get("referral"))
    ad = as_id(as_object(referral.get("ad")).get("ad_id"))
    source = as_text(referral.get("source"))
    return event.made(kind="referral", direction="in", ad_id=ad, reason=source, **event.person("from"))


def _removed(event: _Event) -> InboundEvent:
    reason = event.content.get("reason")
    told = reason if isinstance(reason, int | str) and not isinstance(reason, bool) else None
    own = f"{event.name}:{event.account_id}:{as_id(event.envelope.get('create_time'))}"
    return event.made(kind="account_removed", direction="system", reason=told, timestamp_ms=event.told_at, dedup_id=own)


def _unknown(event: _Event) -> InboundEvent:
    """An event that did not exist when this was written: kept for a person to see."""
    return event.made(kind="unsupported", direction="system", reason="unknown_event")


_READERS: dict[str, Callable[[_Event], InboundEvent]] = {
    "im_receive_msg": _received,
    "im_send_msg": _echo,
    "im_mark_read_msg": _read,
    "im_receive_msg_eu": _stripped,
    "im_referral_msg": _referral,
    "authorization.removed": _removed,
}


def _message_content(content: Json) -> dict[str, Any]:
    """Kind, text and media of a message; roles and types are in lower case here, and in upper case elsewhere."""
    kind = (as_text(content.get("type")) or "").lower()
    if kind == "text":
        return {"kind": "text", "text": as_text(as_object(content.get("text")).get("body"))}
    if kind in ("image", "video"):
        return _media(kind, media_id=as_object(content.get(kind)).get("media_id"))
    if kind in ("sticker", "emoji"):
        return _media("sticker", url=as_object(content.get(kind)).get("url"))
    if kind == "share_post":
        shared = as_object(content.get("share_post"))
        return {"kind": "share", "share_url": as_text(shared.get("embed_url"))}
    if kind == "reaction":
        return _reaction(content.get("reaction"))
    return {"kind": "unsupported"}


def _media(kind: str, media_id: Any = None, url: Any = None) -> dict[str, Any]:
    return {"kind": "media", "media": (Media(kind, as_id(media_id), as_text(url)),)}


def _reaction(value: Any) -> dict[str, Any]:
    reaction = as_object((as_list(value) or [value])[0])
    return {
        "kind": "reaction",
        "emoji": as_text(reaction.get("emoji")),
        "action": _ACTIONS.get((as_text(reaction.get("operation")) or "").upper()),
        "target_id": as_id(reaction.get("original_msg_id")),
    }


def _content(envelope: Json) -> Json:
    content = envelope.get("content")
    return read_object(content.encode("utf-8", "replace")) if isinstance(content, str) else as_object(content)


def _keep(value: Json, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted names of an object; lists of objects are kept object by object."""
    kept: dict[str, Any] = {}
    for name, inner in wanted.items():
        found = value.get(name)
        if inner is True and _is_plain(found):
            kept[name] = found
        elif inner is not True and isinstance(found, dict):
            kept[name] = _keep(found, inner)
        elif inner is not True and isinstance(found, list):
            kept[name] = [_keep(as_object(each), inner) for each in found]
    return kept


def _is_plain(value: Any) -> bool:
    return isinstance(value, _SCALARS) and not (isinstance(value, int) and abs(value) >= 2**63)
