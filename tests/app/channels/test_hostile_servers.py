"""Mail servers that answer nonsense, send without end, or hold on to us: tenants name them."""

import asyncio
import ipaddress
import socket
import ssl
import threading

import pytest

from app.channels import imap
from app.channels.base import ProviderUnavailable
from app.channels.imap import in_session
from app.channels.smtp import check_login
from app.egress.errors import FetchFailed
from app.egress.mail import MailDoor

HANGS = "hangs up"


class Server:
    """Answers commands as it is told; "TAG" stands for the command's own, `HANGS` for none. `sent` counts bytes."""

    def __init__(self, **answers):
        self.answers, self.sent, self.gone = answers, 0, threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        peer, _ = self._listening.accept()
        try:
            self._serve(peer)
        except OSError:
            pass
        finally:
            peer.close()
            self.gone.set()

    def _serve(self, peer):
        peer.sendall(b"* OK hello\r\n")
        for line in peer.makefile("rb"):
            tag, _, command = line.strip().partition(b" ")
            name = command.split(b" ")[0].decode().upper()
            answer = self.answers.get(name, b"TAG OK done\r\n")
            if answer == HANGS:
                return
            if name == "CAPABILITY":
                peer.sendall(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
            for piece in [answer] if isinstance(answer, bytes) else answer():
                peer.sendall(piece.replace(b"TAG", tag))
                self.sent += len(piece)

    def close(self):
        self._listening.close()


@pytest.fixture
def served():
    servers = []

    def start(**answers):
        servers.append(Server(**answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Babbler(Server):
    def _serve(self, peer):
        peer.sendall(b"220 hello\r\n")
        peer.recv(100)
        peer.sendall(b"what?\r\n")


async def test_an_smtp_server_that_speaks_no_smtp_refuses_nobody():
    server = Babbler()
    connected = socket.create_connection(("127.0.0.1", server.port))
    connected.setblocking(False)
    with pytest.raises(ProviderUnavailable):
        await check_login(connected, ("h", "ann", "pw"), "none", ssl.create_default_context())
    server.close()


async def test_no_more_than_some_addresses_of_a_name_are_tried(monkeypatch):
    async def resolve(_name):
        return [f"127.0.0.{last}" for last in range(2, 60)]

    tried = []

    async def connected(address, _port):
        tried.append(address)

    door = MailDoor((ipaddress.ip_network("127.0.0.0/8"),), resolve)
    monkeypatch.setattr("app.egress.mail._connected", connected)
    with pytest.raises(FetchFailed):
        await door.connect("mail.salon.example", 993)
    assert len(tried) == 3


async def session(server, work, **more):
    connected = socket.create_connection(("127.0.0.1", server.port))
    connected.setblocking(False)
    return await in_session(connected, ("h", "ann", "pw"), "none", ssl.create_default_context(), work, **more)


def select(mailbox):
    return mailbox.select("INBOX")


def place(mailbox):
    return mailbox.place("INBOX")


def first(mailbox):
    mailbox.select("INBOX")
    return mailbox.mail(1)


@pytest.mark.parametrize(
    ("command", "answer", "work"),
    [
        ("EXAMINE", b"TAG NO mailbox is busy\r\n", select),
        ("STATUS", b"* STATUS INBOX (UIDNEXT 3)\r\nTAG OK\r\n", place),
        ("STATUS", b"TAG NO later\r\n", place),
        ("STATUS", b"TAG OK\r\n", place),
        ("UID", b"* SEARCH " + b"9" * 5000 + b"\r\nTAG OK\r\n", lambda box: (select(box), box.uids_after(1))),
        ("UID", HANGS, first),
        ("LOGIN", b"* BYE too many connections\r\nTAG NO\r\n", select),
        ("LOGIN", b"TAG NO [ALERT] Too many simultaneous connections. (Failure)\r\n", select),
    ],
)
async def test_an_answer_that_is_none(served, command, answer, work):
    with pytest.raises(ProviderUnavailable):
        await session(served(**{command: answer}), work)


@pytest.mark.parametrize("answer", [b"TAG OK bye\r\n", HANGS, b"TAG NO stay\r\n"])
async def test_what_was_done_is_not_lost_with_the_good_bye(served, answer):
    assert await session(served(LOGOUT=answer), lambda _box: "done") == "done"


async def test_many_small_answers_are_too_much_as_well(served):
    blob = b"x" * (2 * 1024 * 1024)

    def mails():
        for _ in range(60):
            yield b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(blob) + blob + b")\r\n"
        yield b"TAG OK done\r\n"

    server = served(UID=mails)
    with pytest.raises(ProviderUnavailable):
        await session(server, first)
    await asyncio.to_thread(server.gone.wait, 10)
    assert server.sent < 70 * 1024 * 1024


async def test_a_server_that_drips_holds_no_thread(served, monkeypatch):
    monkeypatch.setattr(imap, "_GRACE_SECONDS", 0.2)
    ended = threading.Event()

    def drops():
        yield b"+ idling\r\n"
        while not ended.wait(0.05):
            yield b"x"

    server = served(IDLE=drops)
    stopped, idling = threading.Event(), threading.Event()

    def idle(box):
        box.select("INBOX")
        idling.set()
        try:
            return box.idle(60, stopped)
        finally:
            idling.clear()

    waiting = asyncio.create_task(session(server, idle, stopped=stopped))
    await asyncio.to_thread(idling.wait, 10)
    await asyncio.sleep(0.3)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(10):
        while idling.is_set():  # noqa: ASYNC110  # the session ends in a thread of its own
            await asyncio.sleep(0.02)
    ended.set()
