"""The `entry[].messaging[]` envelope as events: the reading half of Messenger and Instagram.

Source: shared reference, sections 2 to 4. One body may hold several entries of several accounts, and each entry
several events. `standby` instead of `messaging` means that another app owns the thread; Instagram sends some events
as `changes`. An event without an id of its own gets one that is the same on every delivery.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.channels.base import EchoOrigin, InboundEvent, Kind, Part
from app.channels.meta_content import content_of, milliseconds
from app.channels.reading import as_id, as_object, as_text

Json = Mapping[str, Any]

# The mark that we put on what we send, before the id of the delivery.
MARK = "jobx:"
# What a tester's click in the app's dashboard comes for.
_NO_ACCOUNT = "0"
_LISTS = ("messaging", "standby", "changes")
# The webhook fields that Instagram may send as `changes`.
_CHANGES = frozenset(
    {
        "messages",
        "message_edit",
        "message_reactions",
        "messaging_postbacks",
        "messaging_referral",
        "messaging_seen",
        "standby",
    }
)
_ANSWERABLE: frozenset[Kind] = frozenset({"text", "media", "share", "button"})


@dataclass(frozen=True)
class Dialect:
    """In what Messenger and Instagram differ.

    `object_name` is the body's `object`, `app_ids` are those of our own apps. `unmarked_echo` is who sent an echo that
    names neither an app nor one of our deliveries.
    """

    channel: str
    object_name: str
    app_ids: frozenset[str]
    unmarked_echo: EchoOrigin


def read_parts(body: bytes, dialect: Dialect) -> list[Part]:
    """A body account by account, in the order in which the accounts come first; [] for anything else."""
    found: dict[str, list[Json]] = {}
    for account_id, entry in _entries(body, dialect.object_name):
        found.setdefault(account_id, []).append(entry)
    return [
        Part(account_id, json.dumps({"object": dialect.object_name, "entry": entries}).encode())
        for account_id, entries in found.items()
    ]


def read_events(body: bytes, dialect: Dialect) -> list[InboundEvent]:
    """The events of a body or a part of one, in order; [] for anything else."""
    return [
        item.event()
        for account_id, entry in _entries(body, dialect.object_name)
        for item in _items(dialect, account_id, entry)
    ]


def _entries(body: bytes, object_name: str) -> Iterator[tuple[str, Json]]:
    try:
        content = as_object(json.loads(body))
    except (ValueError, RecursionError):
        return
    entries = content.get("entry") if content.get("object") == object_name else None
    for entry in map(as_object, entries if isinstance(entries, list) else []):
        account_id = as_id(entry.get("id"))
        if account_id is not None and account_id != _NO_ACCOUNT:
            yield account_id, {name: entry[name] for name in ("id", "time", *_LISTS) if name in entry}


def _items(dialect: Dialect, account_id: str, entry: Json) -> Iterator["_Item"]:
    for name in _LISTS:
        listed = entry.get(name)
        for found in map(as_object, listed if isinstance(listed, list) else []):
            body = _change(found) if name == "changes" else found
            if body:
                yield _Item(dialect, account_id, body, standby="standby" in (name, found.get("field")))


def _change(change: Json) -> Json:
    """What `messaging` would hold for a change; empty for a field that is no message."""
    value, field = as_object(change.get("value")), as_text(change.get("field"))
    if field not in _CHANGES:
        return {}
    if field == "message_edit" and field not in value:
        return {**value, "message_edit": value}
    return value


class _Item:
    """One event of an account as Meta words it, with who and when read from its envelope."""

    def __init__(self, dialect: Dialect, account_id: str, body: Json, *, standby: bool) -> None:
        self.dialect = dialect
        self.body = body
        self._account_id = account_id
        self._standby = standby
        self._sender_id = as_id(as_object(body.get("sender")).get("id"))
        self._recipient_id = as_id(as_object(body.get("recipient")).get("id"))
        echo = as_object(body.get("message")).get("is_echo") is True
        self.of_business = echo or self._sender_id == account_id
        self.customer_id = self._recipient_id if self.of_business else self._sender_id
        self.timestamp_ms = milliseconds(body.get("timestamp"))

    def event(self) -> InboundEvent:
        name = next((name for name in _READERS if isinstance(self.body.get(name), dict)), None)
        read = _READERS[name] if name else _unknown
        fields = {"direction": "out" if self.of_business else "in"} | read(self, self.body[name] if name else self.body)
        customers_own = fields["direction"] == "in" and self.customer_id is not None and not self._standby
        return InboundEvent(
            channel=self.dialect.channel,
            account_id=self._account_id,
            conversation_id=self.customer_id,
            customer_id=self.customer_id,
            sender_id=self._sender_id,
            timestamp_ms=self.timestamp_ms,
            standby=self._standby,
            may_reply=customers_own and fields["kind"] in _ANSWERABLE,
            **fields,
        )

    def key(self, name: str, mark: object) -> str:
        """An id for what has none: the same on every delivery, different for everything else."""
        if mark is None:
            body = json.dumps(self.body, sort_keys=True).encode()
            mark = hashlib.sha256(body).hexdigest()
        return f"{name}:{self.customer_id or ''}:{mark}"


def _message(item: _Item, message: Json) -> dict[str, Any]:
    mid = as_id(message.get("mid"))
    if message.get("is_deleted") is True:
        return {"kind": "delete", "dedup_id": f"{mid}:delete" if mid else item.key("delete", None), "target_id": mid}
    fields = content_of(message) | {"message_id": mid, "dedup_id": mid or item.key("message", None)}
    fields["ad_id"] = _ad_id(message)
    return fields | ({"kind": "echo"} | _origin(item, message) if item.of_business else {})


def _origin(item: _Item, message: Json) -> dict[str, Any]:
    """Who sent an echo: we, a person or another app; Meta does not say more of others than their app's id."""
    app_id, metadata = as_id(message.get("app_id")), as_text(message.get("metadata")) or ""
    own = item.dialect.app_ids
    if app_id is not None and own and app_id not in own:
        return {"echo_origin": "human"}
    if metadata.startswith(MARK):
        return {"echo_origin": "api", "delivery_id": metadata.removeprefix(MARK) or None}
    if app_id is None:
        return {"echo_origin": item.dialect.unmarked_echo}
    return {"echo_origin": "api" if own else "human"}


def _postback(item: _Item, postback: Json) -> dict[str, Any]:
    mid = as_id(postback.get("mid"))
    return {
        "kind": "button",
        "message_id": mid,
        "dedup_id": mid or item.key("postback", item.timestamp_ms),
        "text": as_text(postback.get("title")),
        "payload": as_text(postback.get("payload")),
        "ad_id": _ad_id(postback),
    }


def _reaction(item: _Item, reaction: Json) -> dict[str, Any]:
    mid, removed = as_id(reaction.get("mid")), reaction.get("action") == "unreact"
    action = "remove" if removed else "add"
    emoji = as_text(reaction.get("emoji")) or as_text(reaction.get("reaction"))
    return {
        "kind": "reaction",
        "dedup_id": item.key(f"reaction:{mid}:{action}", item.timestamp_ms),
        "target_id": mid,
        "emoji": emoji,
        "action": action,
    }


def _edit(item: _Item, edit: Json) -> dict[str, Any]:
    mid, number = as_id(edit.get("mid")), as_id(edit.get("num_edit"))
    fields = {"kind": "edit", "message_id": mid, "target_id": mid, "text": as_text(edit.get("text"))}
    known = mid is not None and number is not None
    fields["dedup_id"] = f"{mid}:edit:{number}" if known else item.key(f"{mid}:edit", None)
    return fields | ({"echo_origin": item.dialect.unmarked_echo} if item.of_business else {})


def _read(item: _Item, read: Json) -> dict[str, Any]:
    """Messenger tells up to when was read, Instagram which message."""
    mid, watermark = as_id(read.get("mid")), milliseconds(read.get("watermark"))
    return {"kind": "read", "dedup_id": item.key("read", mid or watermark), "target_id": mid, "watermark_ms": watermark}


def _delivery(item: _Item, delivery: Json) -> dict[str, Any]:
    watermark, listed = milliseconds(delivery.get("watermark")), delivery.get("mids")
    mids = tuple(mid for mid in map(as_id, listed if isinstance(listed, list) else []) if mid)
    return {
        "kind": "delivery",
        "dedup_id": item.key("delivery", watermark),
        "target_ids": mids,
        "watermark_ms": watermark,
    }


def _referral(item: _Item, referral: Json) -> dict[str, Any]:
    return {
        "kind": "referral",
        "dedup_id": item.key("referral", item.timestamp_ms),
        "ad_id": as_id(referral.get("ad_id")),
        "payload": as_text(referral.get("ref")),
    }


def _thread_control(verb: str, app: str) -> Callable[[_Item, Json], dict[str, Any]]:
    """A reader of one kind of handover; `app` is the field that names the other app, which is the reason's code."""

    def read(item: _Item, change: Json) -> dict[str, Any]:
        return {
            "kind": "thread_control",
            "direction": "system",
            "dedup_id": item.key(f"{verb}_thread_control", item.timestamp_ms),
            "action": verb,
            "reason": as_id(change.get(app)),
        }

    return read


def _unknown(item: _Item, body: Json) -> dict[str, Any]:
    return {"kind": "unsupported", "dedup_id": item.key("unknown", None)} | (
        {} if item.customer_id else {"direction": "system"}
    )


def _ad_id(content: Json) -> str | None:
    return as_id(as_object(content.get("referral")).get("ad_id"))


# The first of these that an event has says what it is.
_READERS: dict[str, Callable[[_Item, Json], dict[str, Any]]] = {
    "message": _message,
    "message_edit": _edit,
    "postback": _postback,
    "reaction": _reaction,
    "read": _read,
    "delivery": _delivery,
    "referral": _referral,
    "pass_thread_control": _thread_control("pass", "new_owner_app_id"),
    "take_thread_control": _thread_control("take", "previous_owner_app_id"),
    "request_thread_control": _thread_control("request", "requested_owner_app_id"),
    "app_roles": _thread_control("roles", ""),
}
