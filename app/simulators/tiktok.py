"""TikTok's API for Business at the wire, for tests and for developers without an approved app.

`TikTokSimulator(...).app` is an ASGI app that answers as the API does (shared reference, section 1): HTTP 200 also for
errors, refresh tokens that rotate, one webhook per app. `webhook(...)` signs what TikTok would post.
"""

import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.simulators.faults import Fault

_LOG_LENGTH = 10_000
_TOKEN_SECONDS = 86_400
_MAX_TEXT = 6000
_MAX_IMAGE_BYTES = 3 * 1024 * 1024
_BAD_TOKEN, _BAD_PARAMETER, _NOT_FOUND, _NO_SCOPE = 40105, 40002, 40007, 40001
_API = "/open_api/v1.3"


@dataclass
class Business:
    """A business account; `scope` is what its owner agrees to, None for all that is asked."""

    id: str
    username: str
    display_name: str
    scope: str | None = None


@dataclass(frozen=True)
class Sent:
    """One accepted message; `at` is Unix seconds."""

    business_id: str
    conversation_id: str
    kind: str
    text: str | None
    message_id: str
    at: float
    reply_to: str | None = None


@dataclass(frozen=True)
class Call:
    """One call that reached the simulator, also if it failed."""

    path: str
    parameters: dict[str, Any]


def refused(code: int, message: str = "refused") -> Fault:
    """An error in TikTok's own form, with HTTP 200."""
    return Fault(acts=False, status=200, body=json.dumps(_error(code, message)).encode())


class TikTokSimulator:
    """Accounts, their tokens, the app's webhook and everything that was sent.

    Codes and tokens are random. `conversations` are the ids that exist (None: every one does).
    """

    def __init__(
        self, app_id: str, app_secret: str, business: Business, *, conversations: set[str] | None = None
    ) -> None:
        self.app_id, self.app_secret, self.business = app_id, app_secret, business
        self.conversations = conversations
        self.codes: dict[str, str] = {}
        self.access_tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.webhook_url: str | None = None
        self.images = True
        self.media: set[str] = set()
        self.sent: deque[Sent] = deque(maxlen=_LOG_LENGTH)
        self.actions: deque[str] = deque(maxlen=_LOG_LENGTH)
        self.calls: deque[Call] = deque(maxlen=_LOG_LENGTH)
        self._numbers = itertools.count(1)
        self._faults: dict[str, deque[Fault]] = {}
        self.app = Starlette(
            routes=[
                Route("/v2/auth/authorize", self._authorize),
                Route(f"{_API}/{{path:path}}", self._receive, methods=["GET", "POST"]),
            ]
        )

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next calls of a path ("business/message/send") meet these faults, one each, in order."""
        self._faults.setdefault(path, deque()).extend(faults)

    async def _authorize(self, request: Request) -> Response:
        """The consent page: its owner agrees at once."""
        query = request.query_params
        if query.get("client_key") != self.app_id or query.get("response_type") != "code":
            return JSONResponse(_error(_BAD_PARAMETER, "client_key"), 400)
        code = secrets.token_urlsafe(24)
        self.codes[code] = query.get("redirect_uri", "")
        scope = query.get("scope", "") if self.business.scope is None else self.business.scope
        self.codes[f"{code} scope"] = scope
        return RedirectResponse(f"{query['redirect_uri']}?code={code}&scopes={scope}&state={query.get('state', '')}")

    async def _receive(self, request: Request) -> Response:
        path = request.path_params["path"]
        if not path.endswith("/"):
            return Response(status_code=404)
        path, parameters = path.rstrip("/"), await _parameters(request)
        self.calls.append(Call(path, parameters))
        # A typing sign comes when it comes: faults are for messages.
        queue = self._faults.get(path) if parameters.get("message_type") != "SENDER_ACTION" else None
        fault = queue.popleft() if queue else None
        token = request.headers.get("Access-Token", "")
        if fault is None:
            return JSONResponse(self._act(path, parameters, token))
        answer = self._act(path, parameters, token) if fault.acts else {}
        return await fault.response(JSONResponse(answer))

    def _act(self, path: str, parameters: dict[str, Any], token: str) -> dict[str, Any]:
        if path in self._open:
            return self._open[path](self, parameters)
        if token not in self.access_tokens:
            return _error(_BAD_TOKEN, "access token is invalid")
        if parameters.get("business_id") != self.business.id:
            return _error(_NO_SCOPE, "no permission")
        action = self._guarded.get(path)
        return _error(_NOT_FOUND, "no such path") if action is None else action(self, parameters)

    def _exchange(self, parameters: dict[str, Any]) -> dict[str, Any]:
        uri = self.codes.pop(str(parameters.get("auth_code")), None)
        if not self._is_app(parameters) or uri is None or uri != parameters.get("redirect_uri"):
            return _error(_BAD_PARAMETER, "auth_code")
        return self._tokens(self.codes.pop(f"{parameters['auth_code']} scope", ""))

    def _refresh(self, parameters: dict[str, Any]) -> dict[str, Any]:
        used = str(parameters.get("refresh_token"))
        if not self._is_app(parameters) or used not in self.refresh_tokens:
            return _error(_BAD_TOKEN, "refresh token is invalid")
        self.refresh_tokens.discard(used)
        return self._tokens(None)

    def _revoke(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if not self._is_app(parameters) or parameters.get("access_token") not in self.access_tokens:
            return _error(_BAD_TOKEN, "access token is invalid")
        self.access_tokens.clear()
        self.refresh_tokens.clear()
        return _ok({})

    def _set_webhook(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters.get("app_id") != self.app_id or parameters.get("secret") != self.app_secret:
            return _error(_BAD_PARAMETER, "app_id")
        self.webhook_url = str(parameters.get("callback_url"))
        return _ok({})

    def _profile(self, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted = json.loads(parameters.get("fields", "[]"))
        known = {"username": self.business.username, "display_name": self.business.display_name}
        known["profile_image"] = "https://p16.example/face.jpeg"
        return _ok({name: known[name] for name in wanted if name in known})

    def _capabilities(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return _ok({"capability_infos": [{"capability_type": "IMAGE_SEND", "capability_result": self.images}]})

    def _upload(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters.get("media_type") != "IMAGE" or not 0 < parameters.get("file", 0) <= _MAX_IMAGE_BYTES:
            return _error(40908, "file type")
        media_id = f"media-{next(self._numbers)}"
        self.media.add(media_id)
        return _ok({"media_id": media_id})

    def _send(self, parameters: dict[str, Any]) -> dict[str, Any]:
        conversation, kind = str(parameters.get("recipient")), parameters.get("message_type")
        if self.conversations is not None and conversation not in self.conversations:
            return _error(_NOT_FOUND, "no such conversation")
        if kind == "SENDER_ACTION":
            self.actions.append(str(parameters.get("sender_action")))
            return _ok({"message": {"message_id": ""}})
        text = parameters.get("text", {}).get("body") if kind == "TEXT" else None
        if kind == "TEXT" and not (isinstance(text, str) and 0 < len(text) <= _MAX_TEXT):
            return _error(_BAD_PARAMETER, "text.body")
        if kind == "IMAGE" and parameters.get("image", {}).get("media_id") not in self.media:
            return _error(_NOT_FOUND, "no such media")
        quoted = parameters.get("referenced_message_info", {}).get("referenced_message_id")
        message_id = f"sim-{next(self._numbers)}=="
        self.sent.append(Sent(self.business.id, conversation, str(kind), text, message_id, time.time(), quoted))
        return _ok({"message": {"message_id": message_id}})

    def _tokens(self, scope: str | None) -> dict[str, Any]:
        access, refresh = secrets.token_hex(20), secrets.token_hex(20)
        self.access_tokens, self.refresh_tokens = {access}, {refresh}
        scoped = {} if scope is None else {"scope": scope}
        return _ok(
            {
                "open_id": self.business.id,
                "access_token": access,
                "expires_in": _TOKEN_SECONDS,
                "refresh_token": refresh,
                "refresh_token_expires_in": 365 * _TOKEN_SECONDS,
                "token_type": "Bearer",
                **scoped,
            }
        )

    def _is_app(self, parameters: dict[str, Any]) -> bool:
        return (parameters.get("client_id"), parameters.get("client_secret")) == (self.app_id, self.app_secret)

    _open: ClassVar[dict[str, Callable[["TikTokSimulator", dict[str, Any]], dict[str, Any]]]] = {
        "tt_user/oauth2/token": _exchange,
        "tt_user/oauth2/refresh_token": _refresh,
        "tt_user/oauth2/revoke": _revoke,
        "business/webhook/update": _set_webhook,
    }
    _guarded: ClassVar[dict[str, Callable[["TikTokSimulator", dict[str, Any]], dict[str, Any]]]] = {
        "business/get": _profile,
        "business/message/capabilities/get": _capabilities,
        "business/message/media/upload": _upload,
        "business/message/send": _send,
    }

    def webhook(self, event: str, content: dict[str, Any], *, at: float | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body of what TikTok posts for an event of the account."""
        moment = int(time.time() if at is None else at)
        envelope = {
            "client_key": self.app_id,
            "event": event,
            "create_time": moment,
            "user_openid": self.business.id,
            "content": json.dumps(content),
        }
        body = json.dumps(envelope).encode()
        signature = hmac.new(self.app_secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Tiktok-Signature": f"t={moment},s={signature}", "Content-Type": "application/json"}, body

    def message(self, customer: str, conversation: str, text: str, message_id: str) -> tuple[dict[str, str], bytes]:
        """What TikTok posts when a customer writes."""
        return self.webhook(
            "im_receive_msg",
            {
                "timestamp": int(time.time() * 1000),
                "unique_identifier": customer,
                "from_user": {"id": customer, "role": "personal_account"},
                "to_user": {"id": self.business.id, "role": "business_account"},
                "from": f"{customer} name",
                "to": self.business.username,
                "conversation_id": conversation,
                "message_id": message_id,
                "type": "text",
                "text": {"body": text},
                "is_follower": True,
                "message_tag": {"source": "APP"},
            },
        )

    def echo(self, sent: Sent, customer: str, source: str = "API") -> tuple[dict[str, str], bytes]:
        """What TikTok posts for a message of the business, ours (API) or a person's (APP)."""
        return self.webhook(
            "im_send_msg",
            {
                "timestamp": int(sent.at * 1000),
                "from_user": {"id": self.business.id, "role": "business_account"},
                "to_user": {"id": customer, "role": "personal_account"},
                "from": self.business.username,
                "to": f"{customer} name",
                "conversation_id": sent.conversation_id,
                "message_id": sent.message_id,
                "type": "text",
                "text": {"body": sent.text},
                "message_tag": {"source": source},
            },
        )


async def _parameters(request: Request) -> dict[str, Any]:
    """Parameters of the query, of a JSON body or of a form; of a file only its size."""
    found: dict[str, Any] = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form() as form:
            for name, value in form.items():
                found[name] = value if isinstance(value, str) else len(await value.read())
        return found
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        body = {}
    return found | (body if isinstance(body, dict) else {})


def _ok(data: dict[str, Any]) -> dict[str, Any]:
    return {"code": 0, "message": "OK", "request_id": secrets.token_hex(8), "data": data}


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "request_id": secrets.token_hex(8), "data": {}}
