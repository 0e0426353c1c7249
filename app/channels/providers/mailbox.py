"""A mailbox by IMAP and SMTP, with the password of its owner (most often an app password).

Source: shared reference, section 8. The protocols are in app/channels/imap.py and smtp.py, mails in mail.py; servers
are reached through the guard of app/egress, as tenants name them.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import httpx

from app.channels.base import (
    Account,
    Capabilities,
    ConnectRefused,
    Credentials,
    InboundEvent,
    Outgoing,
    ProviderUnavailable,
    Recipient,
    SendResult,
)
from app.channels.defaults import ProviderDefaults
from app.channels.imap import Session, in_session
from app.channels.mail import MAX_MAIL_BYTES, load_event, read_mail
from app.channels.mail_compose import compose_reply, recipient
from app.channels.polling import LOOKED, Fetched, Mailbox, looked_before
from app.channels.reading import as_list, read_object
from app.channels.smtp import check_login, submit
from app.egress.errors import FetchError, FetchRefused
from app.egress.mail import MailDoor

T = TypeVar("T")

INBOX = "INBOX"
_AT_ONCE = 25
_BYTES_AT_ONCE = 2 * MAX_MAIL_BYTES
_FILING_SECONDS = 30.0
_ALLOWANCE_SECONDS = 60.0


class MailboxProvider(ProviderDefaults):
    """The provider of mailboxes; `door` leads to their servers.

    Credentials: `address`, `user`, `password`, and for `imap_` and `smtp_` each `host`, `port` and `security` ("tls",
    "starttls" or "none").
    """

    channel = "email"
    capabilities = Capabilities(
        unit="characters",
        max_length=50_000,
        media=True,
        images=True,
        polled=True,
        thread_replies_per_day=10,
        customer_replies_per_day=30,
    )

    def __init__(self, door: MailDoor) -> None:
        self._door = door

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
        """Nobody posts mail to us."""
        if not secret:
            raise ValueError("an empty secret would let everyone in")
        return False

    def parse(self, body: bytes, account_id: str) -> list[InboundEvent]:
        """The event of a mail that was fetched."""
        return load_event(body)

    async def identify(self, client: httpx.AsyncClient, credentials: Credentials) -> Account:
        """Log in to both servers; the account is the address."""
        await self._imap(credentials, lambda session: session.select(INBOX))
        connected = await self._connect(credentials, "smtp")
        await check_login(
            connected, _login(credentials, "smtp"), credentials.get("smtp_security", "tls"), self._door.context
        )
        address = credentials["address"].strip().lower()
        return Account(address, address, {})

    async def subscribe(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str, secret: str
    ) -> None:
        """Nothing is subscribed to: the mailbox is watched from here."""

    async def disconnect(
        self, client: httpx.AsyncClient, credentials: Credentials, webhook_url: str | None = None
    ) -> None:
        """A password cannot be taken back from here; forgetting it is what we can do."""

    async def send(self, client: httpx.AsyncClient, credentials: Credentials, message: Outgoing) -> SendResult:
        """One mail in its thread, then a copy among the sent ones and the mail that it answers marked as read."""
        try:
            sender = credentials["address"]
            composed = compose_reply(message, sender, time.time())
            to, mail = recipient(message), composed.as_bytes()
        except (ValueError, KeyError, LookupError):
            return SendResult("fatal", code="no_address")
        try:
            connected = await self._connect(credentials, "smtp")
        except ConnectRefused:
            return SendResult("reconnect", code="server_refused")
        except ProviderUnavailable:
            return SendResult("retry", code="connect_failed")
        security = credentials.get("smtp_security", "tls")
        login = _login(credentials, "smtp")
        result = await submit(connected, login, security, self._door.context, sender, to, mail)
        if result.outcome != "ok":
            return result
        message_id = composed["Message-ID"].strip("<>")
        await self._file(credentials, message_id, mail, message.to.message_id)
        return SendResult("ok", message_id)

    async def typing(self, client: httpx.AsyncClient, credentials: Credentials, to: Recipient) -> None:
        """There is no such sign in mail."""

    async def fetch(self, client: httpx.AsyncClient, credentials: Credentials, mailbox: Mailbox) -> Fetched:
        """What came into the inbox since the position, and what a person sent from a mail program of theirs."""
        return await self._imap(credentials, partial(_fetch, mailbox))

    async def wait(self, credentials: Credentials, seconds: float) -> bool:
        """IDLE in the inbox; servers that cannot are only looked at every few minutes."""
        stopped = threading.Event()

        def idle(session: Session) -> bool:
            if "IDLE" not in session.box.client.capabilities:
                stopped.wait(seconds)
                return False
            session.select(INBOX)
            return session.idle(seconds, stopped)

        return await self._imap(credentials, idle, seconds + _ALLOWANCE_SECONDS, stopped)

    async def _imap(
        self,
        credentials: Credentials,
        work: Callable[[Session], T],
        seconds: float = 120.0,
        stopped: threading.Event | None = None,
    ) -> T:
        connected = await self._connect(credentials, "imap")
        security = credentials.get("imap_security", "tls")
        login, context = _login(credentials, "imap"), self._door.context
        return await in_session(connected, login, security, context, work, seconds=seconds, stopped=stopped)

    async def _connect(self, credentials: Credentials, what: str) -> socket.socket:
        host, port = credentials.get(f"{what}_host", ""), credentials.get(f"{what}_port", "")
        clear = credentials.get(f"{what}_security") == "none"
        try:
            return await self._door.connect(host, int(port), clear=clear)
        except FetchRefused as error:
            raise ConnectRefused(f"The {what.upper()} server: {error.message}", code=error.code) from None
        except FetchError as error:
            raise ProviderUnavailable(f"The {what.upper()} server: {error.message}") from None
        except ValueError:
            raise ConnectRefused(f"The {what.upper()} server has no such port.") from None

    async def _file(self, credentials: Credentials, message_id: str, mail: bytes, answered: str | None) -> None:
        """Best effort: the mail is sent, whatever becomes of its copy."""

        def file(session: Session) -> None:
            folder = session.sent_folder()
            if folder is not None:
                session.select(folder)
                # Some providers keep a copy themselves.
                if not session.find(message_id):
                    session.append(folder, mail)
            if answered:
                session.select(INBOX, readonly=False)
                session.mark_read(session.find(answered))

        try:
            async with asyncio.timeout(_FILING_SECONDS):
                await self._imap(credentials, file)
        except (ConnectRefused, ProviderUnavailable, TimeoutError):
            pass


def _login(credentials: Credentials, what: str) -> tuple[str, str, str]:
    return credentials.get(f"{what}_host", ""), credentials.get("user", ""), credentials.get("password", "")


def _fetch(mailbox: Mailbox, session: Session) -> Fetched:
    position = read_object((mailbox.position or "").encode())
    begun, since = time.time(), looked_before(position)
    events: list[InboundEvent] = []
    reached: dict[str, list[int]] = {}
    more = False
    for name, folder in (("in", INBOX), ("sent", session.sent_folder())):
        if folder is None:
            continue
        validity, following = session.place(folder)
        known = [one for one in as_list(position.get(name)) if isinstance(one, int)]
        if len(known) != 2:  # noqa: PLR2004  # the pair of UIDVALIDITY and UID
            # Its old mail is left alone.
            reached[name] = [validity, following - 1]
            continue
        session.select(folder)
        # Numbers that begin anew name other mails: what is known is told by its Message-ID.
        uids = session.uids_after(known[1]) if known[0] == validity else session.uids_since(since)
        last, rest = _read(session, uids, mailbox, events, sent=name == "sent")
        more = more or rest
        reached[name] = [validity, last if last is not None else (known[1] if known[0] == validity else following - 1)]
    # What is left over came before; the next fetch may still have to look for it by its time.
    looked = position.get(LOOKED, begun) if more else begun
    return Fetched(tuple(events), json.dumps({**reached, LOOKED: looked}), more)


def _read(
    session: Session, uids: list[int], mailbox: Mailbox, events: list[InboundEvent], *, sent: bool
) -> tuple[int | None, bool]:
    """Read mails until there are many, or they are large; the last one's UID, and whether some are left."""
    batch = uids[:_AT_ONCE]
    sizes, last, taken = session.sizes(batch), None, 0
    for uid in batch:
        size = sizes.get(uid)
        if size is not None:
            whole = size <= MAX_MAIL_BYTES
            if taken and taken + size * whole > _BYTES_AT_ONCE:
                return last, True
            taken += size * whole
            raw = session.mail(uid, headers_only=not whole)
            if raw is not None:
                own = mailbox.own_addresses
                events.append(read_mail(raw, "email", mailbox.account_id, own, sent=sent, whole=whole))
        last = uid
    return last, len(uids) > len(batch)
