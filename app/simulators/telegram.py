"""A Telegram Bot API at the wire, for the sample's simulated connection and for tests.

`TelegramSimulator(...).app` is an ASGI app that runs under uvicorn on loopback or in process through
httpx.ASGITransport. It answers as the Bot API 10.2 does (shared reference, section 6), keeps what was sent, and
fails on demand in every way a network and a provider can.
"""

import itertools
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulators.faults import Fault

MAX_TEXT_UTF16 = 4096
_LOG_LENGTH = 10_000
_TOKEN = re.compile(r"([0-9]{6,}):[A-Za-z0-9_-]{30,}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WEBHOOK_PORTS = frozenset({443, 80, 88, 8443})
_MAX_CONNECTIONS = range(1, 101)


@dataclass(frozen=True)
class Bot:
    """A registered bot."""

    id: int
    username: str


@dataclass(frozen=True)
class Sent:
    """One accepted sendMessage; `at` is Unix seconds."""

    bot_id: int
    chat_id: str
    text: str
    message_id: int
    at: float
    reply_to: int | None = None
    business_connection_id: str | None = None


@dataclass(frozen=True)
class Call:
    """One call that reached the simulator, also if it failed."""

    method: str
    parameters: dict[str, Any]
    at: float


def refused(error_code: int, description: str, *, acts: bool = False, **parameters: int) -> Fault:
    """An error in Telegram's own form, for example refused(429, "Too Many Requests", retry_after=5)."""
    return Fault(acts=acts, status=error_code, body=json.dumps(_error(error_code, description, parameters)).encode())


class TelegramSimulator:
    """Bots by token, their webhooks and everything they sent.

    `chats` are the ids of the chats that exist (None: every chat does); `blocked` those whose person blocked the
    bots. With `accept_any_token` every well-formed token is a bot. Message ids count up from `first_message_id`.
    """

    def __init__(
        self,
        bots: dict[str, Bot] | None = None,
        *,
        accept_any_token: bool = False,
        chats: Iterable[str] | None = None,
        first_message_id: int = 1,
    ) -> None:
        self.bots = dict(bots or {})
        self.chats = None if chats is None else set(chats)
        self.blocked: set[str] = set()
        self.webhooks: dict[int, dict[str, Any]] = {}
        self.sent: deque[Sent] = deque(maxlen=_LOG_LENGTH)
        self.calls: deque[Call] = deque(maxlen=_LOG_LENGTH)
        self.app = Starlette(routes=[Route("/bot{token}/{method}", self._receive, methods=["GET", "POST"])])
        self._accept_any_token = accept_any_token
        self._message_ids = itertools.count(first_message_id)
        self._faults: dict[str, deque[Fault]] = {}

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next calls of `method` (any letter case) meet these faults, one each, in order."""
        self._faults.setdefault(method.lower(), deque()).extend(faults)

    async def _receive(self, request: Request) -> Any:
        method, parameters = request.path_params["method"], await _parameters(request)
        self.calls.append(Call(method, parameters, time.time()))
        fault = self._next_fault(method)
        if fault is None:
            return _respond(self._act(request.path_params["token"], method, parameters))
        acted = self._act(request.path_params["token"], method, parameters) if fault.acts else {}
        return await fault.response(_respond(acted))

    def _next_fault(self, method: str) -> Fault | None:
        queue = self._faults.get(method.lower())
        return queue.popleft() if queue else None

    def _act(self, token: str, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        bot = self._bot(token)
        if bot is None:
            return _error(401, "Unauthorized") if _TOKEN.fullmatch(token) else _error(404, "Not Found")
        action = self._methods.get(method.lower())
        return action(self, bot, parameters) if action else _error(404, "Not Found")

    def _bot(self, token: str) -> Bot | None:
        form = _TOKEN.fullmatch(token)
        if form and self._accept_any_token:
            return self.bots.get(token) or Bot(int(form[1]), f"simulated_{form[1]}_bot")
        return self.bots.get(token)

    def _get_me(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        return _ok(_user(bot) | {"can_join_groups": True, "can_connect_to_business": True})

    def _set_webhook(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        wrong = _webhook_fault(parameters)
        if wrong:
            return _error(400, f"Bad Request: {wrong}")
        self.webhooks[bot.id] = parameters
        return _ok(True, "Webhook was set")

    def _delete_webhook(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        deleted = self.webhooks.pop(bot.id, None)
        return _ok(True, "Webhook was deleted" if deleted else "Webhook is already deleted")

    def _get_webhook_info(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        webhook = self.webhooks.get(bot.id, {})
        kept = {name: webhook[name] for name in ("allowed_updates", "max_connections") if name in webhook}
        url = webhook.get("url", "")
        return _ok({"url": url, "has_custom_certificate": False, "pending_update_count": 0} | kept)

    def _send_message(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        text = str(parameters.get("text", "")).strip()
        wrong = self._chat_fault(parameters) or _text_fault(text)
        if wrong:
            return wrong
        chat_id = str(parameters["chat_id"])
        sent = Sent(
            bot_id=bot.id,
            chat_id=chat_id,
            text=text,
            message_id=next(self._message_ids),
            at=time.time(),
            reply_to=_object(parameters.get("reply_parameters")).get("message_id"),
            business_connection_id=parameters.get("business_connection_id"),
        )
        self.sent.append(sent)
        chat = {"id": int(chat_id), "type": "supergroup" if chat_id.startswith("-") else "private"}
        message = {"message_id": sent.message_id, "from": _user(bot), "chat": chat, "date": int(sent.at), "text": text}
        return _ok(message)

    def _send_chat_action(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._chat_fault(parameters) or _ok(True)

    def _answer_callback_query(self, bot: Bot, parameters: dict[str, Any]) -> dict[str, Any]:
        if not parameters.get("callback_query_id"):
            return _error(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        return _ok(True)

    def _chat_fault(self, parameters: dict[str, Any]) -> dict[str, Any] | None:
        chat_id = str(parameters.get("chat_id", ""))
        if not re.fullmatch(r"-?[0-9]{1,18}", chat_id) or (self.chats is not None and chat_id not in self.chats):
            return _error(400, "Bad Request: chat not found")
        if chat_id in self.blocked:
            return _error(403, "Forbidden: bot was blocked by the user")
        return None

    # The Bot API takes method names in any letter case.
    _methods: ClassVar[dict[str, Callable[["TelegramSimulator", Bot, dict[str, Any]], dict[str, Any]]]] = {
        "getme": _get_me,
        "setwebhook": _set_webhook,
        "deletewebhook": _delete_webhook,
        "getwebhookinfo": _get_webhook_info,
        "sendmessage": _send_message,
        "sendchataction": _send_chat_action,
        "answercallbackquery": _answer_callback_query,
    }


async def _parameters(request: Request) -> dict[str, Any]:
    """Parameters from the query string and a JSON body, as the Bot API takes them."""
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        body = {}
    return dict(request.query_params) | _object(body)


def _webhook_fault(parameters: dict[str, Any]) -> str | None:
    """What is wrong with a setWebhook. As in `telegram-bot-api --local`, plain http is allowed to loopback."""
    try:
        url = urlsplit(str(parameters.get("url", "")))
        port = url.port or 443
    except ValueError:
        return "bad webhook: invalid URL"
    if url.hostname not in _LOOPBACK:
        if url.scheme != "https" or not url.hostname:
            return "bad webhook: An HTTPS URL must be provided for webhook"
        if port not in _WEBHOOK_PORTS:
            return "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"
    if not _SECRET.fullmatch(str(parameters.get("secret_token", "-"))):
        return "secret token contains unallowed characters"
    return None if parameters.get("max_connections", 40) in _MAX_CONNECTIONS else "max_connections is out of range"


def _text_fault(text: str) -> dict[str, Any] | None:
    if not text:
        return _error(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > MAX_TEXT_UTF16:
        return _error(400, "Bad Request: message is too long")
    return None


def _ok(result: object, description: str | None = None) -> dict[str, Any]:
    return {"ok": True, "result": result} | ({"description": description} if description else {})


def _error(error_code: int, description: str, parameters: dict[str, int] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"ok": False, "error_code": error_code, "description": description}
    return answer | ({"parameters": parameters} if parameters else {})


def _respond(answer: dict[str, Any]) -> Response:
    body = json.dumps(answer).encode()
    return Response(body, answer.get("error_code", 200), media_type="application/json")


def _user(bot: Bot) -> dict[str, Any]:
    return {"id": bot.id, "is_bot": True, "first_name": bot.username, "username": bot.username}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def text_update(
    chat_id: int,
    text: str,
    *,
    update_id: int = 1,
    message_id: int = 1,
    name: str = "Sample",
    date: int | None = None,
) -> dict[str, Any]:
    """The Update that a bot gets for a text in a private chat; `date` is Unix seconds, None for now."""
    person = {"id": chat_id, "first_name": name}
    message = {
        "message_id": message_id,
        "from": person | {"is_bot": False},
        "chat": person | {"type": "private"},
        "date": int(time.time()) if date is None else date,
        "text": text,
    }
    return {"update_id": update_id, "message": message}
