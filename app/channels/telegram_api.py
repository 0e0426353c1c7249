"""One call of the Telegram Bot API and how to read its answer: the wire half of app/channels/providers/telegram.py.

Source: Telegram Bot API 10.2, "Making requests" (shared reference, section 6). The bot's token is part of every URL.
It must not reach a log, a trace or an exception: requests carry a URL that prints without its path, and no httpx
exception leaves this module.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

TOKEN = re.compile(r"[0-9]{6,}:[A-Za-z0-9_-]{30,}")

# Nothing of the request was written yet.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_SUCCESS = range(200, 300)
_REFUSALS = range(400, 500)
_SERVER_ERRORS = range(500, 600)
_TOO_MANY = 429
_WAITS = range(10**9)
_SECONDS = re.compile(r"[0-9]{1,9}")

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


class _HiddenPath(httpx.URL):
    """A URL whose printed form stops before the path, where the token is; httpx logs and errors print URLs."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/[hidden]"

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


@dataclass(frozen=True)
class Answer:
    """What came back of one call.

    `status` is the HTTP status, 0 if there was none. `body` is the envelope, empty if there was none to read.
    `failure` is a word for what broke on the way; `sent` is false if not a byte of the request went out.
    """

    status: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    sent: bool = True
    retry_header: str = ""

    @property
    def ok(self) -> bool:
        """Whether Telegram says, without contradiction, that it acted."""
        return self.status in _SUCCESS and self.body.get("ok") is True

    @property
    def refusal(self) -> int | None:
        """The error_code of a documented refusal (400 to 499): Telegram says in its own form that it did not act."""
        code = whole_number(self.body.get("error_code")) if self.body.get("ok") is False else None
        return code if code in _REFUSALS and self.status not in _SERVER_ERRORS else None

    @property
    def bad_token(self) -> bool:
        """Whether no bot has this token any more."""
        return self.refusal in (401, 404)

    @property
    def too_many(self) -> bool:
        """Whether the call was refused for its rate; a proxy may say so without Telegram's envelope."""
        return _TOO_MANY in (self.status, self.refusal)

    @property
    def code(self) -> str:
        """The provider's code, with a word where it means many things; or what broke on the way."""
        if self.failure:
            return self.failure
        description = str(self.body.get("description")).lower()
        subcode = next((word for words, word in _SUBCODES.items() if words in description), None)
        number = whole_number(self.body.get("error_code")) or self.status
        return f"{number}/{subcode}" if subcode else str(number)

    @property
    def result(self) -> Mapping[str, Any]:
        """The result, empty if it is not an object."""
        return _mapping(self.body.get("result"))

    @property
    def retry_after(self) -> float | None:
        """Seconds that Telegram, or a proxy before it, wants us to wait."""
        seconds = whole_number(_mapping(self.body.get("parameters")).get("retry_after"))
        if seconds is None and _SECONDS.fullmatch(self.retry_header):
            seconds = int(self.retry_header)
        return float(seconds) if seconds is not None and seconds in _WAITS else None

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
        return Answer(status=404, body={"ok": False, "error_code": 404}, sent=False)
    request = client.build_request("POST", f"{api_base}/bot{token}/{method}", json=parameters)
    request.url = _HiddenPath(request.url)
    try:
        return _read(await client.send(request, follow_redirects=False))
    except _NEVER_SENT:
        return Answer(failure="connect_failed", sent=False)
    except httpx.TimeoutException:
        return Answer(failure="timeout")
    except (httpx.HTTPError, httpx.StreamError, OSError):
        return Answer(failure="connection_lost")


def _read(response: httpx.Response) -> Answer:
    retry = response.headers.get("Retry-After", "")
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return Answer(response.status_code, body, retry_header=retry)
    # An error page of something in between keeps its status as the code.
    failure = None if response.is_error else "unreadable_answer"
    return Answer(response.status_code, failure=failure, retry_header=retry)


def whole_number(value: object) -> int | None:
    """`value` if it is a JSON integer."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
