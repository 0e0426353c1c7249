"""Telegram updates as events: the reading half of app/channels/providers/telegram.py.

Source: Telegram Bot API 10.2, object Update (shared reference, section 6). One update is one event. Only private
chats are conversations; what happens in a group becomes a `system` event without text and is never answered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.channels.base import EchoOrigin, InboundEvent, Media
from app.channels.reading import Json, as_id, as_object, as_text, read_object, seconds_as_ms

# The message fields that carry a file, and the channel-neutral name of its type.
_FILES = {
    "animation": "video",
    "audio": "audio",
    "document": "file",
    "sticker": "sticker",
    "video": "video",
    "video_note": "video",
    "voice": "audio",
}
# Something that Telegram says inside a chat, not the customer.
_SERVICE = frozenset(
    {
        "chat_background_set",
        "connected_website",
        "message_auto_delete_timer_changed",
        "pinned_message",
        "write_access_allowed",
    }
)


def parse_update(body: bytes, account_id: str) -> list[InboundEvent]:
    """The events of one webhook body for the bot `account_id`; [] for anything that is not an update."""
    update = read_object(body)
    update_id = as_id(update.get("update_id"))
    if update_id is None:
        return []
    for name, value in update.items():
        if name != "update_id" and isinstance(value, dict):
            return [_READERS.get(name, _unknown)(_Update(account_id, update_id, value))]
    return []


@dataclass(frozen=True)
class _Update:
    """One update: the bot it is for, its id and the object under its type's name."""

    account_id: str
    update_id: str
    body: Json

    def event(self, **fields: Any) -> InboundEvent:
        return InboundEvent(channel="telegram", account_id=self.account_id, dedup_id=self.update_id, **fields)

    def group(self, message: Json) -> InboundEvent:
        """An event that keeps nothing of what was said or by whom."""
        chat_id = as_id(as_object(message.get("chat")).get("id"))
        return self.event(kind="system", direction="system", conversation_id=chat_id, reason="group_chat")


def _message(update: _Update) -> InboundEvent:
    message = update.body
    if not _is_private(message):
        return update.group(message)
    # Telegram shows bots no messages of bots; should that change, two of them must not talk to each other for ever.
    human = as_object(message.get("from")).get("is_bot") is not True
    return _customers(update, may_reply=human)


def _business_message(update: _Update) -> InboundEvent:
    message = update.body
    if not _is_private(message):
        return update.group(message)
    if _is_customers(message):
        return _customers(update, may_reply=True)
    fields = _content(message) | _envelope(message) | {"kind": "echo", "direction": "out"}
    return update.event(**fields, echo_origin=_origin(message, update.account_id))


def _edited(update: _Update) -> InboundEvent:
    message = update.body
    if not _is_private(message):
        return update.group(message)
    fields = _content(message) | _envelope(message) | {"kind": "edit", "direction": "in"}
    edited_ms = seconds_as_ms(message.get("edit_date")) or fields["timestamp_ms"]
    fields |= {"target_id": fields["message_id"], "timestamp_ms": edited_ms}
    if "business_connection_id" in message and not _is_customers(message):
        fields |= {"direction": "out", "echo_origin": _origin(message, update.account_id)}
    return update.event(**fields)


def _customers(update: _Update, *, may_reply: bool) -> InboundEvent:
    content = _content(update.body)
    answerable = may_reply and content["kind"] in ("text", "media")
    return update.event(**content, **_envelope(update.body), direction="in", may_reply=answerable)


def _tap(update: _Update) -> InboundEvent:
    """A callback query. It brings no time and no label of its own: the label is looked up among the buttons shown."""
    query = update.body
    shown = as_object(query.get("message"))
    if shown and not _is_private(shown):
        return update.group(shown)
    sender = as_object(query.get("from"))
    payload = as_text(query.get("data"))
    chat_id = as_id(as_object(shown.get("chat")).get("id"))
    return update.event(
        kind="button",
        direction="in",
        conversation_id=chat_id,
        customer_id=as_id(sender.get("id")),
        sender_id=as_id(sender.get("id")),
        sender_name=_name(sender),
        text=_label(shown, payload),
        payload=payload,
        callback_id=as_id(query.get("id")),
        target_id=as_id(shown.get("message_id")),
        business_connection_id=as_id(shown.get("business_connection_id")),
        may_reply=chat_id is not None,
    )


def _membership(update: _Update) -> InboundEvent:
    change = update.body
    if not _is_private(change):
        return update.group(change)
    fields = _envelope(change) | {"direction": "in"}
    status = as_object(change.get("new_chat_member")).get("status")
    if status == "kicked":
        return update.event(**fields, kind="blocked")
    return update.event(**fields, kind="system", reason="unblocked" if status == "member" else None)


def _connection(update: _Update) -> InboundEvent:
    """A business connection made, changed or ended by its owner: about the account, not about a customer."""
    connection = update.body
    enabled = connection.get("is_enabled") is True
    may_write = as_object(connection.get("rights")).get("can_reply") is True
    return update.event(
        kind="system",
        direction="system",
        business_connection_id=as_id(connection.get("id")),
        timestamp_ms=seconds_as_ms(connection.get("date")),
        action="enabled" if enabled else "disabled",
        reason=None if may_write or not enabled else "no_right_to_reply",
    )


def _deleted(update: _Update) -> InboundEvent:
    """Messages deleted in a business chat; Telegram does not say by which of the two."""
    chat_id = as_id(as_object(update.body.get("chat")).get("id"))
    listed = update.body.get("message_ids")
    targets = tuple(target for target in map(as_id, listed if isinstance(listed, list) else []) if target)
    return update.event(
        kind="delete",
        direction="in",
        conversation_id=chat_id,
        customer_id=chat_id,
        sender_id=chat_id,
        target_id=targets[0] if len(targets) == 1 else None,
        target_ids=targets,
        business_connection_id=as_id(update.body.get("business_connection_id")),
    )


def _unknown(update: _Update) -> InboundEvent:
    """An update type that is not asked for: kept with what can be told about it, for a person to see."""
    if update.body.get("chat") and not _is_private(update.body):
        return update.group(update.body)
    return update.event(**_envelope(update.body), kind="unsupported", direction="in")


_READERS: dict[str, Callable[[_Update], InboundEvent]] = {
    "message": _message,
    "edited_message": _edited,
    "callback_query": _tap,
    "my_chat_member": _membership,
    "business_connection": _connection,
    "business_message": _business_message,
    "edited_business_message": _edited,
    "deleted_business_messages": _deleted,
}
ALLOWED_UPDATES = tuple(_READERS)


def _envelope(message: Json) -> dict[str, Any]:
    """Who, where and when of a private message. The other side of a private chat is the customer."""
    chat, sender = as_object(message.get("chat")), as_object(message.get("from"))
    customer_id = as_id(chat.get("id")) or as_id(sender.get("id"))
    return {
        "conversation_id": as_id(chat.get("id")),
        "customer_id": customer_id,
        "sender_id": as_id(sender.get("id")) or customer_id,
        "sender_name": _name(sender),
        "message_id": as_id(message.get("message_id")),
        "timestamp_ms": seconds_as_ms(message.get("date")),
        "reply_to_id": as_id(as_object(message.get("reply_to_message")).get("message_id")),
        "business_connection_id": as_id(message.get("business_connection_id")),
    }


def _content(message: Json) -> dict[str, Any]:
    """Kind, text and media of a message."""
    text = as_text(message.get("text"))
    if text is not None:
        return {"kind": "text", "text": text}
    media = _media(message)
    if media is not None:
        return {"kind": "media", "text": as_text(message.get("caption")), "media": (media,)}
    kind = "system" if _SERVICE.intersection(message) else "unsupported"
    return {"kind": kind, "text": as_text(message.get("caption"))}


def _media(message: Json) -> Media | None:
    sizes = message.get("photo")
    if isinstance(sizes, list) and sizes:
        return Media(type="image", id=as_id(as_object(sizes[-1]).get("file_id")))
    # An animation comes with a document of the same file, so the order of _FILES counts.
    for name, kind in _FILES.items():
        if file := as_object(message.get(name)):
            return Media(
                kind, as_id(file.get("file_id")), None, as_text(file.get("mime_type")), as_text(file.get("file_name"))
            )
    return _place(message) or _contact(message)


def _place(message: Json) -> Media | None:
    """A location or venue as a geo URI (RFC 5870)."""
    venue = as_object(message.get("venue"))
    location = as_object(venue.get("location")) or as_object(message.get("location"))
    latitude, longitude = location.get("latitude"), location.get("longitude")
    if not _within(latitude, 90) or not _within(longitude, 180):
        return None
    return Media("location", url=f"geo:{latitude:.6f},{longitude:.6f}", name=as_text(venue.get("title")))


def _within(degrees: Any, limit: int) -> bool:
    return isinstance(degrees, int | float) and -limit <= degrees <= limit


def _contact(message: Json) -> Media | None:
    """A shared contact; its number as a tel URI (RFC 3966)."""
    contact = as_object(message.get("contact"))
    number = as_text(contact.get("phone_number"))
    return Media("contact", url=f"tel:{number}", name=_name(contact)) if number else None


def _is_private(message: Json) -> bool:
    chat = as_object(message.get("chat"))
    chat_id = as_id(chat.get("id"))
    return chat_id is not None and not chat_id.startswith("-") and chat.get("type", "private") == "private"


def _is_customers(message: Json) -> bool:
    """In a business chat the customer wrote if the sender is the chat itself; everything else is the business."""
    sender_id = as_id(as_object(message.get("from")).get("id"))
    return sender_id is not None and sender_id == as_id(as_object(message.get("chat")).get("id"))


def _origin(message: Json, account_id: str) -> EchoOrigin:
    bot_id = as_id(as_object(message.get("sender_business_bot")).get("id"))
    if bot_id is not None:
        return "api" if bot_id == account_id else "automation"
    # Away and greeting messages, and those the owner wrote ahead.
    return "automation" if message.get("is_from_offline") is True else "human"


def _label(shown: Json, payload: str | None) -> str | None:
    """The text on the button that carries `payload`."""
    rows = as_object(shown.get("reply_markup")).get("inline_keyboard")
    for row in rows if isinstance(rows, list) else []:
        for button in map(as_object, row if isinstance(row, list) else []):
            if payload is not None and as_text(button.get("callback_data")) == payload:
                return as_text(button.get("text"))
    return None


def _name(person: Json) -> str | None:
    """First and last name, else the user name."""
    parts = [as_text(person.get("first_name")), as_text(person.get("last_name"))]
    return " ".join(part for part in parts if part) or as_text(person.get("username"))
