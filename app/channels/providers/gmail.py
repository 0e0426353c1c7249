"""Gmail by its API, told of changes by Pub/Sub.

Source: Gmail API v1 and Google's OAuth 2 (shared reference, section 7). What a mail is and how an answer is written is
that of every mailbox: app/channels/mail.py, mail_compose.py.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.message import Message
from typing import Any
from urllib.parse import urlencode

import httpx

from app.channels.base import (
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
from app.channels.gmail_push import push_is_genuine, read_history, read_push
from app.channels.google_api import Answer, ask
from app.channels.mail import MAX_MAIL_BYTES, load_event, read_mail
from app.channels.mail_compose import compose_reply
from app.channels.polling import LOOKED, Fetched, Mailbox, looked_before
from app.channels.reading import as_id, as_list, as_object, as_text, read_object

_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
_SCOPES = ("openid", "email", _MODIFY)
_PAGE = 50
_HIDDEN_LABELS = frozenset({"DRAFT", "SPAM", "TRASH"})


class Gmail(ProviderDefaults):
    """The Gmail provider; `client_id` and `client_secret` are the platform's client, None until there is one.

    `topic` is the Pub/Sub topic to which Google tells changes; without it mailboxes are only looked at every few
    minutes. `api_base` is the API's root with its version, the other bases are those of consent and token.
    """

    channel = "gmail"
    capabilities = Capabilities(
        unit="characters",
        max_length=50_000,
        media=True,
        images=True,
        polled=True,
        shared_webhook=True,
        thread_replies_per_day=10,
        customer_replies_per_day=30,
    )

    def __init__(
        self,
        api_base: str,
        auth_base: str,
        token_base: str,
        client_id: str | None,
        client_secret: str | None,
        topic: str | None = None,
    ) -> None:
        self._users = f"{api_base.rstrip('/')}/users/me"
        self._auth, self._tokens = auth_base.rstrip("/"), token_base.rstrip("/")
        self._client_id, self._client_secret, self._topic = client_id, client_secret, topic

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Whether Google's token came with the push; it signs no body, which therefore is only ever a hint to look."""
        if not secret:
            raise ValueError("an empty secret would let everyone in")
        return push_is_genuine(headers, secret, now)

    def parts(self, body: bytes) -> list[Part]:
        """The mailbox that changed."""
        event = read_push(body)
        return [] if event is None else [Part(event.account_id, body)]

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """A mail that was fetched, or the word that there is something to fetch."""
        fetched = load_event(body)
        told = None if fetched else read_push(body)
        return fetched if told is None else [told]

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """Google's consent page; offline and prompt make it give a refresh token every time."""
        client_id, _ = self._app()
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(_SCOPES),
            "state": state,
            "access_type": "offline",
            "prompt": "consent",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._auth}/o/oauth2/v2/auth?{urlencode(query)}"

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """Exchange the code; the one mailbox whose owner agreed, if to all that is needed."""
        answer = await self._token(
            client, grant_type="authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier
        )
        if not answer.ok:
            raise answer.failed("Google did not accept the consent. Start again.")
        if _MODIFY not in (as_text(answer.body.get("scope")) or "").split():
            raise ConnectRefused(f"Google was not allowed what is needed: {_MODIFY}.", code="missing_scopes")
        credentials = _credentials(answer.body)
        account = await self.identify(client, credentials)
        return [Grant(account, Credentials(credentials | {"address": account.account_id}))]

    async def refresh(self, client: httpx.AsyncClient, credentials: Credentials) -> Credentials:
        """A new access token; the refresh token stays where Google gives no other."""
        given = credentials.get("refresh_token", "")
        answer = await self._token(client, grant_type="refresh_token", refresh_token=given)
        if not answer.ok:
            raise answer.failed("Google takes this mailbox's token no more. Connect it again.")
        return Credentials(credentials | _credentials(answer.body, credentials))

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """The mailbox's address."""
        address = as_text((await self._profile(client, credentials)).get("emailAddress"))
        if address is None:
            raise ProviderUnavailable("Google's answer could not be understood. Try again.")
        return Account(address.strip().lower(), address, {})

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Have changes told to the topic, whose subscription the operator points at us; it ends within 7 days."""
        if self._topic is None:
            return
        wanted = {"topicName": self._topic, "labelIds": ["INBOX"], "labelFilterBehavior": "INCLUDE"}
        answer = await self._ask(client, credentials, "POST", "watch", json=wanted)
        if not answer.ok:
            raise answer.failed("Google does not let us watch this mailbox.")

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """Stop the watch, then revoke the tokens."""
        stopped = await self._ask(client, credentials, "POST", "stop")
        if not stopped.done and not stopped.dead:
            raise ProviderUnavailable("Google did not confirm that the mailbox is watched no more. Try again.")
        token = credentials.get("refresh_token") or credentials.get("access_token", "")
        revoked = await ask(client, "POST", f"{self._tokens}/revoke", data={"token": token})
        if not revoked.done and revoked.reason not in ("invalid_token", "invalid_grant"):
            raise ProviderUnavailable("Google did not confirm that the token was revoked. Try again.")

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """One mail in its thread; what Gmail made of our Message-ID is read back."""
        try:
            mail = compose_reply(message, credentials["address"], time.time())
            raw = base64.urlsafe_b64encode(mail.as_bytes()).decode()
        except (ValueError, KeyError, LookupError):
            return SendResult("fatal", code="no_address")
        thread = message.to.address.get("thread")
        content = {"raw": raw, **({"threadId": thread} if thread else {})}
        answer = await self._ask(client, credentials, "POST", "messages/send", json=content)
        sent_id = as_id(answer.body.get("id"))
        if not answer.ok:
            return answer.sent(None)
        known = None if sent_id is None else await self._message_id(client, credentials, sent_id)
        answered = message.to.address.get("gmail")
        if answered is not None:
            # Read, as a person's answer would have made it. Best effort.
            await self._ask(client, credentials, "POST", f"messages/{answered}/modify", json=_READ)
        return SendResult("ok", known or mail["Message-ID"].strip("<>"))

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """There is no such sign in mail."""

    async def fetch(self, client: httpx.AsyncClient, credentials: Credentials, mailbox: Mailbox) -> Fetched:
        """A page of what was added since the position; where that is too old, of what came since the last look."""
        at = read_object((mailbox.position or "").encode())
        begun = time.time()
        if not at:
            return Fetched((), json.dumps({"history": await self._here(client, credentials), LOOKED: begun}))
        if "list" in at:
            return await self._recent(client, credentials, mailbox, at)
        query = {"startHistoryId": str(at.get("history")), "historyTypes": "messageAdded", "maxResults": _PAGE}
        if at.get("page"):
            query["pageToken"] = str(at["page"])
        answer = await self._ask(client, credentials, "GET", "history", params=query)
        if answer.gone:
            # Noted first: what comes while the old ones are read is not lost.
            here = {"history": await self._here(client, credentials), "then": begun}
            return await self._recent(client, credentials, mailbox, {**at, **here, "list": ""})
        if not answer.ok:
            raise answer.failed("Google does not show us this mailbox any more. Connect it again.")
        history = read_history(answer.body)
        own = [one for one, reason in history.skipped.items() if reason == "own SENT"]
        events = await self._events(client, credentials, mailbox, (*history.new_message_ids, *own))
        if history.next_page is not None:
            return Fetched(events, json.dumps({**at, "page": history.next_page}), more=True)
        return Fetched(events, json.dumps({"history": history.next_history_id or at.get("history"), LOOKED: begun}))

    async def wait(self, credentials: Credentials, seconds: float) -> bool:
        """Google tells us; nothing is to be waited for."""
        return False

    async def _recent(
        self, client: httpx.AsyncClient, credentials: Credentials, mailbox: Mailbox, at: Mapping[str, Any]
    ) -> Fetched:
        query = {"q": f"after:{int(looked_before(at))}", "labelIds": "INBOX", "maxResults": _PAGE}
        if at.get("list"):
            query["pageToken"] = str(at["list"])
        answer = await self._ask(client, credentials, "GET", "messages", params=query)
        if not answer.ok:
            raise answer.failed("Google does not show us this mailbox any more. Connect it again.")
        ids = [as_id(as_object(one).get("id")) for one in as_list(answer.body.get("messages"))]
        events = await self._events(client, credentials, mailbox, [one for one in reversed(ids) if one is not None])
        page = as_text(answer.body.get("nextPageToken"))
        if page is not None:
            return Fetched(events, json.dumps({**at, "list": page}), more=True)
        return Fetched(events, json.dumps({"history": at.get("history"), LOOKED: at.get("then")}))

    async def _events(
        self, client: httpx.AsyncClient, credentials: Credentials, mailbox: Mailbox, ids: Sequence[str]
    ) -> tuple[InboundEvent, ...]:
        found = [await self._event(client, credentials, mailbox, one) for one in ids]
        return tuple(event for event in found if event is not None)

    async def _event(
        self, client: httpx.AsyncClient, credentials: Credentials, mailbox: Mailbox, message_id: str
    ) -> InboundEvent | None:
        """One mail as an event; None if it is gone, a draft, or where nobody looks for customers."""
        known = await self._message(client, credentials, message_id, "minimal")
        labels = set(as_list(known.get("labelIds")))
        if not known or labels & _HIDDEN_LABELS:
            return None
        size = known.get("sizeEstimate")
        whole = not (isinstance(size, int) and size > MAX_MAIL_BYTES)
        if not whole:
            raw = _headers_only(await self._message(client, credentials, message_id, "metadata"))
        else:
            raw = _decoded((await self._message(client, credentials, message_id, "raw")).get("raw"))
        if raw is None:
            return None
        sent = "SENT" in labels and "INBOX" not in labels
        own = mailbox.own_addresses
        # A large one takes seconds.
        event = await asyncio.to_thread(read_mail, raw, self.channel, mailbox.account_id, own, sent=sent, whole=whole)
        beside = {"thread": as_id(known.get("threadId")) or "", "gmail": message_id}
        return replace(event, address={**event.address, **beside}) if event.direction == "in" else event

    async def _message(
        self, client: httpx.AsyncClient, credentials: Credentials, message_id: str, form: str
    ) -> Mapping[str, Any]:
        answer = await self._ask(client, credentials, "GET", f"messages/{message_id}", params={"format": form})
        if not answer.ok and not answer.gone:
            raise answer.failed("Google does not show us this mailbox any more. Connect it again.")
        return {} if answer.gone else answer.body

    async def _message_id(self, client: httpx.AsyncClient, credentials: Credentials, sent_id: str) -> str | None:
        query = {"format": "metadata", "metadataHeaders": "Message-ID"}
        answer = await self._ask(client, credentials, "GET", f"messages/{sent_id}", params=query)
        return next((value.strip().strip("<>") for name, value in _headers(answer.body) if name == "message-id"), None)

    async def _here(self, client: httpx.AsyncClient, credentials: Credentials) -> str | None:
        return as_id((await self._profile(client, credentials)).get("historyId"))

    async def _profile(self, client: httpx.AsyncClient, credentials: Credentials) -> Mapping[str, Any]:
        answer = await self._ask(client, credentials, "GET", "profile")
        if not answer.ok:
            raise answer.failed("Google does not let us use this mailbox.")
        return answer.body

    async def _ask(
        self, client: httpx.AsyncClient, credentials: Credentials, method: str, path: str, **content: Any
    ) -> Answer:
        return await ask(client, method, f"{self._users}/{path}", credentials.get("access_token", ""), **content)

    async def _token(self, client: httpx.AsyncClient, **content: str) -> Answer:
        client_id, client_secret = self._app()
        named = {"client_id": client_id, "client_secret": client_secret, **content}
        return await ask(client, "POST", f"{self._tokens}/token", data=named)

    def _app(self) -> tuple[str, str]:
        if not self._client_id or not self._client_secret:
            raise ConnectRefused(
                "Gmail is not set up here: the operator sets JOBX_GMAIL__CLIENT_ID and JOBX_GMAIL__CLIENT_SECRET.",
                code="not_set_up",
            )
        return self._client_id, self._client_secret


_READ = {"removeLabelIds": ["UNREAD"]}


def _credentials(body: Mapping[str, Any], earlier: Mapping[str, str] | None = None) -> Credentials:
    """What a token answer gives; raises ProviderUnavailable for one without the tokens."""
    access = as_text(body.get("access_token"))
    refresh = as_text(body.get("refresh_token")) or (earlier or {}).get("refresh_token")
    if access is None or refresh is None:
        raise ProviderUnavailable("Google's answer to the consent could not be understood. Start again.")
    seconds = body.get("expires_in")
    lasts = seconds if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0 else 3599
    return Credentials(access_token=access, refresh_token=refresh, expires_at=str(int(time.time()) + lasts))


def _decoded(raw: Any) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)) if isinstance(raw, str) else None
    except (ValueError, binascii.Error):
        return None


def _headers(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [as_object(one) for one in as_list(as_object(message.get("payload")).get("headers"))]
    return [(str(one.get("name", "")).lower(), str(one.get("value", ""))) for one in found]


def _headers_only(message: Mapping[str, Any]) -> bytes | None:
    """The head of a mail whose body is not fetched; None if it is gone."""
    if not message:
        return None
    head = Message()
    for name, value in _headers(message):
        if name.replace("-", "").isalnum() and not name.startswith("content-"):
            head[name] = " ".join(value.split())
    return head.as_bytes()
