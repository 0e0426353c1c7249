"""TikTok Direct Messages of business accounts.

Source: TikTok API for Business v1.3 (shared reference, section 1). One webhook and one app for all accounts; what is
stored of an event is in app/channels/tiktok_events.py, calls are made in app/channels/tiktok_api.py. Profile images,
followers, likes and media are never asked for.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from app.channels.base import (
    Account,
    Capabilities,
    ConnectRefused,
    Credentials,
    Grant,
    Image,
    InboundEvent,
    Outgoing,
    Part,
    ProviderUnavailable,
    Recipient,
    SendResult,
    header,
)
from app.channels.defaults import ProviderDefaults
from app.channels.reading import as_text
from app.channels.tiktok_api import Answer, ask
from app.channels.tiktok_events import account_of, parse_event, reduced
from app.text import clean

_NEEDED = ("message.list.read", "message.list.send", "message.list.manage")
_SCOPES = ("user.info.basic", "user.info.username", *_NEEDED)
_IMAGES = {"image/jpeg", "image/png"}
_IMAGE_BYTES = 3 * 1024 * 1024
_TIME = re.compile(r"[0-9]{1,11}")
_PROFILE = json.dumps(["username", "display_name"])


class TikTok(ProviderDefaults):
    """The TikTok provider; `app_id` and `app_secret` are the platform's app, None until there is one.

    `api_base` is the root of the API with its version, `auth_base` that of the consent page. A webhook may be
    `signature_seconds` old.
    """

    channel = "tiktok"
    capabilities = Capabilities(
        unit="characters",
        max_length=6000,
        window_hours=48,
        messages_per_window=10,
        kept_for_person=1,
        typing=True,
        media=True,
        images=True,
        shared_webhook=True,
        retention="immediate",
    )

    def __init__(
        self, api_base: str, auth_base: str, app_id: str | None, app_secret: str | None, signature_seconds: int = 300
    ) -> None:
        self._api, self._auth = api_base.rstrip("/"), auth_base.rstrip("/")
        self._app_id, self._app_secret = app_id, app_secret
        self._signature_seconds = signature_seconds

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether Tiktok-Signature is the HMAC-SHA256 of its time and the raw body, and the time is near."""
        if not secret:
            raise ValueError("an empty app secret would let everyone in")
        parts = dict(
            part.strip().partition("=")[::2] for part in (header(headers, "Tiktok-Signature") or "").split(",")
        )
        told, given = parts.get("t", ""), parts.get("s", "")
        wanted = hmac.new(secret.encode(), f"{told}.".encode("utf-8", "replace") + body, hashlib.sha256).hexdigest()
        right = hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
        return right and _is_near(told, now, self._signature_seconds)

    def parts(self, body: bytes) -> list[Part]:
        """The event's account, and what may be stored of it (DESIGN, promise 6)."""
        account = account_of(body)
        return [] if account is None else [Part(account, reduced(body))]

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The event in a body; it names its account itself."""
        return parse_event(body)

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """TikTok's consent page; TikTok knows no PKCE."""
        app_id, _ = self._app()
        query = {
            "client_key": app_id,
            "response_type": "code",
            "scope": ",".join(_SCOPES),
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{self._auth}/v2/auth/authorize?{urlencode(query)}"

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """Exchange the code; the one account that agreed, if it agreed to all that is needed."""
        answer = await self._token(
            client, "token", grant_type="authorization_code", auth_code=code, redirect_uri=redirect_uri
        )
        if not answer.ok:
            raise answer.refused("TikTok did not accept the consent. Start again.")
        credentials = _credentials(answer.data)
        scope = set(credentials["scope"].split(","))
        if missing := [each for each in _NEEDED if each not in scope]:
            raise ConnectRefused(f"TikTok was not allowed what is needed: {', '.join(missing)}.", code="missing_scopes")
        return [Grant(await self.identify(client, credentials), credentials)]

    async def refresh(self, client: httpx.AsyncClient, credentials: Credentials) -> Credentials:
        """A new pair of tokens: the refresh token that was used is of no use any more."""
        given = credentials.get("refresh_token", "")
        answer = await self._token(client, "refresh_token", grant_type="refresh_token", refresh_token=given)
        if not answer.ok:
            raise answer.refused("TikTok takes this account's token no more. Connect it again.")
        return Credentials(credentials | _credentials(answer.data, credentials))

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """The account's names; its id came with its token."""
        business = credentials.get("business_id", "")
        query = {"business_id": business, "fields": _PROFILE}
        answer = await ask(client, "GET", f"{self._api}/business/get/", credentials.get("access_token"), params=query)
        if not answer.ok:
            raise answer.refused("TikTok does not let us use this account.")
        name = as_text(answer.data.get("display_name")) or as_text(answer.data.get("username")) or business
        return Account(business, name, {})

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Point the app's one webhook at us."""
        app_id, app_secret = self._app()
        hook = {
            "app_id": app_id,
            "secret": app_secret,
            "event_type": "DIRECT_MESSAGE",
            "callback_url": webhook_url,
        }
        answer = await ask(client, "POST", f"{self._api}/business/webhook/update/", json=hook)
        if not answer.ok:
            raise answer.refused("TikTok refuses our webhook address.")

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Revoke the account's token; the webhook is that of all accounts."""
        app_id, app_secret = self._app()
        token = credentials.get("access_token", "")
        content = {"client_id": app_id, "client_secret": app_secret, "access_token": token}
        answer = await ask(client, "POST", f"{self._api}/tt_user/oauth2/revoke/", json=content)
        if not answer.ok and not answer.bad_token:
            raise ProviderUnavailable("TikTok did not confirm that the token was revoked. Try again.")

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """One text, or one image; TikTok has no place for `delivery_id`: an echo is known by the message's id."""
        if message.image is not None:
            return await self._send_image(client, credentials, message.to, message.image)
        content: dict[str, Any] = {"message_type": "TEXT", "text": {"body": clean(message.text)}}
        if message.reply_to is not None:
            content["referenced_message_info"] = {"referenced_message_id": message.reply_to}
        return (await self._send(client, credentials, message.to, content)).sent()

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """Mark the conversation read, and show the sign for 5 seconds."""
        for action in ("MARK_READ", "TYPING"):
            content = {"message_type": "SENDER_ACTION", "sender_action": action}
            await self._send(client, credentials, to, content)

    async def _send(
        self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient, content: Mapping[str, Any]
    ) -> Answer:
        address = {
            "business_id": credentials.get("business_id", ""),
            "recipient_type": "CONVERSATION",
            "recipient": to.conversation_id,
        }
        url, token = f"{self._api}/business/message/send/", credentials.get("access_token", "")
        return await ask(client, "POST", url, token, json={**address, **content})

    async def _send_image(
        self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient, image: Image
    ) -> SendResult:
        """Ask whether the conversation takes images, upload it, send it: nothing is said until the last call."""
        if image.mime not in _IMAGES or len(image.data) > _IMAGE_BYTES:
            return SendResult("fatal", code="image_not_taken")
        token, business = credentials.get("access_token", ""), credentials.get("business_id", "")
        query = {
            "business_id": business,
            "capability_types": '["IMAGE_SEND"]',
            "conversation_id": to.conversation_id,
            "conversation_type": "SINGLE",
        }
        asked = await ask(client, "GET", f"{self._api}/business/message/capabilities/get/", token, params=query)
        if not asked.ok:
            return _before_sending(asked)
        if not _can_send_images(asked.data):
            return SendResult("fatal", code="image_not_taken")
        files = {"file": (image.name, image.data, image.mime)}
        form = {"business_id": business, "media_type": "IMAGE"}
        upload = f"{self._api}/business/message/media/upload/"
        uploaded = await ask(client, "POST", upload, token, data=form, files=files)
        media_id = as_text(uploaded.data.get("media_id"))
        if not uploaded.ok or media_id is None:
            return _before_sending(uploaded)
        content = {"message_type": "IMAGE", "image": {"media_id": media_id}}
        return (await self._send(client, credentials, to, content)).sent()

    async def _token(self, client: httpx.AsyncClient, what: str, **content: str) -> Answer:
        app_id, app_secret = self._app()
        named = {"client_id": app_id, "client_secret": app_secret, **content}
        return await ask(client, "POST", f"{self._api}/tt_user/oauth2/{what}/", json=named)

    def _app(self) -> tuple[str, str]:
        if not self._app_id or not self._app_secret:
            raise ConnectRefused(
                "TikTok is not set up here: the operator sets JOBX_TIKTOK__APP_ID and JOBX_TIKTOK__APP_SECRET.",
                code="not_set_up",
            )
        return self._app_id, self._app_secret


def _is_near(told: str, now: float, seconds: int) -> bool:
    return _TIME.fullmatch(told) is not None and abs(now - int(told)) <= seconds


def _credentials(data: Mapping[str, Any], earlier: Mapping[str, str] | None = None) -> Credentials:
    """What a token answer gives; raises ProviderUnavailable for one without the tokens."""
    known = earlier or {}
    business = as_text(data.get("open_id")) or known.get("business_id")
    access, refresh = as_text(data.get("access_token")), as_text(data.get("refresh_token"))
    if access is None or refresh is None or business is None:
        raise ProviderUnavailable("TikTok's answer to the consent could not be understood. Try again.")
    moment = int(time.time())
    return Credentials(
        business_id=business,
        access_token=access,
        refresh_token=refresh,
        expires_at=str(moment + _seconds(data.get("expires_in"), 86_400)),
        scope=as_text(data.get("scope")) or known.get("scope", ""),
    )


def _seconds(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else otherwise


def _before_sending(answer: Answer) -> SendResult:
    """A call before the send failed: nothing was said to the customer, so what is unknown may be tried again."""
    result = answer.sent()
    return SendResult("retry", code=result.code) if result.outcome in ("unknown", "ok") else result


def _can_send_images(data: Mapping[str, Any]) -> bool:
    found = data.get("capability_infos") or data.get("capabilities") or []
    listed = found if isinstance(found, list) else [found]
    for each in listed:
        if isinstance(each, dict) and each.get("capability_type") == "IMAGE_SEND":
            return each.get("capability_result") is True or each.get("is_supported") is True
    return data.get("IMAGE_SEND") is True
