"""One call of the Telegram Bot API and how to read its answer: the wire half of app/channels/providers/telegram.py.

Source: Telegram Bot API 10.2, "Making requests" (shared reference, section 6). The bot's token is part of every URL.
It must not reach a log, a trace or an exception; app/channels/calls.py sees to that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.channels import calls
from app.channels.calls import Reply

TOKEN = re.compile(r"[0-9]{6,}:[A-Za-z0-9_-]{30,}")

_SUCCESS = range(200, 300)
_REFUSALS = range(400, 500)
_SERVER_ERRORS = range(500, 600)
_TOO_MANY = 429
_WAITS = range(10**9)

# One error_code means many things; the caller has to tell a blocked customer from a mistake of ours.
_SUBCODES = {
    "bot was blocked by the user": "blocked",
    "user is deactivated": "deactivated",
    "bot can't initiate conversation": "not_started",
    "chat not found": "chat_not_found",
    "message is too long": "too_long",
    "message text is empty": "empty",
    "can't parse entities": "entities",
    "message to be replied not found": "reply_not_found",
    "bad webhook": "bad_webhook",
}


@dataclass(frozen=True)
class Answer:
    """What came back of one call, read as the Bot API means it."""

    reply: Reply

    @property
    def body(self) -> Mapping[str, Any]:
        """The envelope, empty if there was none to read."""
        return self.reply.body or {}

    @property
    def sent(self) -> bool:
        """False if not a byte of the request went out."""
        return self.reply.sent

    @property
    def ok(self) -> bool:
        """Whether Telegram says, without contradiction, that it acted."""
        return self.reply.status in _SUCCESS and self.body.get("ok") is True

    @property
    def refusal(self) -> int | None:
        """The error_code of a documented refusal (400 to 499): Telegram says in its own form that it did not act."""
        code = whole_number(self.body.get("error_code")) if self.body.get("ok") is False else None
        return code if code in _REFUSALS and self.reply.status not in _SERVER_ERRORS else None

    @property
    def bad_token(self) -> bool:
        """Whether no bot has this token any more."""
        return self.refusal in (401, 404)

    @property
    def too_many(self) -> bool:
        """Whether the call was refused for its rate; a proxy may say so without Telegram's envelope."""
        return _TOO_MANY in (self.reply.status, self.refusal)

    @property
    def code(self) -> str:
        """The provider's code, with a word where it means many things; or what broke on the way."""
        if self.reply.failure:
            return self.reply.failure
        description = str(self.body.get("description")).lower()
        subcode = next((word for words, word in _SUBCODES.items() if words in description), None)
        number = whole_number(self.body.get("error_code")) or self.reply.status
        return f"{number}/{subcode}" if subcode else str(number)

    @property
    def result(self) -> Mapping[str, Any]:
        """The result, empty if it is not an object."""
        return _mapping(self.body.get("result"))

    @property
    def retry_after(self) -> float | None:
        """Seconds that Telegram, or a proxy before it, wants us to wait."""
        seconds = whole_number(_mapping(self.body.get("parameters")).get("retry_after"))
        return float(seconds) if seconds is not None and seconds in _WAITS else self.reply.retry_after

    @property
    def migrated_to(self) -> int | None:
        """The new id of a group that became a supergroup; the message went nowhere."""
        return whole_number(_mapping(self.body.get("parameters")).get("migrate_to_chat_id")) if self.refusal else None


async def call(
    client: httpx.AsyncClient, api_base: str, token: str, method: str, parameters: Mapping[str, Any]
) -> Answer:
    """Call `method` of the token's bot with JSON `parameters`; a failure on the way is an Answer too."""
    if not TOKEN.fullmatch(token):
        # Telegram's answer for such a token, without putting unknown text into a URL.
        return Answer(Reply(404, {"ok": False, "error_code": 404}, sent=False))
    return Answer(await calls.call(client, "POST", f"{api_base}/bot{token}/{method}", json=parameters))


def whole_number(value: object) -> int | None:
    """`value` if it is a JSON integer."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
