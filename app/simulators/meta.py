"""Meta's Graph at the wire for Messenger and Instagram, for the sample's simulated connections and for tests.

`MetaSimulator(...).app` is an ASGI app that runs under uvicorn on loopback or in process through httpx.ASGITransport.
It answers for all of Meta's hosts at once: the consent pages, the exchange of codes and tokens, and Graph with any
version as its path's first part (shared reference, sections 2 to 4). It keeps what was sent and fails on demand; what
it sends itself is made by app/simulators/meta_webhooks.py.
"""

import hashlib
import hmac
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.simulators.faults import Fault
from app.simulators.meta_wire import (
    App,
    Call,
    Json,
    Page,
    Professional,
    Refused,
    Sent,
    error,
    linked,
    name_of,
    object_of,
    parameters_of,
    plainly_refused,
    respond,
)

META_APP = App("1517776481860111", "simulated-meta-secret")
INSTAGRAM_APP = App("2223334445556667", "simulated-instagram-secret")
MAX_TEXT_CHARACTERS, MAX_INSTAGRAM_BYTES = 1999, 1000
PAGE_PERMISSIONS = (
    "pages_show_list",
    "pages_messaging",
    "pages_manage_metadata",
    "pages_read_engagement",
    "business_management",
)
INSTAGRAM_PERMISSIONS = ("instagram_business_basic", "instagram_business_manage_messages")
_LOG_LENGTH = 10_000
_HOUR, _DAY, _LIFE = 3600, 24 * 3600, 60 * 24 * 3600
_ACTIONS = ("mark_seen", "typing_on", "typing_off")

Kind = Literal["user", "page", "instagram"]


@dataclass(frozen=True)
class _Holder:
    """Whose token it is, and until when."""

    kind: Kind
    id: str
    issued: float
    expires: float | None = None


class MetaSimulator:
    """Pages and professional accounts, who has tokens for them, their subscriptions, and everything they sent.

    `user_id` is the app-scoped id of the user who consents; whoever opens a consent page consents, while `consents`.
    `granted` and `instagram_granted` are the permissions that are given. `unreachable` are the customers who cannot
    be written to, `closed` those whose window has closed, `customers` those that exist (None: every one does).
    `wrapped`: Instagram's exchange answers with a list. `requires_proof`: so does Graph, of the app's secret.
    `pages_at_once` is how long one list of Pages is. `headers` go with every answer.
    """

    def __init__(
        self,
        *,
        app: App = META_APP,
        instagram_app: App = INSTAGRAM_APP,
        user_id: str = "218471",
        pages: Sequence[Page] = (),
        professional: Professional | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.meta_app, self.instagram_app, self.user_id = app, instagram_app, user_id
        self.pages, self.professional = {page.id: page for page in pages}, professional
        self.granted, self.instagram_granted = set(PAGE_PERMISSIONS), set(INSTAGRAM_PERMISSIONS)
        self.consents, self.wrapped, self.requires_proof, self.pages_at_once = True, False, False, 25
        self.customers: set[str] | None = None
        self.unreachable: set[str] = set()
        self.closed: set[str] = set()
        self.subscribed: dict[str, str] = {}
        self.headers: dict[str, str] = {"x-app-usage": '{"call_count":1,"total_time":1,"total_cputime":1}'}
        self.sent: deque[Sent] = deque(maxlen=_LOG_LENGTH)
        self.calls: deque[Call] = deque(maxlen=_LOG_LENGTH)
        self.app = Starlette(routes=self._routes())
        self._clock = clock
        self._numbers = itertools.count(1)
        self._codes: dict[str, tuple[str, str]] = {}
        self._tokens: dict[str, _Holder] = {}
        self._faults: dict[str, deque[Fault]] = {}

    def fail(self, name: str, *faults: Fault) -> None:
        """Let the next calls of `name` meet these faults, one each, in order.

        A name is the last part of a path ("messages"), "me" for a node, or the grant_type of a token's exchange.
        """
        self._faults.setdefault(name, deque()).extend(faults)

    def page_token(self, page_id: str) -> str:
        """The token of a Page, as /me/accounts gives it: always the same one."""
        token = f"page-token-{page_id}"
        self._tokens[token] = _Holder("page", page_id, self._clock())
        return token

    def instagram_token(self, life: float = _LIFE) -> str:
        """A token of the professional account, valid for `life` seconds."""
        return self._issue("instagram", self.professional.user_id if self.professional else "", life)

    def revoke(self) -> None:
        """Make every token invalid that was given so far."""
        self._tokens.clear()

    def _routes(self) -> list[Route]:
        every = ["GET", "POST", "DELETE"]
        return [
            Route("/{version}/dialog/oauth", self._consent),
            Route("/oauth/authorize", self._consent),
            Route("/oauth/access_token", self._answer(self._instagram_code), methods=["POST"]),
            Route("/access_token", self._answer(self._lengthen)),
            Route("/refresh_access_token", self._answer(self._renew)),
            Route("/{version}/oauth/access_token", self._answer(self._facebook_token)),
            Route("/{version}/{node}", self._answer(self._node)),
            Route("/{version}/{node}/{edge}", self._answer(self._edge), methods=every),
        ]

    def _answer(self, act: Callable[[Request, Json], Json]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that logs a call and gives its ordinary answer, or what it is to fail with."""

        async def endpoint(request: Request) -> Response:
            parameters = await parameters_of(request)
            name = name_of(request, parameters)
            self.calls.append(Call(name, request.method, request.url.path, parameters, self._clock()))
            queue = self._faults.get(name)
            fault = queue.popleft() if queue else None
            ordinary = respond({}) if fault is not None and not fault.acts else self._act(act, request, parameters)
            response = ordinary if fault is None else await fault.response(ordinary)
            response.headers.update(self.headers)
            return response

        return endpoint

    def _act(self, act: Callable[[Request, Json], Json], request: Request, parameters: Json) -> Response:
        try:
            return respond(act(request, parameters))
        except Refused as error:
            return respond(error.body, error.status)

    async def _consent(self, request: Request) -> Response:
        """A consent page where the owner agrees, or does not, at once. Instagram adds `#_` to where it leads back."""
        asked, instagram = request.query_params, request.url.path == "/oauth/authorize"
        wanted = self.instagram_app.id if instagram else self.meta_app.id
        if asked.get("client_id") != wanted or asked.get("response_type") != "code" or not asked.get("redirect_uri"):
            return respond(error(101), 400)
        answer = {"state": asked.get("state", "")}
        if self.consents:
            code = f"code-{next(self._numbers)}"
            self._codes[code] = ("instagram" if instagram else "facebook", asked["redirect_uri"])
            answer["code"] = code
        else:
            answer |= {"error": "access_denied", "error_reason": "user_denied"}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}" + ("#_" if instagram else ""), 302)

    def _facebook_token(self, request: Request, parameters: Json) -> Json:
        if (parameters.get("client_id"), parameters.get("client_secret")) != (self.meta_app.id, self.meta_app.secret):
            raise Refused(1 if parameters.get("client_secret") else 101)
        if parameters.get("grant_type") == "fb_exchange_token":
            self._held(str(parameters.get("fb_exchange_token")), "user")
            return self._token("user", self.user_id, _LIFE)
        self._use(parameters, "facebook")
        return self._token("user", self.user_id, _HOUR)

    def _instagram_code(self, request: Request, parameters: Json) -> Json:
        """api.instagram.com has a form of its own for errors."""
        given = (parameters.get("client_id"), parameters.get("client_secret"), parameters.get("grant_type"))
        if given != (self.instagram_app.id, self.instagram_app.secret, "authorization_code"):
            raise plainly_refused("Invalid platform app")
        try:
            self._use(parameters, "instagram")
        except Refused:
            raise plainly_refused("This authorization code has been used") from None
        token = self.instagram_token(_HOUR)
        user = int(self.professional.id) if self.professional else 0
        answer = {"access_token": token, "user_id": user, "permissions": sorted(self.instagram_granted)}
        return (
            {"data": [answer | {"permissions": ",".join(sorted(self.instagram_granted))}]} if self.wrapped else answer
        )

    def _use(self, parameters: Json, product: str) -> None:
        """A code is good once, for the product and the address that it was given for."""
        known = self._codes.pop(str(parameters.get("code")), None)
        if known != (product, parameters.get("redirect_uri")):
            raise Refused(100, 36009)

    def _lengthen(self, request: Request, parameters: Json) -> Json:
        holder = self._held(str(parameters.get("access_token")), "instagram")
        if parameters.get("client_secret") != self.instagram_app.secret:
            raise Refused(101)
        return self._token("instagram", holder.id, _LIFE)

    def _renew(self, request: Request, parameters: Json) -> Json:
        holder = self._held(str(parameters.get("access_token")), "instagram")
        if holder.issued > self._clock() - _DAY:
            raise Refused(100)
        return self._token("instagram", holder.id, _LIFE)

    def _token(self, kind: Kind, holder_id: str, life: float) -> Json:
        return {"access_token": self._issue(kind, holder_id, life), "token_type": "bearer", "expires_in": int(life)}

    def _issue(self, kind: Kind, holder_id: str, life: float | None = None) -> str:
        token, now = f"{kind}-token-{next(self._numbers)}", self._clock()
        self._tokens[token] = _Holder(kind, holder_id, now, None if life is None else now + life)
        return token

    def _held(self, token: str, *kinds: Kind) -> _Holder:
        holder = self._tokens.get(token)
        if holder is None or holder.kind not in kinds:
            raise Refused(190, status=401)
        if holder.expires is not None and holder.expires <= self._clock():
            raise Refused(190, 463, status=401)
        return holder

    def _bearer(self, request: Request, parameters: Json, *kinds: Kind) -> _Holder:
        """Whose call it is; a proof of the app's secret has to be right if there is one, and there if it has to be."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        holder = self._held(token, *kinds)
        secret = self.instagram_app.secret if holder.kind == "instagram" else self.meta_app.secret
        proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if parameters.get("appsecret_proof") != proof and ("appsecret_proof" in parameters or self.requires_proof):
            raise Refused(100)
        return holder

    def _node(self, request: Request, parameters: Json) -> Json:
        holder = self._bearer(request, parameters, "user", "page", "instagram")
        if request.path_params["node"] not in ("me", holder.id):
            raise Refused(100, 33)
        if holder.kind == "instagram" and self.professional:
            return dict(vars(self.professional))
        if holder.kind == "page":
            page = self._page(holder.id)
            return {"id": page.id, "name": page.name} | linked(page)
        return {"id": self.user_id, "name": "Sample"}

    def _edge(self, request: Request, parameters: Json) -> Json:
        edge, node = request.path_params["edge"], request.path_params["node"]
        if edge in ("accounts", "permissions"):
            self._bearer(request, parameters, "user")
            return self._accounts(parameters) if edge == "accounts" else self._permissions()
        holder = self._bearer(request, parameters, "page", "instagram")
        if node not in ("me", holder.id) or (holder.kind == "page" and holder.id not in self.pages):
            raise Refused(100, 33)
        if edge == "messages" and request.method == "POST":
            return self._message(holder, parameters)
        if edge == "subscribed_apps":
            return self._subscription(holder, request.method, parameters)
        raise Refused(100)

    def _permissions(self) -> Json:
        states = {name: "granted" if name in self.granted else "declined" for name in PAGE_PERMISSIONS}
        return {"data": [{"permission": name, "status": state} for name, state in states.items()]}

    def _accounts(self, parameters: Json) -> Json:
        """The user's Pages, some at once."""
        start, pages = int(parameters.get("after", 0)), list(self.pages.values())
        end = start + min(int(parameters.get("limit", self.pages_at_once)), self.pages_at_once)
        data = [
            {"id": page.id, "name": page.name, "access_token": self.page_token(page.id), "tasks": list(page.tasks)}
            | linked(page)
            for page in pages[start:end]
        ]
        more = {"next": "https://graph.facebook.com/next"} if end < len(pages) else {}
        return {"data": data, "paging": {"cursors": {"before": str(start), "after": str(end)}} | more}

    def _subscription(self, holder: _Holder, method: str, parameters: Json) -> Json:
        if method == "GET":
            fields = self.subscribed.get(holder.id)
            data = [{"id": self.meta_app.id, "subscribed_fields": fields.split(",")}] if fields else []
            return {"data": data}
        if method == "DELETE":
            self.subscribed.pop(holder.id, None)
        elif not parameters.get("subscribed_fields"):
            raise Refused(100)
        else:
            self.subscribed[holder.id] = parameters["subscribed_fields"]
        # Facebook says it as a text now and then.
        return {"success": True if holder.kind == "instagram" else "true"}

    def _message(self, holder: _Holder, parameters: Json) -> Json:
        recipient = str(object_of(parameters.get("recipient")).get("id", ""))
        self._check_recipient(holder, recipient, parameters)
        if "sender_action" in parameters:
            if parameters["sender_action"] not in _ACTIONS or "message" in parameters:
                raise Refused(100)
            return {"recipient_id": recipient}
        message, image = object_of(parameters.get("message")), parameters.get("filedata")
        _check_content(holder, message, image)
        sent = Sent(
            account_id=holder.id,
            recipient_id=recipient,
            text=message.get("text"),
            message_id=f"{'m' if holder.kind == 'page' else 'aWdf'}_{next(self._numbers)}",
            at=self._clock(),
            metadata=message.get("metadata"),
            reply_to=object_of(parameters.get("reply_to")).get("mid"),
            tag=parameters.get("tag"),
            image=image,
        )
        self.sent.append(sent)
        return {"recipient_id": recipient, "message_id": sent.message_id}

    def _check_recipient(self, holder: _Holder, recipient: str, parameters: Json) -> None:
        on_page = holder.kind == "page"
        if not recipient or (self.customers is not None and recipient not in self.customers):
            raise Refused(100, 2018001 if on_page else 2534014)
        if recipient in self.unreachable:
            raise Refused(551)
        tagged = parameters.get("messaging_type") == "MESSAGE_TAG"
        if tagged and parameters.get("tag") != "HUMAN_AGENT":
            raise Refused(100)
        if recipient in self.closed and not tagged:
            raise Refused(10, 2018278 if on_page else 2534022)

    def _page(self, page_id: str) -> Page:
        if page_id not in self.pages:
            raise Refused(100, 33)
        return self.pages[page_id]


def _check_content(holder: _Holder, message: Json, image: object) -> None:
    text, attachment = message.get("text"), object_of(message.get("attachment"))
    if (text is None) == (not attachment):
        raise Refused(100)
    if text is not None:
        too_long = (
            len(text) > MAX_TEXT_CHARACTERS if holder.kind == "page" else len(text.encode()) > MAX_INSTAGRAM_BYTES
        )
        if not text.strip() or too_long or len(message.get("metadata", "")) >= MAX_INSTAGRAM_BYTES:
            raise Refused(100)
    elif not image and not object_of(attachment.get("payload")).get("url"):
        raise Refused(100, 2018047)
