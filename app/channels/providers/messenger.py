"""Messenger: the Pages of Facebook, whose visitors write to them.

Source: shared reference, sections 2 and 3. Events are read in app/channels/meta_messaging.py, sending and its table of
errors are in app/channels/meta_send.py, Facebook Login is in app/channels/meta_login.py.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import httpx

from app.channels import meta_graph, meta_login, meta_messaging, meta_send
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
from app.channels.defaults import ProviderDefaults
from app.channels.meta_login import App, Page, address
from app.channels.reading import as_id, as_text

NAME = "Facebook"
SCOPES = ("pages_show_list", "pages_messaging", "pages_manage_metadata", "pages_read_engagement", "business_management")
# Without these a Page cannot be listed, answered for, or subscribed to; the others widen which Pages are listed.
_REQUIRED = SCOPES[:3]
_TASK = "MESSAGING"


class Messenger(ProviderDefaults):
    """The Messenger provider.

    `api_base` is Graph with its version, `auth_base` the site of the consent page with it, `config_id` that of a
    Login for Business configuration, which names the scopes itself. Without an app nothing can be connected.

    A connection's credentials: `token` of the Page, its `page_id`, and the app-scoped `user_id` of who consented.
    """

    channel = "messenger"
    capabilities = Capabilities(
        unit="characters",
        max_length=1999,
        window_hours=24,
        person_window_hours=168,
        typing=True,
        media=True,
        images=True,
        shared_webhook=True,
        max_body_bytes=3 * MEBIBYTE,
    )

    def __init__(
        self, api_base: str, auth_base: str, app_id: str | None, app_secret: str | None, config_id: str | None = None
    ) -> None:
        self._api_base, self._auth_base = api_base, auth_base
        self._app_id, self._secret, self._config_id = app_id, app_secret, config_id
        own = frozenset({app_id} if app_id else ())
        # Every message of ours carries a mark, so that an echo without one is somebody else's.
        self._dialect = meta_messaging.Dialect("messenger", "page", own, unmarked_echo="human")

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether the body was signed with the app's secret; Meta signs no time."""
        return meta_graph.verify(headers, body, secret)

    def handshake(self, query: Mapping[str, str], token: str) -> str | None:
        """The challenge of a subscription that knows our verify token."""
        return meta_graph.handshake(query, token)

    def parts(self, body: bytes) -> list[Part]:
        """Each Page's entries."""
        return meta_messaging.read_parts(body, self._dialect)

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The events of all entries."""
        return meta_messaging.read_events(body, self._dialect)

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """Facebook's consent page, which takes no PKCE."""
        asked = {"config_id": self._config_id} if self._config_id else {"scope": ",".join(SCOPES)}
        parameters = {"client_id": self._app().app_id, "redirect_uri": redirect_uri, "state": state}
        return f"{self._auth_base}/dialog/oauth?{urlencode(parameters | {'response_type': 'code'} | asked)}"

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """Every Page that the user may answer messages for. Its token has no end while the user's role has none."""
        app = self._app()
        token = await meta_login.user_token(client, app, code, redirect_uri, NAME)
        meta_login.check_granted(_REQUIRED, await meta_login.permissions(client, app, token, NAME), NAME)
        user = await meta_login.user_id(client, app, token, NAME)
        pages = [page for page in await meta_login.pages(client, app, token, NAME) if _TASK in page.tasks]
        if not pages:
            raise ConnectRefused(
                "Facebook showed us no Page whose messages you may answer. Choose one where you have that task.",
                code="no_page",
            )
        return [_grant(page, user) for page in pages]

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """Ask which Page a token is of."""
        parameters = {"fields": "id,name"}
        url, token = address(self._api_base, "me"), credentials.get("token", "")
        reply = await meta_graph.graph(client, "GET", url, token, secret=self._secret, params=parameters)
        body = meta_login.answered(reply, NAME)
        page_id = as_id(body.get("id"))
        if page_id is None:
            raise ProviderUnavailable("Facebook did not say which Page this is. Try again.")
        return _account(page_id, as_text(body.get("name")) or page_id, credentials.get("user_id"))

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Have the Page's events sent to the app, whose webhook is set in Meta's dashboard."""
        parameters = {"subscribed_fields": meta_login.PAGE_FIELDS}
        url, token = self._at(credentials, "subscribed_apps"), credentials.get("token", "")
        reply = await meta_graph.graph(client, "POST", url, token, secret=self._secret, params=parameters)
        meta_login.confirmed(reply, NAME)

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Take the Page's events from the app. The user's consent stays: it may be that of other Pages as well."""
        url, token = self._at(credentials, "subscribed_apps"), credentials.get("token", "")
        reply = await meta_graph.graph(client, "DELETE", url, token, secret=self._secret)
        meta_login.confirmed_gone(reply, NAME)

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """A text or an image, with the delivery's id as its metadata."""
        mark = f"{meta_messaging.MARK}{message.delivery_id}" if message.delivery_id else None
        url, token = self._at(credentials, "messages"), credentials.get("token", "")
        return await meta_send.send(client, url, token, message, secret=self._secret, kind="RESPONSE", mark=mark)

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """Mark the conversation as read, then show that someone writes."""
        url, token = self._at(credentials, "messages"), credentials.get("token", "")
        await meta_send.show_typing(client, url, token, to, secret=self._secret)

    def _app(self) -> App:
        if not self._app_id or not self._secret:
            raise ConnectRefused("Messenger is not set up here: the id and the secret of a Meta app are missing.")
        return App(self._api_base, self._app_id, self._secret)

    def _at(self, credentials: Credentials, edge: str) -> str:
        """An edge of the connection's Page, which "me" is for a Page's token."""
        return address(self._api_base, credentials.get("page_id") or "me", edge)


def _grant(page: Page, user: str) -> Grant:
    credentials = Credentials(token=page.token, page_id=page.page_id, user_id=user)
    return Grant(_account(page.page_id, page.name, user), credentials)


def _account(page_id: str, name: str, user: str | None) -> Account:
    return Account(page_id, name, {}, routes=(f"user:{user}",) if user else ())
