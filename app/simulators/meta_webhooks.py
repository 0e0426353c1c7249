"""What Meta posts to a webhook of Messenger or Instagram: signed requests with every kind of event.

A body is ASCII-escaped, slashes too, and the bytes as they are sent are signed (shared reference, sections 2 to 4).
"""

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
ObjectName = Literal["page", "instagram"]


@dataclass(frozen=True)
class Webhook:
    """One request to a webhook."""

    headers: dict[str, str]
    body: bytes


def signed(object_name: ObjectName, entries: Sequence[Json], secret: str) -> Webhook:
    """A request with these entries, signed with `secret`."""
    content = json.dumps({"object": object_name, "entry": list(entries)}, separators=(",", ":"))
    body = content.replace("/", "\\/").encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Webhook({"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}, body)


def entry(account_id: str, *items: Json, standby: Sequence[Json] = (), at_ms: int | None = None) -> Json:
    """What happened at one account; `standby` is what happened in threads that another app owns."""
    when = int(time.time() * 1000) if at_ms is None else at_ms
    lists = {"messaging": list(items), "standby": list(standby)}
    return {"id": account_id, "time": when} | {name: listed for name, listed in lists.items() if listed}


def dashboard_test(object_name: ObjectName, secret: str) -> Webhook:
    """What the Test button of the app's dashboard sends: an account that does not exist, and seconds as a text."""
    value = {"sender": {"id": "12334"}, "recipient": {"id": "23245"}, "timestamp": "1527459824"}
    value |= {"message": {"mid": "random_mid", "text": "random_text"}}
    change = {"field": "messages", "value": value}
    return signed(object_name, [{"id": "0", "time": 1527459824, "changes": [change]}], secret)


def signed_request(user_id: str, secret: str, now: int = 1789814500) -> str:
    """The `signed_request` of a data deletion or deauthorise callback about an app-scoped user."""
    payload = {"algorithm": "HMAC-SHA256", "expires": now - 1, "issued_at": now, "user_id": user_id}
    part = base64.urlsafe_b64encode(json.dumps(payload, separators=(",", ":")).encode()).rstrip(b"=")
    signature = hmac.new(secret.encode(), part, hashlib.sha256).digest()
    return f"{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}.{part.decode()}"


@dataclass
class Thread:
    """One customer's thread with an account: makes the items that an entry holds, each with its own time and id."""

    object_name: ObjectName
    account_id: str
    customer_id: str
    clock: Callable[[], float] = time.time
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def webhook(self, secret: str, *items: Json, standby: Sequence[Json] = ()) -> Webhook:
        """A signed request with these items."""
        return signed(self.object_name, [entry(self.account_id, *items, standby=standby)], secret)

    def text(self, text: str, *, reply_to: str | None = None, payload: str | None = None, **more: Any) -> Json:
        """A text; `reply_to` quotes a message, `payload` makes it the tap of a quick reply."""
        if reply_to is not None:
            more["reply_to"] = {"mid": reply_to}
        if payload is not None:
            more["quick_reply"] = {"payload": payload}
        return self.message(text=text, **more)

    def attachment(self, kind: str, url: str | None = None, *, text: str | None = None, **payload: Any) -> Json:
        """A file or a shared post; without `url` and `payload` one that cannot be shown."""
        content = ({"url": url} if url else {}) | payload
        words = {} if text is None else {"text": text}
        return self.message(attachments=[{"type": kind, "payload": content or None}], **words)

    def sticker(self, url: str, sticker_id: int) -> Json:
        """A sticker as Messenger sends it in the months of transition: twice."""
        payload = {"url": url, "sticker_id": sticker_id}
        return self.message(attachments=[{"type": kind, "payload": payload} for kind in ("image", "sticker")])

    def story_reply(self, text: str, story_id: str, url: str) -> Json:
        """An answer to the account's story."""
        return self.message(text=text, reply_to={"story": {"id": story_id, "url": url}})

    def unsupported(self) -> Json:
        """A message that Meta cannot show."""
        return self.message(is_unsupported=True)

    def message(self, **content: Any) -> Json:
        """Any message of the customer."""
        return self._item(message={"mid": self._mid()} | content)

    def edit(self, mid: str, text: str, number: int | str = 1) -> Json:
        """The customer changed a message for the `number`th time."""
        return self._item(message_edit={"mid": mid, "text": text, "num_edit": number})

    def unsend(self, mid: str) -> Json:
        """The customer took a message back."""
        return self._item(message={"mid": mid, "is_deleted": True})

    def react(self, mid: str, emoji: str | None) -> Json:
        """A reaction to a message, or with None its removal."""
        given = {"action": "unreact"} if emoji is None else {"action": "react", "emoji": emoji, "reaction": "other"}
        return self._item(reaction={"mid": mid} | given)

    def tap(self, title: str, payload: str, *, with_mid: bool = True) -> Json:
        """A tapped button; older ones have no id of their own."""
        return self._item(postback=({"mid": self._mid()} if with_mid else {}) | {"title": title, "payload": payload})

    def read(self, mid: str | None = None) -> Json:
        """The customer read everything so far, or on Instagram a message."""
        if self.object_name == "instagram":
            return self._item(read={"mid": mid})
        return self._item(read={"watermark": self._now()})

    def delivered(self, *mids: str) -> Json:
        """Messages reached the customer; the item has no time of its own."""
        item = self._item(delivery={"watermark": self._now()} | ({"mids": list(mids)} if mids else {}))
        return {name: value for name, value in item.items() if name != "timestamp"}

    def referral(self, ref: str, ad_id: str | None = None) -> Json:
        """The customer came by a link or an advertisement."""
        source = {"source": "ADS", "ad_id": ad_id} if ad_id else {"source": "SHORTLINK"}
        return self._item(referral={"ref": ref, "type": "OPEN_THREAD"} | source)

    def echo(
        self, text: str, mid: str | None = None, *, app_id: int | None = None, metadata: str | None = None
    ) -> Json:
        """What the business sent: this app if `app_id` is ours, else a person or another app."""
        marks = {"app_id": app_id, "metadata": metadata}
        message: Json = {"mid": mid or self._mid(), "is_echo": True, "text": text}
        message |= {name: value for name, value in marks.items() if value is not None}
        return self._item(out=True, message=message)

    def self_test(self, text: str) -> Json:
        """The account wrote to itself."""
        own = {"sender": {"id": self.account_id}, "recipient": {"id": self.account_id}}
        return self._item(message={"mid": self._mid(), "is_echo": True, "is_self": True, "text": text}) | own

    def handover(self, verb: Literal["pass", "take", "request"], **apps: str) -> Json:
        """The thread went to another app, or one asks for it."""
        return self._item() | {f"{verb}_thread_control": apps}

    def _item(self, *, out: bool = False, **content: Mapping[str, Any]) -> Json:
        ends = (self.account_id, self.customer_id) if out else (self.customer_id, self.account_id)
        sender, recipient = ({"id": one} for one in ends)
        return {"sender": sender, "recipient": recipient, "timestamp": self._now()} | content

    def _mid(self) -> str:
        return f"{'m' if self.object_name == 'page' else 'aWdf'}_{self.customer_id}_{next(self._numbers)}"

    def _now(self) -> int:
        return int(self.clock() * 1000)
