"""Instagram Direct, connected by Instagram Login or reached through a Facebook Page.

Source: shared reference, sections 2 and 4. Events are read in app/channels/meta_messaging.py, sending and its table of
errors are in app/channels/meta_send.py, the tokens of Instagram Login are in app/channels/instagram_login.py.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from app.channels import instagram_login, meta_graph, meta_login, meta_messaging, meta_send
from app.channels.base import (
    MEBIBYTE,
    Account,
    Capabilities,
    ConnectRefused,
    Credentials,
    Grant,
    InboundEvent,
    Outgoing,
    Part,
    ProviderUnavailable,
    Recipient,
    SendResult,
)
from app.channels.calls import Reply
from app.channels.defaults import ProviderDefaults
from app.channels.instagram_login import NAME, SCOPES, App
from app.channels.meta_login import address
from app.channels.reading import as_id, as_object, as_text

LOGIN, PAGE = "login", "page"
_FIELDS = "messages,messaging_postbacks,messaging_seen,message_reactions,message_edit,messaging_referral"


@dataclass(frozen=True)
class _Place:
    """Where a connection's calls go: the node's address, the token, and the secret that proves our app, if it is to."""

    node: str
    token: str
    secret: str | None


class Instagram(ProviderDefaults):
    """The Instagram provider.

    `api_base` is Graph of Instagram with its version, `auth_base` the site of the consent page, `token_base` the one
    that takes its codes; `app_id` and `app_secret` are those of the Instagram app. `page_api_base` is Facebook's Graph
    for accounts reached through a Page, `page_app_id` and `page_app_secret` the Meta app's. Without an app nothing can
    be connected. `clock` gives Unix seconds.

    A connection's credentials: `setup` ("login" or "page"), `token`, and `page_id` for a Page, whose token it is then.
    Those of Instagram Login also have `user_id`, `issued_at`, `refresh_at` and `expires_at` (Unix seconds).
    """

    channel = "instagram"
    capabilities = Capabilities(
        unit="bytes",
        max_length=1000,
        window_hours=24,
        person_window_hours=168,
        typing=True,
        media=True,
        shared_webhook=True,
        max_body_bytes=3 * MEBIBYTE,
    )

    def __init__(
        self,
        api_base: str,
        auth_base: str,
        token_base: str,
        app_id: str | None,
        app_secret: str | None,
        page_api_base: str,
        page_app_id: str | None = None,
        page_app_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api_base, self._auth_base, self._token_base = api_base, auth_base, token_base
        self._app_id, self._secret = app_id, app_secret
        self._page_api_base, self._page_secret = page_api_base, page_app_secret
        self._clock = clock
        own = frozenset(each for each in (app_id, page_app_id) if each)
        # Instagram keeps no mark, and its echoes seldom name an app: what was sent by us is told by its id.
        self._dialect = meta_messaging.Dialect("instagram", "instagram", own, unmarked_echo="unknown")

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether the body was signed with `secret`: the Instagram app's or, through a Page, the Meta app's."""
        return meta_graph.verify(headers, body, secret)

    def handshake(self, query: Mapping[str, str], token: str) -> str | None:
        """The challenge of a subscription that knows our verify token."""
        return meta_graph.handshake(query, token)

    def parts(self, body: bytes) -> list[Part]:
        """Each account's entries."""
        return meta_messaging.read_parts(body, self._dialect)

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The events of all entries."""
        return meta_messaging.read_events(body, self._dialect)

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """Instagram's consent page, which takes no PKCE."""
        parameters = {"client_id": self._app().app_id, "redirect_uri": redirect_uri, "response_type": "code"}
        parameters |= {"scope": ",".join(SCOPES), "state": state}
        return f"{self._auth_base}/oauth/authorize?{urlencode(parameters)}"

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """The professional account that consented."""
        app = self._app()
        short, user = await instagram_login.exchange(client, app, code, redirect_uri)
        tokens = await instagram_login.lengthen(client, app, short, int(self._clock()))
        credentials = Credentials(tokens | {"setup": LOGIN} | ({"user_id": user} if user else {}))
        return [Grant(await self.identify(client, credentials), credentials)]

    async def refresh(self, client: httpx.AsyncClient, credentials: Credentials) -> Credentials:
        """60 days more for a token of Instagram Login that is a day old; a Page's token does not expire."""
        if credentials.get("setup") == PAGE:
            return credentials
        return await instagram_login.refreshed(client, self._api_base, credentials, int(self._clock()))

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """Ask which professional account a token is for, by the id that events name it with."""
        if credentials.get("setup") == PAGE:
            return await self._account_of_page(client, credentials)
        me = meta_login.answered(await self._call(client, credentials, "GET", fields="user_id,username"), NAME)
        # `id` of the same answer is the app's own name for the account, known to callbacks but to no event.
        return _account(me, "user_id", (as_id(me.get("id")), credentials.get("user_id")))

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Have the account's events sent to the app, whose webhook is set in Meta's dashboard."""
        fields = meta_login.PAGE_FIELDS if credentials.get("setup") == PAGE else _FIELDS
        reply = await self._call(client, credentials, "POST", "subscribed_apps", subscribed_fields=fields)
        meta_login.confirmed(reply, NAME)

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Take the account's events from the app; there is no call that revokes a token of Instagram Login."""
        meta_login.confirmed_gone(await self._call(client, credentials, "DELETE", "subscribed_apps"), NAME)

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """A text; Instagram has no place for `delivery_id`, and takes no image but by a public address."""
        if message.image is not None:
            return SendResult("fatal", code="image")
        place = self._place(credentials)
        url = address(place.node, "messages")
        return await meta_send.send(client, url, place.token, message, secret=place.secret)

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """Mark the conversation as seen, then show that someone writes."""
        place = self._place(credentials)
        await meta_send.show_typing(client, address(place.node, "messages"), place.token, to, secret=place.secret)

    async def _account_of_page(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        fields = "instagram_business_account{id,username}"
        page = meta_login.answered(await self._call(client, credentials, "GET", fields=fields), NAME)
        linked = as_object(page.get("instagram_business_account"))
        if not linked:
            raise ConnectRefused("This Facebook Page has no professional Instagram account.", code="no_account")
        return _account(linked, "id", (credentials.get("user_id"),))

    async def _call(
        self, client: httpx.AsyncClient, credentials: Credentials, method: str, *edge: str, **parameters: str
    ) -> Reply:
        """Call an edge of the connection's node, or the node itself."""
        place = self._place(credentials)
        url = address(place.node, *edge)
        return await meta_graph.graph(client, method, url, place.token, secret=place.secret, params=parameters)

    def _place(self, credentials: Credentials) -> _Place:
        token = credentials.get("token", "")
        if credentials.get("setup") == PAGE:
            node = address(self._page_api_base, credentials.get("page_id") or "me")
            return _Place(node, token, self._page_secret)
        return _Place(address(self._api_base, "me"), token, None)

    def _app(self) -> App:
        if not self._app_id or not self._secret:
            raise ConnectRefused("Instagram is not set up here: the id and the secret of an Instagram app are missing.")
        return App(self._api_base, self._token_base, self._app_id, self._secret)


def _account(found: Mapping[str, object], name: str, users: Sequence[str | None]) -> Account:
    account_id = as_id(found.get(name))
    if account_id is None:
        raise ProviderUnavailable("Instagram did not say which account this is. Try again.")
    username = as_text(found.get("username"))
    routes = tuple(f"user:{user}" for user in dict.fromkeys(users) if user)
    return Account(account_id, f"@{username}" if username else account_id, {}, routes)
