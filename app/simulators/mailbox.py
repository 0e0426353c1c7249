"""A mailbox on loopback, with a real IMAP server (RFC 3501, 2177, 6154; what mail programs need of them) and a real
SMTP server (aiosmtpd), for tests and for developers.

`MailSimulator` runs both in a thread of its own. A login is one user's; its folders are INBOX and Sent.
"""

import asyncio
import logging
import re
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.simulators.gmail import Stored, customer_mail, text_of

# It would log what it is told.
logging.getLogger("mail.log").setLevel(logging.ERROR)

_COMMAND = re.compile(rb"(\S+) (?:(UID) )?(\S+) ?(.*)", re.DOTALL)
_LITERAL = re.compile(rb"\{(\d+)\+?\}$")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\([^)]*\))|(\S+)')
_CAPABILITIES = "IMAP4rev1 IDLE UIDPLUS SPECIAL-USE"


@dataclass
class Letter:
    """A mail in a folder."""

    uid: int
    raw: bytes
    seen: bool = False
    # What the server says that it measures, where that is not the truth.
    size: int | None = None
    arrived: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Folder:
    """A folder and its mails."""

    validity: int = field(default_factory=lambda: int(time.time()))
    letters: list[Letter] = field(default_factory=list)
    next_uid: int = 1

    def add(self, raw: bytes, *, seen: bool = False, size: int | None = None) -> None:
        """Put a mail in."""
        self.letters.append(Letter(self.next_uid, raw, seen, size))
        self.next_uid += 1


class MailSimulator:
    """The servers and everything that was sent. `tls` makes both speak TLS from the first byte.

    `smtp_answers` are given to the next mails instead of acceptance ("451 4.7.1 later"), "cut" breaks the connection
    once the mail is there; `login_answer` is given to logins ("NO [UNAVAILABLE] later").
    """

    def __init__(self, address: str, password: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.address, self.password = address, password
        self.folders = {"INBOX": Folder(), "Sent": Folder()}
        self.sent: deque[bytes] = deque(maxlen=10_000)
        self.smtp_answers: deque[str] = deque()
        self.login_answer: str | None = None
        self.keeps_copies = False
        self.imap_port = self.smtp_port = 0
        self.sessions = 0
        self.commands: deque[str] = deque(maxlen=10_000)
        self._tls = tls
        self._idle: set[asyncio.Event] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._smtp_sessions: WeakSet[SMTP] = WeakSet()

    def start(self) -> "MailSimulator":
        """Listen on free ports of loopback."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        return self

    def stop(self) -> None:
        """Close every connection and end."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def deliver(self, raw: bytes, folder: str = "INBOX", *, size: int | None = None) -> None:
        """A mail comes in; who waits in IDLE is told."""
        self.folders[folder].add(raw, seen=folder == "Sent", size=size)
        self._loop.call_soon_threadsafe(self._tell)

    def write(self, customer: str, text: str, *, subject: str = "A question") -> None:
        """A customer writes, in answer to the last mail that was sent to them."""
        thread = [Stored("", "", set(), raw, 0) for raw in self.sent if customer in raw.decode(errors="replace")]
        self.deliver(customer_mail(customer, self.address, text, subject, thread))

    def said(self) -> list[str]:
        """The texts that were sent, oldest first."""
        return [text_of(raw) for raw in self.sent]

    def form(self, **changes: Any) -> dict[str, Any]:
        """What POST /v1/connections takes to connect this mailbox, less the agent."""
        security = "none" if self._tls is None else "tls"
        return {
            "channel": "email",
            "address": self.address,
            "password": self.password,
            "imap": {"host": "127.0.0.1", "port": self.imap_port, "security": security},
            "smtp": {"host": "127.0.0.1", "port": self.smtp_port, "security": security},
            **changes,
        }

    def _tell(self) -> None:
        for event in self._idle:
            event.set()

    async def _listen(self) -> None:
        imap = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=2**20)
        smtp = await self._loop.create_server(self._smtp, "127.0.0.1", 0, ssl=self._tls)
        self._servers = (imap, smtp)
        self.imap_port, self.smtp_port = (one.sockets[0].getsockname()[1] for one in self._servers)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        writers = list(self._writers)
        for writer in writers:
            writer.close()
        for session in self._smtp_sessions:
            if session.transport is not None:
                session.transport.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, *(writer.wait_closed() for writer in writers), return_exceptions=True)
        # The transports are closed in the loop's next rounds.
        await asyncio.sleep(0.01)

    def _smtp(self) -> SMTP:
        session = SMTP(
            self,
            hostname="simulated.test",
            auth_require_tls=False,
            authenticator=self._authenticate,
            data_size_limit=64 * 1024 * 1024,
            loop=self._loop,
        )
        self._smtp_sessions.add(session)
        return session

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == (
            self.address,
            self.password,
        )
        return AuthResult(success=right, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """A mail was handed over (aiosmtpd's name for it)."""
        if not session.authenticated:
            return "530 5.7.0 log in first"
        answer = self.smtp_answers.popleft() if self.smtp_answers else "250 OK"
        if answer.startswith(("250", "cut")):
            raw = envelope.content if isinstance(envelope.content, bytes) else b""
            self.sent.append(raw)
            if self.keeps_copies:
                self.folders["Sent"].add(raw, seen=True)
        if answer == "cut" and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.sessions += 1
        connection = _Imap(self, reader, writer)
        try:
            await connection.run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    @property
    def idling(self) -> int:
        """How many connections are in IDLE."""
        return len(self._idle)

    def waiting(self, event: asyncio.Event, *, begins: bool) -> None:
        """A connection enters or leaves IDLE."""
        (self._idle.add if begins else self._idle.discard)(event)


class _Imap:
    """One connection to the IMAP server."""

    def __init__(self, mail: MailSimulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._mail, self._reader, self._writer = mail, reader, writer
        self._folder: Folder | None = None
        self._logged_in = False

    async def run(self) -> None:
        self._say(f"* OK [CAPABILITY {_CAPABILITIES}] simulated")
        while True:
            line = await self._line()
            found = _COMMAND.match(line)
            if found is None:
                return
            tag, name, rest = found[1].decode(), found[3].decode().upper(), found[4]
            self._mail.commands.append(f"{'UID ' if found[2] else ''}{name}")
            if name == "LOGOUT":
                self._say("* BYE")
                self._say(f"{tag} OK done")
                await self._writer.drain()
                return
            answer = await self._act(name, rest, uid=found[2] is not None)
            self._say(f"{tag} {answer} done")
            await self._writer.drain()

    async def _line(self) -> bytes:
        """A command with its literals put in."""
        line = (await self._reader.readuntil(b"\r\n"))[:-2]
        while (announced := _LITERAL.search(line)) is not None:
            self._say("+ go on")
            literal = await self._reader.readexactly(int(announced[1]))
            rest = (await self._reader.readuntil(b"\r\n"))[:-2]
            line = line[: announced.start()] + b"\x00" + literal + b"\x00" + rest
        return line

    async def _act(self, name: str, rest: bytes, *, uid: bool) -> str:
        if name in ("CAPABILITY", "LOGIN"):
            return self._greet(name, rest)
        if not self._logged_in:
            return "NO not logged in"
        if name == "IDLE":
            return await self._idle()
        if name == "APPEND":
            return self._append(rest)
        words = _words(rest)
        if uid and self._folder is not None:
            return self._with_uids(self._folder, name, words)
        look = {"SELECT": self._select, "EXAMINE": self._select, "LIST": self._list, "STATUS": self._status}.get(name)
        return "OK" if look is None else look(*words[:1])

    def _greet(self, name: str, rest: bytes) -> str:
        if name == "LOGIN":
            return self._login(rest)
        self._say(f"* CAPABILITY {_CAPABILITIES}")
        return "OK"

    def _list(self, _reference: str) -> str:
        self._say('* LIST (\\HasNoChildren) "/" "INBOX"')
        self._say('* LIST (\\HasNoChildren \\Sent) "/" "Sent"')
        return "OK"

    def _status(self, name: str) -> str:
        folder = self._mail.folders[name]
        self._say(f'* STATUS "{name}" (UIDVALIDITY {folder.validity} UIDNEXT {folder.next_uid})')
        return "OK"

    def _login(self, rest: bytes) -> str:
        if self._mail.login_answer is not None:
            return self._mail.login_answer
        self._logged_in = _words(rest) == [self._mail.address, self._mail.password]
        return "OK" if self._logged_in else "NO [AUTHENTICATIONFAILED] wrong"

    def _append(self, rest: bytes) -> str:
        head, _, tail = rest.partition(b"\x00")
        self._mail.folders[head.split()[0].decode().strip('"')].add(tail.rpartition(b"\x00")[0], seen=True)
        return "OK"

    def _select(self, name: str) -> str:
        folder = self._folder = self._mail.folders.get(name)
        if folder is None:
            return "NO no such folder"
        self._say(f"* {len(folder.letters)} EXISTS")
        self._say(f"* OK [UIDVALIDITY {folder.validity}]")
        return "OK"

    async def _idle(self) -> str:
        event = asyncio.Event()
        self._mail.waiting(event, begins=True)
        self._say("+ idling")
        done = asyncio.ensure_future(self._reader.readuntil(b"\r\n"))
        try:
            while not done.done():
                told = asyncio.ensure_future(event.wait())
                await asyncio.wait({done, told}, return_when=asyncio.FIRST_COMPLETED)
                if event.is_set():
                    event.clear()
                    self._say(f"* {len(self._mail.folders['INBOX'].letters)} EXISTS")
                told.cancel()
            done.result()
        finally:
            done.cancel()
            self._mail.waiting(event, begins=False)
        return "OK"

    def _with_uids(self, folder: Folder, name: str, words: list[str]) -> str:
        if name == "SEARCH":
            found = " ".join(str(letter.uid) for letter in _searched(folder, words))
            self._say(f"* SEARCH {found}".strip())
            return "OK"
        for number, letter in enumerate(folder.letters, 1):
            if str(letter.uid) not in words[0].split(","):
                continue
            if name == "STORE":
                letter.seen = True
            elif "INTERNALDATE" in words[1]:
                arrived = letter.arrived.strftime("%d-%b-%Y %H:%M:%S %z")
                self._say(f'* {number} FETCH (UID {letter.uid} INTERNALDATE "{arrived}")')
            elif "SIZE" in words[1]:
                size = len(letter.raw) if letter.size is None else letter.size
                self._say(f"* {number} FETCH (UID {letter.uid} RFC822.SIZE {size})")
            else:
                head = letter.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                data = head if "HEADER" in words[1] else letter.raw
                part = words[1].strip("()").replace(".PEEK", "")
                self._say(f"* {number} FETCH (UID {letter.uid} {part} {{{len(data)}}}")
                self._writer.write(data + b")\r\n")
        return "OK"

    def _say(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")


def _words(rest: bytes) -> list[str]:
    found = _WORD.findall(rest.decode())
    return [quoted.replace('\\"', '"') or grouped or plain for quoted, grouped, plain in found]


def _searched(folder: Folder, words: list[str]) -> list[Letter]:
    match words:
        case ["UID", span]:
            first = int(span.partition(":")[0])
            # The last mail is always in "n:*", whatever n is.
            last = folder.letters[-1:]
            return [one for one in folder.letters if one.uid >= first] or last
        case ["HEADER", "Message-ID", wanted]:
            return [one for one in folder.letters if message_from_bytes(one.raw)["Message-ID"] == wanted]
        case ["SINCE", day]:
            first_day = datetime.strptime(day, "%d-%b-%Y").replace(tzinfo=UTC)
            return [one for one in folder.letters if one.arrived >= first_day]
    return list(folder.letters)
