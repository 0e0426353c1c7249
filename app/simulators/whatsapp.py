"""WhatsApp's Cloud API at the wire, for tests and for developers without an approved app.

`WhatsAppSimulator(...).app` answers as Graph does (shared reference, section 5): Embedded Signup's codes, business
accounts and their numbers, sends, uploads. `webhook(...)` signs what Meta posts, ASCII-escaped as Meta signs it.
"""

import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulators.faults import Fault
from app.simulators.meta_wire import App

_LOG_LENGTH = 10_000
_MAX_TEXT = 4096
_NUMBER, _WABA = "106540352242922", "102290129340398"
_CODE_SECONDS = 30
SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")
Json = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One accepted message as it was posted, with the id that it was given."""

    message_id: str
    content: Json = field(repr=False)

    @property
    def text(self) -> str | None:
        """Its text, or its template's name."""
        named = self.content.get("text", {}).get("body") or self.content.get("template", {}).get("name")
        return None if named is None else str(named)

    @property
    def to(self) -> str:
        """Whom it went to."""
        return str(self.content.get("to") or self.content.get("recipient"))


def refused(code: int, subcode: int | None = None, status: int = 400) -> Fault:
    """An error in Graph's own form."""
    return Fault(acts=False, status=status, body=json.dumps(_error(code, subcode)).encode())


class WhatsAppSimulator:
    """One business account with one number, who has tokens for it, and everything that was sent.

    `granted` are the permissions that are given. `templates` are those that were approved.
    """

    def __init__(self, app: App, *, phone_number_id: str = _NUMBER, waba_id: str = _WABA) -> None:
        self.meta_app, self.phone_number_id, self.waba_id = app, phone_number_id, waba_id
        self.granted = list(SCOPES)
        self.tokens: set[str] = set()
        self.codes: dict[str, float] = {}
        self.subscribed = False
        self.registered_with: str | None = None
        self.media: set[str] = set()
        self.templates = {"write_again"}
        self.sent: deque[Sent] = deque(maxlen=_LOG_LENGTH)
        self.read: deque[str] = deque(maxlen=_LOG_LENGTH)
        self._faults: dict[str, deque[Fault]] = {}
        self._numbers = itertools.count(1)
        self.app = Starlette(routes=[Route("/{version}/{path:path}", self._receive, methods=["GET", "POST", "DELETE"])])

    def code(self) -> str:
        """What Embedded Signup gives the browser; it is good once, for 30 seconds."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = time.time() + _CODE_SECONDS
        return code

    def token(self) -> str:
        """A token for the number."""
        token = f"EAA{secrets.token_hex(16)}"
        self.tokens.add(token)
        return token

    def fail(self, edge: str, *faults: Fault) -> None:
        """Let the next calls of an edge ("messages", "media") meet these faults, one each, in order."""
        self._faults.setdefault(edge, deque()).extend(faults)

    async def _receive(self, request: Request) -> Response:
        path, parameters = request.path_params["path"].strip("/"), await _parameters(request)
        edge = path.rpartition("/")[2]
        # A mark that a message was read comes when it comes: faults are for messages.
        queue = None if "status" in parameters else self._faults.get(edge)
        fault = queue.popleft() if queue else None
        if fault is None or fault.acts:
            answer = self._act(request, path, edge, parameters)
            ordinary = JSONResponse(answer, 400 if "error" in answer else 200)
            return ordinary if fault is None else await fault.response(ordinary)
        return await fault.response(JSONResponse({}))

    def _act(self, request: Request, path: str, edge: str, parameters: Json) -> Json:
        if path == "oauth/access_token":
            return self._exchange(parameters)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if path == "debug_token":
            return self._debug(token, parameters)
        if token not in self.tokens:
            return _error(190, 463)
        proof = hmac.new(self.meta_app.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if request.query_params.get("appsecret_proof", proof) != proof:
            return _error(100)
        action = self._edges.get((path.partition("/")[0] == self.waba_id, edge))
        if path.partition("/")[0] not in (self.waba_id, self.phone_number_id) or action is None:
            return _error(100, 33)
        return action(self, request.method, parameters)

    def _exchange(self, parameters: Json) -> Json:
        known = self.codes.pop(str(parameters.get("code")), None)
        own = (parameters.get("client_id"), parameters.get("client_secret"))
        if own != (self.meta_app.id, self.meta_app.secret) or known is None:
            return _error(100, 36009)
        return _error(100, 36007) if known < time.time() else {"access_token": self.token(), "token_type": "bearer"}

    def _debug(self, token: str, parameters: Json) -> Json:
        if token != f"{self.meta_app.id}|{self.meta_app.secret}" or parameters.get("input_token") not in self.tokens:
            return _error(190)
        granular = [{"scope": scope, "target_ids": [self.waba_id]} for scope in self.granted]
        return {"data": {"is_valid": True, "scopes": self.granted, "granular_scopes": granular}}

    def _phone_numbers(self, method: str, parameters: Json) -> Json:
        number = {
            "id": self.phone_number_id,
            "display_phone_number": "+1 555-078-3881",
            "verified_name": "Marlow & Finch",
        }
        return {"data": [number]}

    def _subscribed_apps(self, method: str, parameters: Json) -> Json:
        self.subscribed = method == "POST"
        return {"success": True}

    def _register(self, method: str, parameters: Json) -> Json:
        self.registered_with = parameters.get("pin")
        return {"success": True}

    def _upload(self, method: str, parameters: Json) -> Json:
        media_id = str(next(self._numbers))
        self.media.add(media_id)
        return {"id": media_id}

    def _messages(self, method: str, parameters: Json) -> Json:
        if parameters.get("status") == "read":
            self.read.append(str(parameters.get("message_id")))
            return {"success": True}
        kind, to = parameters.get("type"), parameters.get("to") or parameters.get("recipient")
        text = parameters.get("text", {}).get("body", "")
        if not to or (kind == "text" and not 0 < len(text) <= _MAX_TEXT):
            return _error(131008 if not to else 100)
        if kind == "image" and parameters.get("image", {}).get("id") not in self.media:
            return _error(131009)
        if kind == "template" and parameters.get("template", {}).get("name") not in self.templates:
            return _error(132001)
        content = {name: value for name, value in parameters.items() if name != "appsecret_proof"}
        sent = Sent(f"wamid.{secrets.token_hex(12)}", content)
        self.sent.append(sent)
        return {"messaging_product": "whatsapp", "contacts": [{"input": to}], "messages": [{"id": sent.message_id}]}

    _edges: ClassVar[dict[tuple[bool, str], Callable[["WhatsAppSimulator", str, Json], Json]]] = {
        (True, "phone_numbers"): _phone_numbers,
        (True, "subscribed_apps"): _subscribed_apps,
        (False, "register"): _register,
        (False, "media"): _upload,
        (False, "messages"): _messages,
    }

    def webhook(self, *changes: Json) -> tuple[dict[str, str], bytes]:
        """Headers and body of what Meta posts for changes of the business account."""
        content = {"object": "whatsapp_business_account", "entry": [{"id": self.waba_id, "changes": list(changes)}]}
        body = json.dumps(content, separators=(",", ":")).replace("/", "\\/").encode()
        digest = hmac.new(self.meta_app.secret.encode(), body, hashlib.sha256).hexdigest()
        return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}, body

    def change(self, **value: Any) -> Json:
        """A change of the field `messages` of the number."""
        metadata = {"display_phone_number": "15550783881", "phone_number_id": self.phone_number_id}
        return {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}

    def message(self, text: str, *, number: str | None = "16505551234", scoped: str | None = None) -> Json:
        """The change when a customer writes, known by a number, a business-scoped id, or both."""
        ids = {"from": number, "from_user_id": scoped}
        contact = {"profile": {"name": "Sheena Nelson"}, "wa_id": number, "user_id": scoped}
        message = {"id": f"wamid.{secrets.token_hex(12)}", "timestamp": str(int(time.time())), "type": "text"}
        message |= {name: value for name, value in ids.items() if value}
        contacts = [{name: value for name, value in contact.items() if value}]
        return self.change(contacts=contacts, messages=[{**message, "text": {"body": text}}])

    def status(self, sent: Sent, status: str, code: int | None = None) -> Json:
        """The change when a message was sent, delivered, read, or failed with a code."""
        told: Json = {
            "id": sent.message_id,
            "status": status,
            "timestamp": str(int(time.time())),
            "recipient_id": sent.to,
        }
        told["biz_opaque_callback_data"] = sent.content.get("biz_opaque_callback_data")
        return self.change(statuses=[told | ({} if code is None else {"errors": [{"code": code}]})])


async def _parameters(request: Request) -> Json:
    found: Json = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form() as form:
            return found | {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        body = {}
    return found | (body if isinstance(body, dict) else {})


def _error(code: int, subcode: int | None = None) -> Json:
    error: Json = {"message": "refused", "type": "OAuthException", "code": code, "fbtrace_id": "x"}
    return {"error": error | ({} if subcode is None else {"error_subcode": subcode})}
