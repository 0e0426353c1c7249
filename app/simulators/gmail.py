"""Gmail's API, Google's OAuth and Pub/Sub's push at the wire, for tests and for developers without an approved app.

`GmailSimulator(...).app` is an ASGI app that answers as they do (shared reference, section 7): one mailbox with a
history, tokens that end, push tokens signed by a key of its own, which it serves as Google serves its keys.
"""

import base64
import hashlib
import itertools
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.simulators.faults import Fault

_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
_TOKEN_SECONDS = 3599
_API = "/gmail/v1/users/me"
_NOT_FOUND = 404


@dataclass
class Stored:
    """One mail of the mailbox; `history_id` is when it came."""

    id: str
    thread_id: str
    labels: set[str]
    raw: bytes
    history_id: int
    size: int | None = None
    arrived: float = field(default_factory=time.time)


@dataclass
class Watch:
    """What watch was asked for."""

    topic: str
    labels: list[str] = field(default_factory=list)


def refused(status: int, reason: str) -> Fault:
    """An error in Google's own form."""
    error = {"code": status, "message": reason, "errors": [{"reason": reason}]}
    return Fault(acts=False, status=status, body=json.dumps({"error": error}).encode())


class GmailSimulator:
    """One mailbox, its tokens, its watch and everything that was sent; `scope` is what its owner agrees to."""

    def __init__(self, client_id: str, client_secret: str, address: str, *, scope: str | None = None) -> None:
        self.client_id, self.client_secret, self.address, self.scope = client_id, client_secret, address, scope
        self.audience, self.push_account = "https://jobx.test/webhooks/gmail", "push@jobx-test.iam.gserviceaccount.com"
        self.mails: dict[str, Stored] = {}
        self.sent: deque[Stored] = deque(maxlen=10_000)
        self.calls: deque[str] = deque(maxlen=10_000)
        self.codes: dict[str, dict[str, str]] = {}
        self.access_tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.watch: Watch | None = None
        # History before this is forgotten.
        self.first_history = 0
        # Gmail may give a mail another Message-ID than the one it was handed.
        self.replaces_message_ids = False
        self._history = itertools.count(9_876_543_000)
        self._at = next(self._history)
        self._numbers = itertools.count(1)
        self._faults: dict[str, deque[Fault]] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.app = Starlette(
            routes=[
                Route("/o/oauth2/v2/auth", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/revoke", self._revoke, methods=["POST"]),
                Route("/oauth2/v3/certs", self._certs),
                Route(f"{_API}/{{path:path}}", self._receive, methods=["GET", "POST"]),
            ]
        )

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next calls of a path ("messages/send") meet these faults, one each, in order."""
        self._faults.setdefault(path, deque()).extend(faults)

    def deliver(self, raw: bytes, *labels: str, thread_id: str | None = None, size: int | None = None) -> str:
        """A mail comes in; returns its id."""
        self._at = next(self._history)
        message_id = f"18c{next(self._numbers):x}"
        labelled = set(labels or ("INBOX", "UNREAD"))
        self.mails[message_id] = Stored(message_id, thread_id or message_id, labelled, raw, self._at, size)
        return message_id

    def write(self, customer: str, text: str, *, thread: str = "", subject: str = "A question") -> str:
        """A customer writes, in answer to the last mail of a thread if there is one."""
        answered = [mail for mail in self.mails.values() if thread and mail.thread_id == thread]
        return self.deliver(customer_mail(customer, self.address, text, subject, answered), thread_id=thread or None)

    def push(self, *, at: float | None = None, **claims: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of what Pub/Sub posts now; `claims` of the token can be overridden."""
        moment = time.time() if at is None else at
        told = {
            "iss": "https://accounts.google.com",
            "aud": self.audience,
            "email": self.push_account,
            "email_verified": True,
            "iat": int(moment),
            "exp": int(moment) + 3600,
            **claims,
        }
        token = jwt.encode(told, self._key, algorithm="RS256", headers={"kid": "simulated-key"})
        data = base64.b64encode(json.dumps({"emailAddress": self.address, "historyId": self._at}).encode()).decode()
        number = f"1369{next(self._numbers):08d}"
        message = {"data": data, "messageId": number, "publishTime": datetime.now(UTC).isoformat()}
        body = json.dumps({"message": message, "subscription": "projects/jobx-test/subscriptions/gmail-push"}).encode()
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, body

    def said(self) -> list[str]:
        """The texts that were sent, oldest first."""
        return [text_of(mail.raw) for mail in self.sent]

    def jwks(self) -> dict[str, Any]:
        """The keys that verify the push's token."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": "simulated-key", "alg": "RS256", "use": "sig"}]}

    async def _certs(self, _request: Request) -> Response:
        return JSONResponse(self.jwks())

    async def _authorize(self, request: Request) -> Response:
        """The consent page: its owner agrees at once."""
        query = dict(request.query_params)
        if query.get("client_id") != self.client_id or query.get("access_type") != "offline":
            return JSONResponse({"error": "invalid_request"}, 400)
        code = secrets.token_urlsafe(24)
        self.codes[code] = query
        return RedirectResponse(f"{query['redirect_uri']}?code={code}&state={query.get('state', '')}")

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            told = {name: str(value) for name, value in form.items()}
        if (fault := self._fault("token")) is not None:
            return await fault.response(JSONResponse({}))
        if (told.get("client_id"), told.get("client_secret")) != (self.client_id, self.client_secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        if told.get("grant_type") == "refresh_token":
            if told.get("refresh_token") not in self.refresh_tokens:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(self._tokens())
        asked = self.codes.pop(told.get("code", ""), None)
        digest = hashlib.sha256(told.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["redirect_uri"] != told.get("redirect_uri") or asked["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        refresh = secrets.token_hex(20)
        self.refresh_tokens.add(refresh)
        scope = asked["scope"] if self.scope is None else self.scope
        return JSONResponse({**self._tokens(), "refresh_token": refresh, "scope": scope})

    def _tokens(self) -> dict[str, Any]:
        access = secrets.token_hex(20)
        self.access_tokens.add(access)
        return {"access_token": access, "expires_in": _TOKEN_SECONDS, "token_type": "Bearer", "scope": _MODIFY}

    async def _revoke(self, request: Request) -> Response:
        async with request.form() as form:
            token = str(form.get("token"))
        if token not in self.refresh_tokens | self.access_tokens:
            return JSONResponse({"error": "invalid_token"}, 400)
        self.access_tokens.clear()
        self.refresh_tokens.clear()
        return JSONResponse({})

    async def _receive(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.calls.append(path)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.access_tokens:
            return _error(401, "authError")
        fault = self._fault(path)
        if fault is None:
            return await self._act(path, request)
        return await fault.response(await self._act(path, request) if fault.acts else JSONResponse({}))

    def _fault(self, path: str) -> Fault | None:
        queue = self._faults.get(path)
        return queue.popleft() if queue else None

    async def _act(self, path: str, request: Request) -> Response:
        body = json.loads(await request.body() or b"{}")
        first, _, rest = path.partition("/")
        if first == "messages" and rest not in ("", "send"):
            return self._one(rest, body, request)
        act: Callable[[], Response] | None = {
            "profile": lambda: JSONResponse({"emailAddress": self.address, "historyId": str(self._at)}),
            "watch": lambda: self._start_watch(body),
            "stop": self._stop,
            "history": lambda: self._changes(request),
            "messages": lambda: self._list(request),
            "messages/send": lambda: self._send(body),
        }.get(path)
        return _error(_NOT_FOUND, "notFound") if act is None else act()

    def _start_watch(self, body: dict[str, Any]) -> Response:
        self.watch = Watch(body.get("topicName", ""), body.get("labelIds", []))
        week = int((time.time() + 7 * 86_400) * 1000)
        return JSONResponse({"historyId": str(self._at), "expiration": str(week)})

    def _stop(self) -> Response:
        self.watch = None
        return Response(status_code=204)

    def _one(self, rest: str, body: dict[str, Any], request: Request) -> Response:
        message_id, _, action = rest.partition("/")
        mail = self.mails.get(message_id)
        if mail is None:
            return _error(_NOT_FOUND, "notFound")
        if action == "modify":
            mail.labels -= set(body.get("removeLabelIds", []))
            return JSONResponse({"id": message_id})
        return JSONResponse(_shown(mail, request.query_params.get("format", "full")))

    def _changes(self, request: Request) -> Response:
        start, size = int(request.query_params["startHistoryId"]), int(request.query_params.get("maxResults", "100"))
        if start < self.first_history:
            return _error(_NOT_FOUND, "notFound")
        new = [mail for mail in self.mails.values() if mail.history_id > start]
        first = int(request.query_params.get("pageToken", "0"))
        page = [{"id": str(mail.history_id), "messagesAdded": [{"message": _brief(mail)}]} for mail in new]
        more = {"nextPageToken": str(first + size)} if first + size < len(new) else {}
        return JSONResponse({"history": page[first : first + size], "historyId": str(self._at), **more})

    def _list(self, request: Request) -> Response:
        first, size = int(request.query_params.get("pageToken", "0")), int(request.query_params["maxResults"])
        label, after = request.query_params["labelIds"], float(request.query_params["q"].removeprefix("after:"))
        found = [mail for mail in reversed(self.mails.values()) if label in mail.labels and mail.arrived >= after]
        more = {"nextPageToken": str(first + size)} if first + size < len(found) else {}
        return JSONResponse({"messages": [_brief(mail) for mail in found[first : first + size]], **more})

    def _send(self, body: dict[str, Any]) -> Response:
        raw = base64.urlsafe_b64decode(body.get("raw", ""))
        mail = message_from_bytes(raw, policy=policy.default)
        if not mail["To"]:
            return _error(400, "invalidArgument")
        if self.replaces_message_ids:
            mail.replace_header("Message-ID", f"<{secrets.token_hex(8)}@mail.gmail.com>")
            raw = mail.as_bytes(policy=policy.SMTP)
        sent_id = self.deliver(raw, "SENT", thread_id=body.get("threadId"))
        self.sent.append(self.mails[sent_id])
        return JSONResponse(_brief(self.mails[sent_id]))


def customer_mail(
    customer: str, business: str, text: str, subject: str = "A question", thread: list[Stored] | None = None
) -> bytes:
    """A person's mail, in answer to the last one of a thread, with that one's text quoted below."""
    mail = EmailMessage()
    mail["From"], mail["To"] = customer, business
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{secrets.token_hex(10)}@{customer.rpartition('@')[2]}>"
    mail["Subject"] = f"Re: {subject}" if thread else subject
    quoted = ""
    if thread:
        last = message_from_bytes(thread[-1].raw, policy=policy.default)
        mail["In-Reply-To"] = last["Message-ID"]
        mail["References"] = f"{last.get('References', '')} {last['Message-ID']}".strip()
        lines = "\n".join(f"> {line}" for line in text_of(thread[-1].raw).splitlines())
        quoted = f"\n\nOn {mail['Date']}, {business} wrote:\n{lines}\n"
    mail.set_content(f"{text}{quoted}\n")
    return mail.as_bytes(policy=policy.SMTP)


def text_of(raw: bytes) -> str:
    """The text of a mail that was sent."""
    body = message_from_bytes(raw, policy=policy.default).get_body(("plain",))
    return "" if body is None else str(body.get_content()).strip()


def _shown(mail: Stored, form: str) -> dict[str, Any]:
    size = len(mail.raw) if mail.size is None else mail.size
    shown = {**_brief(mail), "sizeEstimate": size, "historyId": str(mail.history_id)}
    if form == "raw":
        return {**shown, "raw": base64.urlsafe_b64encode(mail.raw).decode()}
    if form == "minimal":
        return shown
    headers = [{"name": name, "value": str(value)} for name, value in message_from_bytes(mail.raw).items()]
    return {**shown, "payload": {"headers": headers}}


def _brief(mail: Stored) -> dict[str, Any]:
    return {"id": mail.id, "threadId": mail.thread_id, "labelIds": sorted(mail.labels)}


def _error(status: int, reason: str) -> Response:
    error = {"code": status, "message": reason, "errors": [{"reason": reason}]}
    return JSONResponse({"error": error}, status)
