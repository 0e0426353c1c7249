"""A session with an IMAP server (RFC 3501, IDLE: RFC 2177), in threads of its own: the wire half of mailboxes.

imap-tools speaks the protocol over a socket that was connected by app.egress; what a server may send is bounded here,
as tenants name their servers.
"""

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from imap_tools import BaseMailBox
from imap_tools.errors import MailboxLoginError

from app.channels.base import ConnectRefused, ProviderUnavailable
from app.channels.mail import MAX_MAIL_BYTES

T = TypeVar("T")

_STEP_SECONDS = 30.0
_SESSION_SECONDS = 120.0
# A mail and the protocol around it; no server has more to say at once.
_MOST_BYTES = MAX_MAIL_BYTES + 1024 * 1024
_MOST_LINE = 4 * 1024 * 1024
_SLICE_SECONDS = 2.0
_THREADS = 256
_LOST_DAYS = 7
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,15})")
_UID = re.compile(rb"UID (\d{1,12})")
# RFC 5530: the server is not able to just now.
_FOR_NOW = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)", re.IGNORECASE)
_BROKEN = (OSError, EOFError, imaplib.IMAP4.error, ValueError)

_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="imap")


class _Client(imaplib.IMAP4):
    """imaplib over a socket that is connected already, which reads no more than a mail."""

    def __init__(self, connected: socket.socket, host: str) -> None:
        self._connected = connected
        super().__init__(host)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._connected

    def read(self, size: int) -> bytes:
        if size > _MOST_BYTES:
            raise self.abort("the server announces more than a mail")
        return super().read(size)

    def readline(self) -> bytes:
        line: bytes = self.file.readline(_MOST_LINE + 1)  # type: ignore[assignment]
        if len(line) > _MOST_LINE:
            raise self.abort("the server sends a line without end")
        return line


class _Box(BaseMailBox):
    def __init__(self, client: imaplib.IMAP4) -> None:
        self._ready = client
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._ready


class Session:
    """A mailbox that is logged in to; every method blocks."""

    def __init__(self, box: BaseMailBox) -> None:
        self.box = box

    def select(self, folder: str, *, readonly: bool = True) -> None:
        """Look into a folder."""
        self.box.folder.set(folder, readonly=readonly)

    def place(self, folder: str) -> tuple[int, int]:
        """A folder's UIDVALIDITY, and the UID that its next mail will have."""
        told = self.box.folder.status(folder, ["UIDVALIDITY", "UIDNEXT"])
        return told["UIDVALIDITY"], told["UIDNEXT"]

    def sent_folder(self) -> str | None:
        """The folder of sent mail: the one that is marked so (RFC 6154), or one that is called so."""
        folders = self.box.folder.list()
        marked = next((one.name for one in folders if "\\sent" in {flag.lower() for flag in one.flags}), None)
        usual = {"sent", "sent items", "sent messages", "inbox.sent", "gesendet", "отправленные", "надіслані"}
        return marked or next((one.name for one in folders if one.name.lower() in usual), None)

    def uids_after(self, last: int) -> list[int]:
        """The UIDs of mails in the selected folder that came after one; the server's last mail is always named."""
        return [uid for uid in self._search(f"UID {last + 1}:*") if uid > last]

    def recent_uids(self) -> list[int]:
        """The UIDs of the last days' mails in the selected folder."""
        since: date = (datetime.now(UTC) - timedelta(days=_LOST_DAYS)).date()
        return self._search(f"SINCE {since.strftime('%d-%b-%Y')}")

    def find(self, message_id: str) -> list[int]:
        """The UIDs of mails in the selected folder with a Message-ID."""
        plain = "".join(each for each in message_id if each.isascii() and each.isprintable() and each not in '"\\')
        return self._search(f'HEADER Message-ID "<{plain}>"')

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """How large mails are, in bytes; one that is gone has no size."""
        if not uids:
            return {}
        found: dict[int, int] = {}
        for answer in self._uid("FETCH", ",".join(map(str, uids)), "(UID RFC822.SIZE)"):
            told = answer if isinstance(answer, bytes) else b" ".join(answer)
            uid, size = _UID.search(told), _SIZE.search(told)
            if uid and size:
                found[int(uid[1])] = int(size[1])
        return found

    def mail(self, uid: int, *, headers_only: bool = False) -> bytes | None:
        """A mail, which stays unread; None if it is gone."""
        part = "BODY.PEEK[HEADER]" if headers_only else "BODY.PEEK[]"
        for answer in self._uid("FETCH", str(uid), f"({part})"):
            if isinstance(answer, tuple) and len(answer) > 1 and isinstance(answer[1], bytes):
                return answer[1]
        return None

    def mark_read(self, uids: Sequence[int]) -> None:
        """Set the Seen flag of mails in the selected folder."""
        if uids:
            self._uid("STORE", ",".join(map(str, uids)), "+FLAGS.SILENT", r"(\Seen)")

    def append(self, folder: str, mail: bytes) -> None:
        """Put a sent mail into a folder, as read."""
        self.box.append(mail, folder, dt=None, flag_set=[r"\Seen"])

    def idle(self, seconds: float, stopped: threading.Event) -> bool:
        """Wait for new mail in the selected folder; whether there may be some."""
        until = time.monotonic() + seconds
        self.box.idle.start()  # type: ignore[no-untyped-call]
        try:
            while not stopped.is_set() and time.monotonic() < until:
                if any(b"EXISTS" in line for line in self.box.idle.poll(_SLICE_SECONDS)):
                    return True
            return False
        finally:
            self.box.idle.stop()  # type: ignore[no-untyped-call]

    def _search(self, criteria: str) -> list[int]:
        answer = b" ".join(part for part in self._uid("SEARCH", criteria) if isinstance(part, bytes))
        return sorted(int(uid) for uid in answer.split() if uid.isdigit())

    def _uid(self, command: str, *arguments: str) -> list[Any]:
        kind, answers = self.box.client.uid(command, *arguments)
        if kind != "OK":
            raise imaplib.IMAP4.error("the server refuses a command")
        return [answer for answer in answers if answer is not None]


async def in_session(
    connected: socket.socket,
    credentials: tuple[str, str, str],
    security: str,
    context: ssl.SSLContext,
    work: Callable[[Session], T],
    *,
    seconds: float = _SESSION_SECONDS,
    stopped: threading.Event | None = None,
) -> T:
    """Log in with (host, user, password) over a connected socket, do some work in a thread, and log out.

    After `seconds`, or once it is cancelled, the connection is cut, whatever the server does. Raises ConnectRefused
    when the login is refused, ProviderUnavailable for anything else that goes wrong.
    """
    held = _Held(connected)

    def session() -> T:
        try:
            box = _log_in(held, credentials, security, context)
            done = work(Session(box))
            box.logout()
            return done
        finally:
            held.close()

    working = asyncio.get_running_loop().run_in_executor(_threads, session)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(working)
    except (ConnectRefused, ProviderUnavailable):
        raise
    except (TimeoutError, *_BROKEN):
        raise ProviderUnavailable("The mail server does not answer as it should just now. Try again.") from None
    finally:
        if stopped is not None:
            stopped.set()
        if not working.done():
            if stopped is None:
                held.cut()
            working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


class _Held:
    """The socket of a session, which can be cut from another thread, and is closed by its own."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.client: imaplib.IMAP4 | None = None

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self.client is not None:
            with contextlib.suppress(OSError):
                self.client.shutdown()
        self.socket.close()


def _log_in(held: _Held, credentials: tuple[str, str, str], security: str, context: ssl.SSLContext) -> BaseMailBox:
    host, user, password = credentials
    held.socket.settimeout(_STEP_SECONDS)
    if security == "tls":
        held.socket = context.wrap_socket(held.socket, server_hostname=host)
    client = held.client = _Client(held.socket, host)
    if security == "starttls":
        client.starttls(context)
        held.socket = client.sock
    box = _Box(client)
    try:
        box.login(user, password, initial_folder=None)
    except MailboxLoginError as error:
        if _FOR_NOW.search(str(error)):
            raise ProviderUnavailable("The mail server takes no logins just now. Try again.") from None
        raise ConnectRefused(
            "The mail server refuses this user name and password. Many providers want an app password.",
            code="login_refused",
        ) from None
    return box
