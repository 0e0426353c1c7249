"""Mails that are made to be hard to read, and answers to addresses and ids that are odd but right."""

import pytest

from app.channels.base import Outgoing, Recipient
from app.channels.mail import dump_event, load_event, read_mail
from app.channels.mail_compose import compose_reply, recipient

OWN = ("hello@salon.example",)
MARK = "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d"
HEAD = "From: Ann <ann@client.example>\r\nTo: hello@salon.example\r\nMessage-ID: <a1@client.example>\r\n"


def read(mail):
    data = mail if isinstance(mail, bytes) else mail.encode("utf-8", "surrogateescape")
    event = read_mail(data, "email", "hello@salon.example", OWN)
    assert load_event(dump_event(event)) == [event]
    return event


def typed(kind, body="hi \udcff", more=""):
    return f"{HEAD}Content-Type: {kind}\r\n{more}\r\n{body}"


def nested(depth):
    begun = (f"--b{at}\r\nContent-Type: multipart/mixed; boundary=b{at + 1}\r\n\r\n" for at in range(depth))
    return typed("multipart/mixed; boundary=b0", "".join(begun))


@pytest.mark.parametrize(
    "mail",
    [
        nested(2000),
        HEAD + "Content-Type: message/rfc822\r\n\r\n" * 2000,
        nested(90) + "-\n" * 500_000,
        typed("multipart/mixed; boundary=b", "--b\r\n\r\n" * 700_000),
        HEAD + "a:b\r\n" * 400_000 + "\r\nhi",
    ],
    ids=["multiparts", "mails", "lines", "parts", "headers"],
)
def test_what_takes_too_long_to_read_is_for_a_person(mail):
    event = read(mail)
    assert (event.kind, event.direction, event.may_reply) == ("unsupported", "in", False)
    assert (event.customer_id, event.text) == ("ann@client.example", None)


def test_what_the_library_cannot_read_is_for_a_person(monkeypatch):
    def broken(_message, _name):
        raise RecursionError

    monkeypatch.setattr("app.channels.mail.message_ids", broken)
    event = read(f"{HEAD}\r\nhi")
    assert (event.kind, event.may_reply, event.customer_id) == ("unsupported", False, "ann@client.example")
    assert event.dedup_id == event.conversation_id
    assert event.dedup_id != read(f"{HEAD}\r\nho").dedup_id


@pytest.mark.parametrize("kind", ["idna", "undefined", "punycode", '"a\x00b"', "hex", "unicode_escape", "a" * 9999])
@pytest.mark.parametrize("form", ["charset={}", "charset*={}''%ff", "charset*0*={}"])
def test_a_charset_that_is_none(form, kind):
    assert read(typed(f"text/plain; {form.format(kind)}")).text == "hi ÿ"


@pytest.mark.parametrize(
    "parameter",
    ["filename*=idna''%ff%ff", "filename*=\x00''x", "filename*" + "9" * 5000 + "*=x", "filename*=undefined''%ff"],
    ids=lambda one: one[:20],
)
def test_a_file_name_that_cannot_be_read(parameter):
    event = read(typed("text/plain", more=f"Content-Disposition: attachment; {parameter}\r\n"))
    assert (event.kind, len(event.attachments)) == ("media", 1)


@pytest.mark.parametrize("form", ["boundary*=idna''%ff", "boundary*=\x00''x", 'boundary="\udcff\udcfe"'])
def test_a_boundary_that_is_none(form):
    assert read(typed(f"multipart/mixed; {form}")).direction == "in"


@pytest.mark.parametrize("name", ["From", "To", "Reply-To", "Cc"])
@pytest.mark.parametrize("value", ["(" * 5000, "a:" * 5000, "<" * 5000, '"' * 4999])
def test_an_address_that_is_none(name, value):
    event = read(f"{name}: {value}\r\n{HEAD}\r\nhi")
    assert event.dedup_id == "a1@client.example"


def test_an_answer_names_long_ids_as_they_are():
    # Outlook's and others' are longer than a line; encoded words would break the thread.
    ids = [f"{'a' * 120}{number}@{'b' * 60}.example" for number in range(3)]
    address = {"to": "ann@client.example", "references": " ".join(f"<{one}>" for one in [*ids[:2], "ї@x.example"])}
    to = Recipient(conversation_id=ids[0], message_id=ids[2], address=address)
    raw = compose_reply(Outgoing(to=to, text="30 EUR", delivery_id=MARK), "hello@salon.example", 0).as_bytes()
    again = read_mail(raw, "email", "ann@client.example", ())
    assert again.parents == tuple(ids)
    assert b"=?" not in raw
    assert max(map(len, raw.split(b"\r\n"))) < 998


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("john..doe@docomo.example", '"john..doe"@docomo.example'),
        ("john.@docomo.example", '"john."@docomo.example'),
        ('"a b"@client.example', '"a b"@client.example'),
        ("ann@client.example.", "ann@client.example"),
        ("ann+x=1@client.example", "ann+x=1@client.example"),
    ],
)
def test_an_odd_address_is_answered(told, written):
    event = read(f"From: {told}\r\nTo: hello@salon.example\r\nMessage-ID: <a@b>\r\n\r\nhi")
    to = Recipient(conversation_id="a@b", address=event.address)
    outgoing = Outgoing(to=to, text="30 EUR", delivery_id=MARK)
    assert recipient(outgoing) == written
    assert f"\r\nTo: {written}\r\n".encode() in compose_reply(outgoing, "hello@salon.example", 0).as_bytes()


BACK = "From: MAILER-DAEMON@mx.example\r\nTo: hello@salon.example\r\nMessage-ID: <d1@mx.example>\r\n"


def test_a_report_in_words():
    qmail = read(
        f"{BACK}\r\nHi. This is the qmail-send program.\r\n<ann@client.example>:\r\n550 no such user\r\n\r\n"
        f"--- Below this line is a copy of the message.\r\n\r\nMessage-ID: <jobx.{MARK}@salon.example>\r\n"
    )
    assert (qmail.kind, qmail.delivery_id, qmail.permanent, qmail.customer_id) == ("bounce", MARK, True, None)
    exim = read(
        f"X-Failed-Recipients: ann@client.example\r\nReferences: <jobx.{MARK}@salon.example>\r\n{BACK}\r\nSorry"
    )
    assert (exim.kind, exim.delivery_id, exim.failed_recipient) == ("bounce", MARK, "ann@client.example")
    warning = read(f"{BACK}\r\n451 4.4.1 not yet: <jobx.{MARK}@salon.example>")
    assert (warning.kind, warning.permanent, warning.error_code) == ("bounce", False, "451")
    assert read(f"{BACK}\r\nYour mailbox is full").kind == "auto"
    # A person who quotes our mail is no mail server.
    assert read(f"{HEAD}\r\nWhat is <jobx.{MARK}@salon.example>?").kind == "text"


def test_a_report_within_another_part():
    inner = (
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        "Final-Recipient: rfc822; ann@client.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    footer = "--o\r\nContent-Type: text/plain\r\n\r\nScanned.\r\n--o--\r\n"
    report = f"--o\r\nContent-Type: multipart/report; boundary=b\r\n\r\n{inner}\r\n{footer}"
    event = read(f"{BACK}Content-Type: multipart/mixed; boundary=o\r\n\r\n{report}")
    assert (event.kind, event.permanent, event.failed_recipient) == ("bounce", True, "ann@client.example")


@pytest.mark.parametrize(
    "mail",
    [
        *(
            typed(f"text/{kind}", piece * (1_000_000 // len(piece)))
            for piece, kind in (
                ("<!---->x", "html"),
                ("<b hidden></b>x", "html"),
                ("<div class=gmail_quote>forwarded message</div>", "html"),
                ("<div id=appendonsend></div>x", "html"),
                ("x wrote:\n", "plain"),
                ("_" * 395 + ":\n", "plain"),
                ("_" * 130 + "1:11" * 40 + "<a@a@" * 20 + ":\n", "plain"),
                ("- " * 190 + "\n", "plain"),
            )
        ),
        f"{HEAD}References: {'a' * 19_000}\r\n" * 12 + "\r\nhi",
        "Content-Type: text/plain" + ';a="' * 50_000 + f"\r\n{HEAD}\r\nhi",
        f"Content-Disposition: attachment{''.join(f'; filename*{n}=a' for n in range(9_000))}\r\n{HEAD}\r\nhi",
    ],
    ids=lambda mail: mail[160:190],
)
def test_time_grows_with_the_size_only(mail):
    # What takes the square of the size would not end here.
    assert read(mail).customer_id == "ann@client.example"
