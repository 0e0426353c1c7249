"""What every messaging channel has in common: the `Provider` protocol and the values that cross it.

A provider is pure towards Jobx: it knows no database, no settings and no other provider. HTTP clients, secrets and
the clock are passed in. Its values use the vocabulary of the shared reference (section 0: ids are opaque strings,
times are Unix milliseconds).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import httpx

from app.errors import Unavailable, Unprocessable

Kind = Literal[
    "text",
    "media",
    "share",
    "button",
    "reaction",
    "edit",
    "delete",
    "echo",
    "read",
    "delivery",
    "sent",
    "failed",
    "referral",
    "stripped",
    "unsupported",
    "system",
    "blocked",
    "thread_control",
    "account_removed",
    "mailbox_changed",
    "auto",
    "bounce",
]
Direction = Literal["in", "out", "system"]
EchoOrigin = Literal["api", "human", "automation", "unknown"]
Unit = Literal["characters", "utf16", "bytes"]
# What becomes of a connection's data when it stops: erased at once, or kept for a while in which it can be restored.
Retention = Literal["immediate", "30 days"]
Outcome = Literal["ok", "retry", "fatal", "reconnect", "unknown"]

MEBIBYTE = 1024 * 1024


class ConnectRefused(Unprocessable):
    """This account cannot be connected."""

    code = "connect_refused"


class ProviderUnavailable(Unavailable):
    """The channel did not confirm the call; it is safe to try again."""

    code = "provider_unavailable"


class Credentials(dict[str, str]):
    """A connection's secrets by name, and the ids its provider needs beside them (Telegram: `token`).

    Printing one shows the names only, so that a stray log line or traceback holds no secret.
    """

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self))})"


@dataclass(frozen=True)
class Media:
    """One file or structured attachment, with the `id` or the `url` (also `geo:`, `tel:`) that its provider brings."""

    type: str
    id: str | None = None
    url: str | None = None
    mime: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class InboundEvent:
    """One normalised event of a webhook body, mail or poll.

    Stored once per (channel, account_id, dedup_id). `customer_id` is the person, also on echoes. `may_reply` is
    true only for a customer's own message that an automatic reply may answer: everything else stays unanswered
    unless a provider says so. `reason` and `error_code` are the provider's codes, never text.
    """

    channel: str
    kind: Kind
    direction: Direction
    account_id: str
    dedup_id: str
    conversation_id: str | None = None
    customer_id: str | None = None
    sender_id: str | None = None
    sender_name: str | None = None
    message_id: str | None = None
    text: str | None = None
    timestamp_ms: int | None = None
    media: tuple[Media, ...] = ()
    share_url: str | None = None
    emoji: str | None = None
    action: str | None = None
    payload: str | None = None
    button_id: str | None = None
    callback_id: str | None = None
    target_id: str | None = None
    target_ids: tuple[str, ...] = ()
    reply_to_id: str | None = None
    watermark_ms: int | None = None
    echo_origin: EchoOrigin | None = None
    standby: bool = False
    may_reply: bool = False
    business_connection_id: str | None = None
    ad_id: str | None = None
    history_id: str | None = None
    error_code: int | str | None = None
    retryable: bool | None = None
    reason: int | str | None = None
    new_wa_id: str | None = None
    subject: str | None = None
    reply_address: str | None = None
    attachments: tuple[str, ...] = ()
    failed_message_id: str | None = None
    failed_recipient: str | None = None
    permanent: bool | None = None
    # Other ids by which the same customer is known (WhatsApp: the number beside the business-scoped id).
    aliases: tuple[str, ...] = ()
    # What a reply needs beside the conversation's id, as its provider wants it back in `Recipient.address`.
    address: Mapping[str, str] = field(default_factory=dict)
    # Our own id of the delivery that an echo or a status is of, where the channel carries such a mark.
    delivery_id: str | None = None
    # Mail: earlier messages of the thread, by any of which its conversation may be known.
    parents: tuple[str, ...] = ()
    # Mail: others may write in the same thread, and each has a conversation of their own.
    per_customer: bool = False

    @property
    def thread(self) -> str | None:
        """What the conversation is known by."""
        return f"{self.conversation_id}\0{self.customer_id}" if self.per_customer else self.conversation_id


@dataclass(frozen=True)
class Capabilities:
    """What a channel can do and where its limits are (reference section 9).

    `max_length` of one message is counted in `unit`. Windows are hours since the customer's last message, None
    without one; `business_window_hours` holds where a conversation has a business_connection_id, and
    `person_window_hours` for what a person wrote. Of the `messages_per_window`, `kept_for_person` are left to one.
    `templates` says whether an approved template may go outside of the window. `typing` says whether a typing sign
    can be shown, `media` whether customers can send files, `images` and `links` whether we can. `shared_webhook`:
    events of all accounts come to one address and name theirs. `polled`: what is new is fetched from the account
    (`Mailboxes`). `thread_replies_per_day` and `customer_replies_per_day` are the brakes of a channel on which robots
    write: so many automatic replies in 24 hours. `retention` is what becomes of a connection's data once it stops.
    """

    unit: Unit
    max_length: int
    window_hours: int | None = None
    business_window_hours: int | None = None
    person_window_hours: int | None = None
    messages_per_window: int | None = None
    kept_for_person: int = 0
    templates: bool = False
    typing: bool = False
    media: bool = False
    images: bool = False
    links: bool = True
    shared_webhook: bool = False
    polled: bool = False
    thread_replies_per_day: int | None = None
    customer_replies_per_day: int | None = None
    max_body_bytes: int = MEBIBYTE
    retention: Retention = "30 days"


@dataclass(frozen=True)
class Account:
    """The business account that a connect found.

    `routes` are the other ids by which events of a shared webhook name it (WhatsApp: the business account; Meta: the
    app-scoped user who connected). `extra` holds what the provider wants to be kept about it.
    """

    account_id: str
    display_name: str
    extra: Mapping[str, str | bool]
    routes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grant:
    """An account that its owner let us use, with the credentials for it."""

    account: Account
    credentials: Credentials


@dataclass(frozen=True)
class Part:
    """What of a webhook body is one account's, reduced to what may be stored; `parse` reads it as it reads a body.

    `account_id` is None where the webhook's address tells the connection.
    """

    account_id: str | None
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Where a message goes: the ids of its conversation, and the newest message there that the customer wrote.

    `address` is what that message's event said in its own `address`.
    """

    conversation_id: str
    customer_id: str | None = None
    message_id: str | None = None
    business_connection_id: str | None = None
    address: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture to send: its bytes, media type and file name."""

    data: bytes = field(repr=False)
    mime: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Template:
    """An approved template by name and language code, with the texts that fill its body's places in order."""

    name: str
    language: str
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One message to be sent: a plain text that fits `capabilities`, an image, or a template.

    `reply_to` is the message to quote. `delivery_id` is our own id, attached where the channel returns such a mark
    on its echo. `by_person`: a person wrote it, which opens wider windows on some channels; `outside_window`: and only
    such a window is open.
    """

    to: Recipient
    text: str = ""
    delivery_id: str = ""
    reply_to: str | None = None
    by_person: bool = False
    outside_window: bool = False
    image: Image | None = None
    template: Template | None = None


@dataclass(frozen=True)
class SendResult:
    """How one send ended (DESIGN, promise 1).

    ok: confirmed, with `message_id`. retry: certainly not executed, may be tried again after `retry_after` seconds
    (None: the caller's own backoff). fatal: refused for this message or customer. reconnect: the connection's
    credentials are dead. unknown: it may have been delivered, so it must never be sent again blindly.
    `code` is the provider's code, with a short word where one code means many things ("403/blocked"); never text.
    """

    outcome: Outcome
    message_id: str | None = None
    retry_after: float | None = None
    code: str | None = None


class Provider(Protocol):
    """One messaging channel. Implementations hold base URLs and the platform's own app credentials, and are safe to
    share between tasks. `ProviderDefaults` has what a channel without webhooks for many or OAuth does."""

    @property
    def channel(self) -> str:
        """The channel's name in ids, settings and URLs, for example "telegram"."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """The channel's limits."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether the raw body was sent by someone who knows `secret`, in constant time.

        `now` is Unix seconds. Header names match in any case. An empty secret is a ValueError, never a valid key.
        Where several secrets are valid, the caller tries each.
        """
        ...

    def handshake(self, query: Mapping[str, str], token: str) -> str | None:
        """What to answer when the provider asks whether the webhook is ours, or None to refuse. An empty token is a
        ValueError."""
        ...

    def parts(self, body: bytes) -> list[Part]:
        """A verified body account by account, reduced to what may be stored; never raises, [] if nothing is."""
        ...

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The events of a verified body or a part of one, in order; never raises.

        `account_id` is the connection's account. Channels with one webhook for many accounts read the account
        of each event from the body instead. Bytes that are no event of the channel give [].
        """
        ...

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """Where the owner of an account is sent to let us use it (OAuth 2, RFC 6749; `verifier` of PKCE, RFC 7636).

        Raises ConnectRefused for a channel that is connected otherwise.
        """
        ...

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """The accounts that the owner let us use, for the code that came back.

        Raises ConnectRefused, which names missing scopes; ProviderUnavailable when starting again may help.
        """
        ...

    async def refresh(self, client: httpx.AsyncClient, credentials: Credentials) -> Credentials:
        """New credentials for old ones, whose `expires_at` (Unix seconds) comes near; the same if they do not expire.

        Raises ConnectRefused when the owner has to let us in again, ProviderUnavailable when it may be tried again.
        """
        ...

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """Whose credentials these are; changes nothing at the provider.

        Raises ConnectRefused in words for the owner, ProviderUnavailable when trying again may help.
        """
        ...

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Have the account's events sent to us; safe to repeat. Raises as `identify` does."""
        ...

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Take the webhook back and revoke the credentials; with `webhook_url` only if it is still the one that is set.

        Already dead credentials are fine; ProviderUnavailable if it is not confirmed.
        """
        ...

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """Send one message; every end is a SendResult, not an exception."""
        ...

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """Show that the customer's message was read and an answer is being written, best effort."""
        ...

    async def acknowledge(self, client: httpx.AsyncClient, credentials: Credentials, event: InboundEvent) -> None:
        """Tell the provider that an event was taken (Telegram: end the wait of a tapped button), best effort."""
        ...


def header(headers: Mapping[str, str], name: str) -> str | None:
    """The value of the first header called `name` in any case, or None."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), None)
