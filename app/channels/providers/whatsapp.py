"""WhatsApp business numbers, by the Cloud API.

Source: shared reference, sections 2 and 5. Events are read in app/channels/whatsapp_events.py, what error codes mean is
in app/channels/whatsapp_errors.py.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from app.channels import meta_graph
from app.channels.base import (
    MEBIBYTE,
    Account,
    Capabilities,
    ConnectRefused,
    Credentials,
    Grant,
    Image,
    InboundEvent,
    Outgoing,
    Part,
    Recipient,
    SendResult,
    Template,
)
from app.channels.calls import Reply, call
from app.channels.defaults import ProviderDefaults
from app.channels.meta_login import address, answered, check_granted, confirmed, confirmed_gone, token_in
from app.channels.reading import Json, as_id, as_list, as_object, as_text
from app.channels.whatsapp_errors import result_of
from app.channels.whatsapp_events import read_events, read_parts
from app.text import clean

NAME = "WhatsApp"
SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")
_NUMBER = "id,display_phone_number,verified_name"
_IMAGES = {"image/jpeg", "image/png"}
_IMAGE_BYTES = 5 * MEBIBYTE


class WhatsApp(ProviderDefaults):
    """The WhatsApp provider; `app_id` and `app_secret` are the platform's Meta app, None until there is one.

    `api_base` is Graph with its version. A connection's credentials: `token`, `phone_number_id`, `waba_id`, and `pin`
    for a number that is to be registered.
    """

    channel = "whatsapp"
    capabilities = Capabilities(
        unit="characters",
        max_length=4096,
        window_hours=24,
        templates=True,
        typing=True,
        media=True,
        images=True,
        shared_webhook=True,
        max_body_bytes=3 * MEBIBYTE,
    )

    def __init__(self, api_base: str, app_id: str | None, app_secret: str | None, config_id: str | None = None) -> None:
        self._api = api_base.rstrip("/")
        self._app_id, self._secret, self._config_id = app_id, app_secret, config_id

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether the body was signed with the app's secret; Meta signs no time."""
        return meta_graph.verify(headers, body, secret)

    def handshake(self, query: Mapping[str, str], token: str) -> str | None:
        """The challenge of a subscription that knows our verify token."""
        return meta_graph.handshake(query, token)

    def parts(self, body: bytes) -> list[Part]:
        """Each number's changes, and what is about a whole business account."""
        return read_parts(body)

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The events of all changes."""
        return read_events(body)

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """There is no page of its own: Embedded Signup runs in the browser."""
        app_id, _ = self._app()
        raise ConnectRefused(
            "WhatsApp is connected by Embedded Signup in the browser (FB.login with the app "
            f"{app_id} and config_id {self._config_id or 'of JOBX_WHATSAPP__CONFIG_ID'}): send the code that it gives.",
            code="embedded_signup",
        )

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """The numbers that Embedded Signup let us use; its code lives for 30 seconds and needs no redirect_uri."""
        app_id, secret = self._app()
        named = {"client_id": app_id, "client_secret": secret, "code": clean(code)}
        body = answered(await call(client, "GET", f"{self._api}/oauth/access_token", params=named), NAME)
        token, life = token_in(body, NAME), body.get("expires_in")
        expires = {"expires_at": str(int(time.time()) + life)} if isinstance(life, int) and life > 0 else {}
        granted: list[Grant] = []
        for waba in await self._business_accounts(client, token):
            for number in await self._numbers(client, token, waba):
                credentials = Credentials(token=token, phone_number_id=as_id(number.get("id")) or "", waba_id=waba)
                granted.append(Grant(_account(number, waba), Credentials(credentials | expires)))
        if not granted:
            raise ConnectRefused("This WhatsApp business account has no number yet. Add one, then connect again.")
        return granted

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """The number of a token that was typed in, if the named business account has it."""
        waba, wanted = credentials.get("waba_id", ""), credentials.get("phone_number_id", "")
        for number in await self._numbers(client, credentials.get("token", ""), waba):
            if as_id(number.get("id")) == wanted:
                return _account(number, waba)
        raise ConnectRefused("This WhatsApp business account has no number with this id.", code="unknown_number")

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Have the business account's events sent to the app, and register the number if its PIN is known."""
        url, token = self._waba(credentials), credentials.get("token", "")
        confirmed(await self._graph(client, "POST", f"{url}/subscribed_apps", token), NAME)
        if pin := credentials.get("pin"):
            content = {"messaging_product": "whatsapp", "pin": pin}
            registered = await self._graph(client, "POST", f"{self._number(credentials)}/register", token, json=content)
            confirmed(registered, NAME)

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Take the business account's events back; the token is forgotten."""
        token = credentials.get("token", "")
        reply = await self._graph(client, "DELETE", f"{self._waba(credentials)}/subscribed_apps", token)
        confirmed_gone(reply, NAME)

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """One text, template or image; our id of it comes back with every status."""
        content = _common(message)
        if message.image is not None:
            uploaded = await self._upload(client, credentials, message.image)
            if isinstance(uploaded, SendResult):
                return uploaded
            picture = {"id": uploaded} | ({"caption": clean(message.text)} if message.text else {})
            content |= {"type": "image", "image": picture}
        elif message.template is not None:
            content |= {"type": "template", "template": _template(message.template)}
        else:
            content |= {"type": "text", "text": {"body": clean(message.text), "preview_url": False}}
        return result_of(await self._post(client, credentials, content))

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """Mark the customer's message read and show the sign for up to 25 seconds."""
        if to.message_id is not None:
            content = {"messaging_product": "whatsapp", "status": "read", "message_id": to.message_id}
            await self._post(client, credentials, content | {"typing_indicator": {"type": "text"}})

    async def _upload(self, client: httpx.AsyncClient, credentials: Credentials, image: Image) -> str | SendResult:
        """The id of an uploaded image, or why there is none: nothing was said to the customer then."""
        if image.mime not in _IMAGES or len(image.data) > _IMAGE_BYTES:
            return SendResult("fatal", code="image_not_taken")
        url, token = f"{self._number(credentials)}/media", credentials.get("token", "")
        form, files = {"messaging_product": "whatsapp"}, {"file": (image.name, image.data, image.mime)}
        reply = await self._graph(client, "POST", url, token, data=form, files=files)
        media_id = as_id((reply.body or {}).get("id"))
        if media_id is not None:
            return media_id
        failed = result_of(reply)
        return SendResult("retry", code=failed.code) if failed.outcome in ("unknown", "ok") else failed

    async def _post(self, client: httpx.AsyncClient, credentials: Credentials, content: Mapping[str, Any]) -> Reply:
        url, token = f"{self._number(credentials)}/messages", credentials.get("token", "")
        return await self._graph(client, "POST", url, token, json=content)

    async def _business_accounts(self, client: httpx.AsyncClient, token: str) -> list[str]:
        """The business accounts that the token may manage; the browser's word for them is not taken."""
        app_id, secret = self._app()
        query = {"input_token": token}
        reply = await self._graph(client, "GET", f"{self._api}/debug_token", f"{app_id}|{secret}", params=query)
        data = as_object(answered(reply, NAME).get("data"))
        check_granted(SCOPES, [str(each) for each in as_list(data.get("scopes"))], NAME)
        scopes = [as_object(each) for each in as_list(data.get("granular_scopes"))]
        found = [as_list(each.get("target_ids")) for each in scopes if each.get("scope") == SCOPES[0]]
        return [waba for listed in found for one in listed if (waba := as_id(one)) is not None]

    async def _numbers(self, client: httpx.AsyncClient, token: str, waba: str) -> list[Json]:
        url = f"{address(self._api, waba)}/phone_numbers"
        body = answered(await self._graph(client, "GET", url, token, params={"fields": _NUMBER}), NAME)
        return [as_object(each) for each in as_list(body.get("data"))]

    async def _graph(self, client: httpx.AsyncClient, method: str, url: str, token: str, **content: Any) -> Reply:
        return await meta_graph.graph(client, method, url, token, secret=self._secret, **content)

    def _waba(self, credentials: Credentials) -> str:
        return address(self._api, credentials.get("waba_id", ""))

    def _number(self, credentials: Credentials) -> str:
        return address(self._api, credentials.get("phone_number_id", ""))

    def _app(self) -> tuple[str, str]:
        if not self._app_id or not self._secret:
            raise ConnectRefused(
                "WhatsApp is not set up here: the operator sets JOBX_META__APP_ID and JOBX_META__APP_SECRET.",
                code="not_set_up",
            )
        return self._app_id, self._secret


def _account(number: Json, waba: str) -> Account:
    number_id = as_id(number.get("id")) or ""
    name = as_text(number.get("verified_name")) or as_text(number.get("display_phone_number")) or number_id
    return Account(number_id, name, {}, routes=(waba,))


def _common(message: Outgoing) -> dict[str, Any]:
    """Where a message goes: by the number if it is known, else by the business-scoped id."""
    to = message.to
    number, scoped = to.address.get("to"), to.address.get("recipient")
    where = {"to": number} if number else {"recipient": scoped} if scoped else {"to": to.conversation_id}
    quoted = {} if message.reply_to is None else {"context": {"message_id": message.reply_to}}
    mark = {"biz_opaque_callback_data": f"jobx:{message.delivery_id}"} if message.delivery_id else {}
    return {"messaging_product": "whatsapp", "recipient_type": "individual", **where, **quoted, **mark}


def _template(template: Template) -> dict[str, Any]:
    named = {"name": template.name, "language": {"code": template.language}}
    texts = [{"type": "text", "text": clean(text)} for text in template.texts]
    return named | ({"components": [{"type": "body", "parameters": texts}]} if texts else {})
