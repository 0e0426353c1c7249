"""Telegram: bots, and business accounts that a bot answers for.

Source: Telegram Bot API 10.2 (shared reference, section 6). Updates are read in app/channels/telegram_updates.py,
calls are made in app/channels/telegram_api.py.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Any

import httpx

from app.channels.base import (
    Account,
    Capabilities,
    ConnectRefused,
    Credentials,
    InboundEvent,
    Outgoing,
    ProviderUnavailable,
    Recipient,
    SendResult,
    header,
)
from app.channels.defaults import ProviderDefaults
from app.channels.telegram_api import TOKEN, Answer, call, whole_number
from app.channels.telegram_updates import ALLOWED_UPDATES, parse_update
from app.text import clean

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_MAX_CONNECTIONS = 40


class Telegram(ProviderDefaults):
    """The Telegram provider; `api_base` is the root of the Bot API, before `/bot<token>`."""

    channel = "telegram"
    capabilities = Capabilities(unit="utf16", max_length=4096, business_window_hours=24, typing=True, media=True)

    def __init__(self, api_base: str = "https://api.telegram.org") -> None:
        if httpx.URL(api_base).scheme not in ("http", "https"):
            raise ValueError("api_base must be an http or https URL")
        self._api_base = api_base.rstrip("/")

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether the secret header is ours; Telegram signs neither the body nor a time."""
        if not secret:
            raise ValueError("an empty webhook secret would let everyone in")
        given = header(headers, "X-Telegram-Bot-Api-Secret-Token") or ""
        return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The event of one update for the bot `account_id`."""
        return parse_update(body, account_id)

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """Ask whose token it is (getMe)."""
        if not TOKEN.fullmatch(credentials.get("token", "")):
            raise ConnectRefused(
                "That is not a Telegram bot token. BotFather gives one like 123456789: and 35 letters.",
                code="bad_token",
            )
        me = await self._call(client, credentials, "getMe")
        bot_id = whole_number(me.result.get("id"))
        if not me.ok or bot_id is None:
            raise _connect_error(me)
        return _account(bot_id, me.result)

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """deleteWebhook; only the owner can revoke the token itself, in BotFather."""
        if webhook_url is not None:
            info = await self._call(client, credentials, "getWebhookInfo")
            if info.bad_token or (info.ok and info.result.get("url") != webhook_url):
                return
            if not info.ok:
                raise ProviderUnavailable("Telegram did not say which webhook is set. Try again.")
        answer = await self._call(client, credentials, "deleteWebhook")
        if not answer.ok and not answer.bad_token:
            raise ProviderUnavailable("Telegram did not confirm that the webhook was removed. Try again.")

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """sendMessage as plain text without a link preview; Telegram has no place for `delivery_id`."""
        content = _addressed(message.to) | {"text": clean(message.text), "link_preview_options": {"is_disabled": True}}
        if message.reply_to is not None:
            quoted = {"message_id": _number(message.reply_to), "allow_sending_without_reply": True}
            content["reply_parameters"] = quoted
        answer = await self._call(client, credentials, "sendMessage", content)
        if answer.migrated_to is not None:
            content["chat_id"] = answer.migrated_to
            answer = await self._call(client, credentials, "sendMessage", content)
        return _send_result(answer)

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """sendChatAction: shown for up to 5 seconds or until the next message."""
        await self._call(client, credentials, "sendChatAction", _addressed(to) | {"action": "typing"})

    async def acknowledge(self, client: httpx.AsyncClient, credentials: Credentials, event: InboundEvent) -> None:
        """answerCallbackQuery for a tapped button; nothing for other events."""
        if event.callback_id is not None:
            query = {"callback_query_id": event.callback_id}
            await self._call(client, credentials, "answerCallbackQuery", query)

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Point the bot's webhook at us (setWebhook)."""
        if not _SECRET.fullmatch(secret):
            raise ValueError("a Telegram webhook secret is 1 to 256 of A-Z a-z 0-9 _ -")
        webhook = {
            "url": webhook_url,
            "secret_token": secret,
            # Left out, Telegram would keep the list of whoever used the bot before.
            "allowed_updates": list(ALLOWED_UPDATES),
            "max_connections": _MAX_CONNECTIONS,
        }
        answer = await self._call(client, credentials, "setWebhook", webhook)
        if not answer.ok:
            raise _connect_error(answer)

    async def _call(
        self,
        client: httpx.AsyncClient,
        credentials: Credentials,
        method: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> Answer:
        return await call(client, self._api_base, credentials.get("token", ""), method, parameters or {})


def _send_result(answer: Answer) -> SendResult:
    """DESIGN, promise 1: only what certainly was not executed may be sent again."""
    if answer.too_many:
        return SendResult("retry", retry_after=answer.retry_after, code=answer.code)
    if answer.refusal is not None:
        return SendResult("reconnect" if answer.bad_token else "fatal", code=answer.code)
    if not answer.sent:
        return SendResult("retry", code=answer.code)
    message_id = whole_number(answer.result.get("message_id"))
    if answer.ok and message_id is not None:
        return SendResult("ok", message_id=str(message_id))
    return SendResult("unknown", code="no_message_id" if answer.ok else answer.code)


def _connect_error(answer: Answer) -> ConnectRefused | ProviderUnavailable:
    """Why a connect failed, in words for the person who pasted the token."""
    if answer.too_many:
        wait = f"in {answer.retry_after:.0f} seconds" if answer.retry_after else "later"
        return ProviderUnavailable(f"Telegram takes no more calls for this bot right now. Try again {wait}.")
    if answer.bad_token:
        return ConnectRefused("Telegram knows no bot with this token. Copy it again from BotFather.", code="bad_token")
    if answer.code.endswith("/bad_webhook"):
        return ConnectRefused(
            "Telegram refuses our webhook address: it must be public, with https, on port 443, 80, 88 or 8443.",
            code="bad_webhook",
        )
    if answer.refusal is not None:
        return ConnectRefused(f"Telegram refuses to connect this bot (its error {answer.refusal}).")
    return ProviderUnavailable("Telegram could not be reached, or its answer could not be understood. Try again.")


def _account(bot_id: int, bot: Mapping[str, Any]) -> Account:
    username = bot.get("username")
    name = f"@{clean(username)}" if isinstance(username, str) and username else str(bot_id)
    return Account(str(bot_id), name, {"can_connect_to_business": bot.get("can_connect_to_business") is True})


def _addressed(to: Recipient) -> dict[str, Any]:
    address: dict[str, Any] = {"chat_id": _number(to.conversation_id)}
    if to.business_connection_id is not None:
        address["business_connection_id"] = to.business_connection_id
    return address


def _number(opaque_id: str) -> int | str:
    """Telegram's ids are numbers on the wire; anything else goes as it is, to be refused there."""
    return int(opaque_id) if _NUMBER.fullmatch(opaque_id) else clean(opaque_id)
