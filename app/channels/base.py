"""What every messaging channel has in common: the `Provider` protocol and the values that cross it.

A provider is pure towards Jobx: it knows no database, no settings and no other provider. HTTP clients, secrets and
the clock are passed in. Its values use the vocabulary of the shared reference (section 0: ids are opaque strings,
times are Unix milliseconds).
"""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Capabilities:
    """What a channel can do and where its limits are (reference section 9).

    `max_length` of one message is counted in `unit`. Windows are hours since the customer's last message, None
    without one; `business_window_hours` holds where a conversation has a business_connection_id. `media` says
    whether customers can send files, `typing` whether a typing sign can be shown. `retention` is what becomes of
    a connection's data once it stops.
    """

    unit: Unit
    max_length: int
    window_hours: int | None = None
    business_window_hours: int | None = None
    messages_per_window: int | None = None
    typing: bool = False
    media: bool = False
    max_body_bytes: int = MEBIBYTE
    retention: Retention = "30 days"


@dataclass(frozen=True)
class Account:
    """The business account that a connect found; `extra` holds what the provider wants to be kept about it."""

    account_id: str
    display_name: str
    extra: Mapping[str, str | bool]


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
    """One messaging channel. Implementations hold base URLs only and are safe to share between tasks."""

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

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The events of a verified body, in order; never raises.

        `account_id` is the connection's account. Channels with one webhook for many accounts read the account
        of each event from the body instead. Bytes that are no event of the channel give [].
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
        """Point the account's webhook at us; safe to repeat. Raises as `identify` does."""
        ...

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Take the webhook back; with `webhook_url` only if it is still the one that is set.

        Already dead credentials are fine; ProviderUnavailable if it is not confirmed.
        """
        ...

    async def send(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        conversation_id: str,
        text: str,
        *,
        reply_to: str | None = None,
        business_connection_id: str | None = None,
        delivery_id: str | None = None,
    ) -> SendResult:
        """Send one plain text that fits `capabilities`; every end is a SendResult, not an exception.

        `reply_to` is the message to quote. `delivery_id` is our own id, attached where the channel returns such a
        mark on its echo.
        """
        ...

    async def typing(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        conversation_id: str,
        *,
        message_id: str | None = None,
        business_connection_id: str | None = None,
    ) -> None:
        """Show that an answer is being written, best effort; `message_id` is the customer's last message."""
        ...

    async def acknowledge(self, client: httpx.AsyncClient, credentials: Credentials, event: InboundEvent) -> None:
        """Tell the provider that an event was taken (Telegram: end the wait of a tapped button), best effort."""
        ...


def header(headers: Mapping[str, str], name: str) -> str | None:
    """The value of the first header called `name` in any case, or None."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), None)
