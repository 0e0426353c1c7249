"""WhatsApp's webhook bodies as events: the reading half of app/channels/providers/whatsapp.py.

Source: WhatsApp Cloud API webhooks (shared reference, section 5.2). Customers are known by their business-scoped id
(BSUID); their number comes and goes, and is kept as another name of theirs.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.channels.base import InboundEvent, Kind, Media, Part
from app.channels.reading import Json, as_id, as_list, as_object, as_text, read_object, seconds_as_ms
from app.channels.whatsapp_errors import outcome_of

_OBJECT = "whatsapp_business_account"
_FILES = {"image": "image", "video": "video", "document": "file", "audio": "audio", "sticker": "sticker"}
_STATUSES: Mapping[str, Kind] = {
    "sent": "sent",
    "delivered": "delivery",
    "read": "read",
    "played": "read",
    "failed": "failed",
}
_REMOVED = frozenset({"PARTNER_REMOVED", "PARTNER_APP_UNINSTALLED", "ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED"})
_MARK = "jobx:"


def read_parts(body: bytes) -> list[Part]:
    """The changes of a body, account by account; each part is a body of its own."""
    found: dict[str, list[Json]] = {}
    for entry, change in _changes(body):
        account = _account(entry, change)
        if account is not None:
            found.setdefault(account, []).append({"id": entry.get("id"), "changes": [change]})
    # Not orjson, which refuses numbers that JSON allows.
    return [
        Part(account, json.dumps({"object": _OBJECT, "entry": entries}).encode()) for account, entries in found.items()
    ]


def read_events(body: bytes) -> list[InboundEvent]:
    """The events of all changes, in order."""
    return [event for entry, change in _changes(body) for event in _of_change(entry, change)]


def _changes(body: bytes) -> Iterator[tuple[Json, Json]]:
    envelope = read_object(body)
    if envelope.get("object") == _OBJECT:
        for entry in map(as_object, as_list(envelope.get("entry"))):
            for change in map(as_object, as_list(entry.get("changes"))):
                yield entry, change


def _account(entry: Json, change: Json) -> str | None:
    """The number that a change is of; what is about the whole business account names that."""
    value = as_object(change.get("value"))
    if change.get("field") == "account_update":
        return as_id(as_object(value.get("waba_info")).get("waba_id")) or as_id(entry.get("id"))
    return as_id(as_object(value.get("metadata")).get("phone_number_id"))


def _of_change(entry: Json, change: Json) -> list[InboundEvent]:
    account, value = _account(entry, change), as_object(change.get("value"))
    if account is None:
        return []
    if change.get("field") == "account_update":
        return _account_update(account, entry, value)
    names = _Contacts(as_list(value.get("contacts")))
    found: list[InboundEvent | None] = []
    if change.get("field") == "messages":
        found += [_message(account, names, as_object(each)) for each in as_list(value.get("messages"))]
        found += [_status(account, as_object(each)) for each in as_list(value.get("statuses"))]
    elif change.get("field") == "smb_message_echoes":
        found += [_echo(account, as_object(each)) for each in as_list(value.get("message_echoes"))]
    return [event for event in found if event is not None]


class _Contacts:
    """Who is who in a body: contacts are in no order, and known by either id."""

    def __init__(self, listed: list[Any]) -> None:
        self._listed = [as_object(each) for each in listed]

    def of(self, *ids: str | None) -> Json:
        """The contact with one of these ids."""
        wanted = {each for each in ids if each}
        for contact in self._listed:
            if wanted & {as_id(contact.get("wa_id")), as_id(contact.get("user_id"))}:
                return contact
        return {}


def _person(scoped: str | None, number: str | None) -> dict[str, Any]:
    """A customer by their business-scoped id if it is there, and where a reply goes."""
    known = scoped or number
    others = (number,) if scoped and number else ()
    address = ({"recipient": scoped} if scoped else {}) | ({"to": number} if number else {})
    return {"conversation_id": known, "customer_id": known, "sender_id": known, "aliases": others, "address": address}


def _message(account: str, names: _Contacts, message: Json) -> InboundEvent | None:
    message_id, number = as_id(message.get("id")), as_id(message.get("from"))
    if message_id is None:
        return None
    contact = names.of(as_id(message.get("from_user_id")), number)
    scoped = as_id(message.get("from_user_id")) or as_id(contact.get("user_id"))
    number = number or as_id(contact.get("wa_id"))
    content = _content(message)
    in_group = as_id(message.get("group_id")) is not None
    if in_group:
        content = {"kind": "system", "reason": "group_chat"}
    answerable = content["kind"] in ("text", "media", "button") and bool(scoped or number)
    return InboundEvent(
        channel="whatsapp",
        direction="in",
        account_id=account,
        dedup_id=message_id,
        message_id=message_id,
        sender_name=as_text(as_object(contact.get("profile")).get("name")),
        timestamp_ms=seconds_as_ms(message.get("timestamp")),
        reply_to_id=as_id(as_object(message.get("context")).get("id")),
        ad_id=as_id(as_object(message.get("referral")).get("source_id")),
        may_reply=answerable,
        **_person(scoped, number),
        **content,
    )


def _echo(account: str, echo: Json) -> InboundEvent | None:
    """The owner wrote in the Business app."""
    message_id = as_id(echo.get("id"))
    if message_id is None:
        return None
    content = _content(echo)
    if content["kind"] not in ("edit", "delete"):
        content["kind"] = "echo"
    person = _person(as_id(echo.get("to_user_id")), as_id(echo.get("to"))) | {"sender_id": account}
    return InboundEvent(
        channel="whatsapp",
        direction="out",
        account_id=account,
        dedup_id=message_id,
        message_id=message_id,
        timestamp_ms=seconds_as_ms(echo.get("timestamp")),
        echo_origin="human",
        **person,
        **content,
    )


def _status(account: str, status: Json) -> InboundEvent | None:
    target, name = as_id(status.get("id")), as_text(status.get("status"))
    if target is None or name is None:
        return None
    error = as_object((as_list(status.get("errors")) or [None])[0]).get("code")
    code = error if isinstance(error, int) and not isinstance(error, bool) else None
    mark = as_text(status.get("biz_opaque_callback_data")) or ""
    return InboundEvent(
        channel="whatsapp",
        kind=_STATUSES.get(name, "unsupported"),
        direction="in",
        account_id=account,
        dedup_id=f"{target}:{name}",
        timestamp_ms=seconds_as_ms(status.get("timestamp")),
        target_id=target,
        error_code=code,
        retryable=None if code is None else outcome_of(code) == "retry",
        delivery_id=mark.removeprefix(_MARK) if mark.startswith(_MARK) else None,
        **_person(as_id(status.get("recipient_user_id")), as_id(status.get("recipient_id"))),
    )


def _account_update(account: str, entry: Json, value: Json) -> list[InboundEvent]:
    name = as_text(value.get("event"))
    if name is None:
        return []
    told_at = seconds_as_ms(entry.get("time"))
    return [
        InboundEvent(
            channel="whatsapp",
            kind="account_removed" if name in _REMOVED else "system",
            direction="system",
            account_id=account,
            dedup_id=f"account_update:{name}:{account}:{told_at or ''}",
            timestamp_ms=told_at,
            reason=name,
        )
    ]


def _content(message: Json) -> dict[str, Any]:
    """Kind, text, files and what else a message says."""
    kind = as_text(message.get("type")) or ""
    inner = as_object(message.get(kind))
    if kind in _FILES:
        return _file(_FILES[kind], inner)
    return _READERS.get(kind, _unsupported)(message, inner)


def _file(kind: str, inner: Json) -> dict[str, Any]:
    # Its address is good for minutes only; the id is what it is fetched by.
    media = Media(kind, as_id(inner.get("id")), None, as_text(inner.get("mime_type")), as_text(inner.get("filename")))
    return {"kind": "media", "text": as_text(inner.get("caption")), "media": (media,)}


def _text(_message: Json, inner: Json) -> dict[str, Any]:
    return {"kind": "text", "text": as_text(inner.get("body"))}


def _interactive(_message: Json, inner: Json) -> dict[str, Any]:
    reply = as_object(inner.get("button_reply")) or as_object(inner.get("list_reply"))
    if not reply:
        form = as_object(inner.get("nfm_reply"))
        return {"kind": "button", "text": as_text(form.get("body")), "payload": as_text(form.get("response_json"))}
    chosen = as_id(reply.get("id"))
    return {"kind": "button", "text": as_text(reply.get("title")), "payload": chosen, "button_id": chosen}


def _button(_message: Json, inner: Json) -> dict[str, Any]:
    return {"kind": "button", "text": as_text(inner.get("text")), "payload": as_text(inner.get("payload"))}


def _reaction(_message: Json, inner: Json) -> dict[str, Any]:
    emoji = as_text(inner.get("emoji"))
    action = "remove" if emoji is None else "add"
    return {"kind": "reaction", "emoji": emoji, "action": action, "target_id": as_id(inner.get("message_id"))}


def _location(_message: Json, inner: Json) -> dict[str, Any]:
    """A place as a geo URI (RFC 5870)."""
    at = [inner.get("latitude"), inner.get("longitude")]
    if not all(isinstance(each, int | float) and abs(each) <= most for each, most in zip(at, (90, 180), strict=True)):
        return {"kind": "unsupported"}
    name = as_text(inner.get("name")) or as_text(inner.get("address"))
    return {"kind": "media", "media": (Media("location", url=f"geo:{at[0]:.6f},{at[1]:.6f}", name=name),)}


def _contacts(message: Json, _inner: Json) -> dict[str, Any]:
    """Shared contacts; a number as a tel URI (RFC 3966)."""
    found = []
    for contact in map(as_object, as_list(message.get("contacts"))):
        number = as_text(as_object((as_list(contact.get("phones")) or [None])[0]).get("phone"))
        name = as_text(as_object(contact.get("name")).get("formatted_name"))
        found.append(Media("contact", url=f"tel:{number}" if number else None, name=name))
    return {"kind": "media", "media": tuple(found)} if found else {"kind": "unsupported"}


def _edit(_message: Json, inner: Json) -> dict[str, Any]:
    changed = _content(as_object(inner.get("message")))
    kept = {"text": changed.get("text"), "media": changed.get("media", ())}
    return {"kind": "edit", **kept, "target_id": as_id(inner.get("original_message_id"))}


def _revoke(_message: Json, inner: Json) -> dict[str, Any]:
    return {"kind": "delete", "target_id": as_id(inner.get("original_message_id"))}


def _system(_message: Json, inner: Json) -> dict[str, Any]:
    """WhatsApp says something of the customer, not the customer."""
    return {"kind": "system", "new_wa_id": as_id(inner.get("wa_id")), "reason": as_text(inner.get("type"))}


def _unsupported(message: Json, _inner: Json) -> dict[str, Any]:
    error = as_object((as_list(message.get("errors")) or [None])[0]).get("code")
    return {"kind": "unsupported", "error_code": error if isinstance(error, int) else None}


_READERS: Mapping[str, Callable[[Json, Json], dict[str, Any]]] = {
    "text": _text,
    "interactive": _interactive,
    "button": _button,
    "reaction": _reaction,
    "location": _location,
    "contacts": _contacts,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
}
