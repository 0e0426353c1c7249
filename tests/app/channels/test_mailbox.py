"""Mailboxes: real IMAP and SMTP servers on loopback, with TLS and without."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.channels.base import ConnectRefused, Credentials, Outgoing, ProviderUnavailable, Recipient
from app.channels.mail import MAX_MAIL_BYTES
from app.channels.polling import Mailbox
from app.channels.providers.mailbox import MailboxProvider
from app.channels.schemas import MailboxConnect
from app.egress.mail import MailDoor
from app.simulators.gmail import customer_mail
from app.simulators.mailbox import MailSimulator

ADDRESS = "hello@salon.test"
MARK = "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
def sim():
    simulator = MailSimulator(ADDRESS, "pass word").start()
    yield simulator
    simulator.stop()


@pytest.fixture
def provider():
    return MailboxProvider(MailDoor(LOOPBACK))


def login(sim, **changes):
    form = MailboxConnect(agent_id=MARK, **sim.form())
    return Credentials(form.credentials() | changes)


def mailbox(position=None):
    return Mailbox(account_id=ADDRESS, own_addresses=frozenset({ADDRESS}), position=position)


async def fetch(provider, sim, position=None):
    return await provider.fetch(None, login(sim), mailbox(position))


async def test_a_login(provider, sim):
    account = await provider.identify(None, login(sim))
    assert account.account_id == ADDRESS
    with pytest.raises(ConnectRefused, match="user name and password") as refused:
        await provider.identify(None, login(sim, password="wrong"))
    assert refused.value.code == "login_refused"
    sim.login_answer = "NO [UNAVAILABLE] later"
    with pytest.raises(ProviderUnavailable):
        await provider.identify(None, login(sim))
    sim.login_answer = None
    with pytest.raises(ProviderUnavailable):
        await provider.identify(None, login(sim, imap_port="9"))
    with pytest.raises(ProviderUnavailable):
        # It speaks another protocol.
        await provider.identify(None, login(sim, imap_port=str(sim.smtp_port)))


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ({"imap_host": "127.0.0.1"}, "url_not_public"),
        ({"imap_host": "10.1.2.3"}, "url_not_public"),
        ({"imap_host": "mail.internal"}, "url_not_public"),
        ({"imap_host": "93.184.216.34", "imap_port": "25"}, "mail_port_refused"),
        ({"imap_host": "93.184.216.34", "imap_port": "993", "imap_security": "none"}, "mail_port_refused"),
    ],
    ids=str,
)
async def test_servers_inside_are_not_reached(sim, server, code):
    guarded = MailboxProvider(MailDoor())
    with pytest.raises(ConnectRefused) as refused:
        await guarded.identify(None, login(sim, **server))
    assert refused.value.code == code


async def test_a_name_that_leads_inside_is_not_reached(sim):
    async def resolve(_name):
        return ["93.184.216.34", "127.0.0.1"]

    guarded = MailboxProvider(MailDoor(resolve=resolve))
    with pytest.raises(ConnectRefused):
        await guarded.identify(None, login(sim, imap_host="mail.salon.example", imap_port="993"))
    sent = await guarded.send(None, login(sim, smtp_host="mail.salon.example", smtp_port="465"), message())
    assert sent.outcome == "reconnect"


def certificate(name, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


async def test_tls_is_verified_by_the_name(tmp_path):
    path = certificate("mail.salon.example", tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    simulator = MailSimulator(ADDRESS, "pw", tls=server).start()

    async def resolve(_name):
        return ["127.0.0.1"]

    door = MailDoor(LOOPBACK, resolve, ssl.create_default_context(cafile=path))
    try:
        named = {"imap_host": "mail.salon.example", "smtp_host": "mail.salon.example"}
        provider = MailboxProvider(door)
        assert (await provider.identify(None, login(simulator, **named))).account_id == ADDRESS
        assert (await provider.send(None, login(simulator, **named), message())).outcome == "ok"
        other = {"imap_host": "other.salon.example", "smtp_host": "other.salon.example"}
        with pytest.raises(ProviderUnavailable):
            await provider.identify(None, login(simulator, **other))
        with pytest.raises(ConnectRefused, match="certificate"):
            await provider.identify(None, login(simulator, **{**named, "smtp_host": "other.salon.example"}))
        refused = await provider.send(None, login(simulator, **other), message())
        assert (refused.outcome, refused.code) == ("retry", "tls_failed")
        untrusting = MailboxProvider(MailDoor(LOOPBACK, resolve))
        with pytest.raises(ProviderUnavailable):
            await untrusting.identify(None, login(simulator, **named))
        assert len(simulator.sent) == 1
    finally:
        simulator.stop()


async def test_what_is_new_is_fetched_once(provider, sim):
    sim.write("old@client.test", "From before")
    here = await fetch(provider, sim)
    assert here.events == ()
    sim.write("ann@client.test", "How much?")
    sim.deliver(customer_mail(ADDRESS, "ann@client.test", "I wrote this myself"), "Sent")
    new = await fetch(provider, sim, here.position)
    assert [(event.kind, event.customer_id, event.text) for event in new.events] == [
        ("text", "ann@client.test", "How much?"),
        ("echo", "ann@client.test", "I wrote this myself"),
    ]
    assert not any(letter.seen for letter in sim.folders["INBOX"].letters)
    assert (await fetch(provider, sim, new.position)).events == ()


async def test_many_come_in_batches(provider, sim):
    position, texts, more = (await fetch(provider, sim)).position, [], True
    for number in range(60):
        sim.write("ann@client.test", f"Number {number}")
    while more:
        got = await fetch(provider, sim, position)
        assert len(got.events) <= 25
        texts += [event.text for event in got.events]
        position, more = got.position, got.more
    assert texts == [f"Number {number}" for number in range(60)]


async def test_numbers_that_begin_anew(provider, sim):
    sim.write("ann@client.test", "One")
    position = (await fetch(provider, sim)).position
    inbox = sim.folders["INBOX"]
    inbox.validity, inbox.next_uid, inbox.letters[0].uid = 2, 2, 1
    sim.write("ann@client.test", "Two")
    got = await fetch(provider, sim, position)
    # What was known is named again; its Message-ID tells.
    assert [event.text for event in got.events] == ["One", "Two"]
    assert (await fetch(provider, sim, got.position)).events == ()
    # What came before the last look was known, or was there before the mailbox was connected, or is erased by now.
    inbox.validity = 3
    for letter, hours in zip(inbox.letters, (30, 2), strict=True):
        letter.arrived -= timedelta(hours=hours)
    sim.write("ann@client.test", "Three")
    assert [event.text for event in (await fetch(provider, sim, got.position)).events] == ["Three"]


async def test_a_large_mail_is_not_read(provider, sim):
    position = (await fetch(provider, sim)).position
    raw = customer_mail("ann@client.test", ADDRESS, "See the film", "My holiday")
    sim.deliver(raw, size=MAX_MAIL_BYTES + 1)
    sim.commands.clear()
    [event] = (await fetch(provider, sim, position)).events
    assert (event.kind, event.customer_id, event.subject) == ("unsupported", "ann@client.test", "My holiday")
    assert (event.text, event.may_reply) == (None, False)


async def test_a_server_that_sends_without_end_is_left(provider, sim):
    position = (await fetch(provider, sim)).position
    # It says that the mail is small, and announces more than a mail.
    sim.deliver(b"From: a@b\r\n\r\n" + b"x" * (2 * MAX_MAIL_BYTES + 5 * 1024 * 1024), size=10)
    with pytest.raises(ProviderUnavailable):
        await fetch(provider, sim, position)


async def test_one_odd_mail_keeps_no_other_back(provider, sim):
    position = (await fetch(provider, sim)).position
    head = b"From: ann@client.test\r\nTo: " + ADDRESS.encode()
    sim.deliver(head + b"\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 2000)
    sim.write("ann@client.test", "And me?")
    odd, plain = (await fetch(provider, sim, position)).events
    assert (odd.kind, odd.customer_id, odd.may_reply) == ("unsupported", "ann@client.test", False)
    assert plain.text == "And me?"


async def test_idle_tells_at_once_and_ends_when_it_is_to(provider, sim):
    waiting = asyncio.create_task(provider.wait(login(sim), 30))
    await until(lambda: "IDLE" in sim.commands)
    sim.write("ann@client.test", "Hello?")
    assert await asyncio.wait_for(waiting, 10)
    assert not await provider.wait(login(sim), 0.1)
    waiting = asyncio.create_task(provider.wait(login(sim), 30))
    sim.commands.clear()
    await until(lambda: "IDLE" in sim.commands)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: "LOGOUT" in sim.commands)


async def until(found):
    async with asyncio.timeout(15):
        while not found():  # noqa: ASYNC110  # the simulator runs in another thread
            await asyncio.sleep(0.02)


def message(**more):
    address = {"to": "ann@client.test", "subject": "A question"}
    to = Recipient(conversation_id="q@client.test", message_id="q@client.test", address=address)
    return Outgoing(to=to, text="30 EUR.\n.\nBye", delivery_id=MARK, **more)


async def test_an_answer(provider, sim):
    raw = customer_mail("ann@client.test", ADDRESS, "How much?")
    sim.deliver(raw.replace(raw.split(b"Message-ID: ")[1].split(b"\r\n")[0], b"<q@client.test>"))
    result = await provider.send(None, login(sim), message())
    assert (result.outcome, result.message_id) == ("ok", f"jobx.{MARK}@salon.test")
    assert [text.splitlines() for text in sim.said()] == [["30 EUR.", ".", "Bye"]]
    [copy] = sim.folders["Sent"].letters
    assert (copy.seen, f"<jobx.{MARK}@salon.test>".encode() in copy.raw) == (True, True)
    assert [letter.seen for letter in sim.folders["INBOX"].letters] == [True]


async def test_a_server_that_keeps_copies_gets_no_second(provider, sim):
    sim.keeps_copies = True
    await provider.send(None, login(sim), message())
    assert len(sim.folders["Sent"].letters) == 1


async def test_a_copy_that_fails_is_no_failure(provider, sim):
    sim.login_answer = "NO [UNAVAILABLE] later"
    assert (await provider.send(None, login(sim), message())).outcome == "ok"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("421 4.3.2 going down", "retry"),
        ("450 4.2.1 busy", "retry"),
        ("451 4.7.1 greylisted", "retry"),
        ("452 4.2.2 full", "retry"),
        ("454 4.7.0 later", "retry"),
        ("530 5.7.0 log in", "reconnect"),
        ("535 5.7.8 bad", "reconnect"),
        ("550 5.1.1 no such user", "fatal"),
        ("551 5.7.1 not local", "fatal"),
        ("552 5.3.4 too large", "fatal"),
        ("553 5.1.3 bad name", "fatal"),
        ("554 5.7.1 spam", "fatal"),
        ("cut", "unknown"),
    ],
)
async def test_what_a_send_comes_to(provider, sim, answer, outcome):
    sim.smtp_answers.append(answer)
    result = await provider.send(None, login(sim), message())
    assert result.outcome == outcome
    assert (result.retry_after is not None) == (outcome == "retry")
    assert len(sim.sent) == (outcome == "unknown")


async def test_a_send_that_never_left(provider, sim):
    assert (await provider.send(None, login(sim, smtp_port="9"), message())).outcome == "retry"
    assert (await provider.send(None, login(sim, password="wrong"), message())).outcome == "reconnect"
    lost = Outgoing(to=Recipient(conversation_id="c"), text="x", delivery_id=MARK)
    assert (await provider.send(None, login(sim), lost)).outcome == "fatal"
    sim.stop()
    stopped = await provider.send(None, login(sim), message())
    sim.start()
    assert stopped.outcome == "retry"


def test_nobody_posts_mail_to_us(provider):
    assert not provider.verify({}, b"{}", "secret", 0)
    with pytest.raises(ValueError, match="empty"):
        provider.verify({}, b"{}", "", 0)
    assert provider.parse(b"{}", ADDRESS) == []
