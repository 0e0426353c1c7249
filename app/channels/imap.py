"""A session with an IMAP server (RFC 3501, IDLE: RFC 2177), in threads of its own: the wire half of mailboxes.

imap-tools speaks the protocol over a socket that was connected by app.egress; what a server may send is bounded here,
as tenants name their servers.
"""

import asyncio
import contextlib
import imaplib
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError, MailboxLoginError

from app.channels.base import ConnectRefused, ProviderUnavailable
from app.channels.mail import MAX_MAIL_BYTES

T = TypeVar("T")

# In English whatever the process's own language.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_AT_ONCE = 500

_STEP_SECONDS = 30.0
_SESSION_SECONDS = 120.0
# Two large mails and the protocol around them; a server has no more to say in one session.
_MOST_BYTES = 2 * MAX_MAIL_BYTES + 4 * 1024 * 1024
_MOST_LINE = 4 * 1024 * 1024
_SLICE_SECONDS = 2.0
_THREADS = 256
# Until a session that is to end has said good-bye.
_GRACE_SECONDS = 3.0
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,15})")
_ARRIVED = re.compile(rb'INTERNALDATE "([ \w:+-]{20,40})"')
_UID = re.compile(rb"UID (\d{1,12})")
# RFC 5530: the server is not able to just now; and what others say instead.
_FOR_NOW = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)|too many|try again|temporar|rate limit", re.IGNORECASE
)
# imaplib and imap-tools take answers apart without looking whether they are whole.
_BROKEN = (OSError, EOFError, imaplib.IMAP4.error, ImapToolsError, ValueError, LookupError, TypeError, AttributeError)

_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="imap")


class _Client(imaplib.IMAP4):
    """imaplib over a socket that is connected already, which reads no more than a session may bring."""

    def __init__(self, connected: socket.socket, host: str) -> None:
        self._connected = connected
        self._left = _MOST_BYTES
        super().__init__(host)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._connected

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise self.abort("the server announces more than was asked for")
        return super().read(size)

    def readline(self) -> bytes:
        line: bytes = self.file.readline(_MOST_LINE + 1)  # type: ignore[assignment]
        self._left -= len(line)
        if len(line) > _MOST_LINE or self._left < 0:
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

    def uids_since(self, moment: float) -> list[int]:
        """The UIDs of mails in the selected folder that arrived at a moment (Unix seconds) or later."""
        # A search has days only, in the server's own time zone.
        day = datetime.fromtimestamp(moment, UTC) - timedelta(days=1)
        found: list[int] = []
        uids = self._search(f"SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}")
        for first in range(0, len(uids), _AT_ONCE):
            for answer in self._uid("FETCH", ",".join(map(str, uids[first : first + _AT_ONCE])), "(UID INTERNALDATE)"):
                told = answer if isinstance(answer, bytes) else b" ".join(answer)
                uid, arrived = _UID.search(told), _ARRIVED.search(told)
                if uid and (arrived is None or _as_time(arrived[1]) >= moment):
                    found.append(int(uid[1]))
        return sorted(found)

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

    After `seconds`, or once it is cancelled, the connection is cut, whatever the server does; work that ends when
    `stopped` is set has a moment to do so. Raises ConnectRefused when the login is refused, ProviderUnavailable for
    anything else that goes wrong.
    """
    held = _Held(connected)

    def session() -> T:
        try:
            box = _log_in(held, credentials, security, context)
            done = work(Session(box))
            with contextlib.suppress(*_BROKEN):
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
            else:
                grace = threading.Timer(_GRACE_SECONDS, held.cut)
                grace.daemon = True
                grace.start()
            working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


class _Held:
    """The socket of a session, which can be cut from another thread, and is closed by its own."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.client: imaplib.IMAP4 | None = None
        # TLS takes the socket over, also in the middle of its handshake; this one stays.
        self._line = connected.dup()

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._line.close()
        if self.client is not None:
            with contextlib.suppress(OSError):
                self.client.shutdown()
        self.socket.close()


def _as_time(told: bytes) -> float:
    """INTERNALDATE (RFC 3501: " 7-Nov-2026 10:00:00 +0200") as Unix seconds; the end of time if it is not one."""
    day, _, rest = told.decode("ascii", errors="replace").strip().partition("-")
    month, _, rest = rest.partition("-")
    try:
        number = _MONTHS.index(month.title()) + 1
        return datetime.strptime(f"{day} {number} {rest}", "%d %m %Y %H:%M:%S %z").timestamp()
    except ValueError:
        return math.inf


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
