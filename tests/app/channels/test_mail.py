"""Mails as events: whatever charset, language and mail program they come from, and whatever a robot sends."""

import base64
import itertools
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.base import InboundEvent, Outgoing, Recipient
from app.channels.mail import dump_event, load_event, read_mail
from app.channels.mail_compose import compose_reply

OWN = ("hello@salon.example", "noreply@salon.example")
MARK = "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d"
PLAIN = {
    "From": "Iryna K. <Iryna@Client.example>",
    "To": "hello@salon.example",
    "Subject": "Price?",
    "Date": "Wed, 18 Nov 2026 11:12:00 +0200",
    "Message-ID": "<a1@client.example>",
    "Content-Type": "text/plain; charset=utf-8",
}


def raw(body="How much is it?", headers=(), *, without=(), charset="utf-8"):
    told = {**{name: value for name, value in PLAIN.items() if name not in without}, **dict(headers)}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return head.encode() + b"\r\n" + (body if isinstance(body, bytes) else body.encode(charset))


def read(body="How much is it?", headers=(), *, sent=False, **more):
    event = read_mail(raw(body, headers, **more), "email", "hello@salon.example", OWN, sent=sent)
    assert load_event(dump_event(event)) == [event]
    return event


def test_a_first_mail():
    event = read()
    assert (event.kind, event.direction, event.may_reply) == ("text", "in", True)
    assert (event.customer_id, event.sender_name) == ("iryna@client.example", "Iryna K.")
    assert event.conversation_id == event.dedup_id == "a1@client.example"
    assert (event.timestamp_ms, event.subject) == (1794993120000, "Price?")
    assert event.address == {"to": "iryna@client.example", "subject": "Price?"}


@pytest.mark.parametrize("charset", ["windows-1251", "koi8-r", "koi8-u", "utf-8", "utf-16", "iso-8859-5", "x-cp1251"])
def test_a_charset(charset):
    codec = "windows-1251" if charset == "x-cp1251" else charset
    text = "Скільки коштує стрижка?" if "koi8-r" not in charset else "Сколько стоит стрижка?"
    if codec == "iso-8859-5":
        text = "Сколько стоит стрижка?"
    encoded = {"Content-Type": f"text/plain; charset={charset}", "Content-Transfer-Encoding": "base64"}
    assert read(base64.encodebytes(text.encode(codec)), encoded).text == text


@pytest.mark.parametrize(
    ("charset", "body"),
    [("", "Grüße".encode()), ("no-such-charset", "Grüße".encode()), ("us-ascii", b"Gr\xfc\xdfe"), ("punycode", b"Gr-")],
)
def test_a_charset_that_is_missing_or_wrong(charset, body):
    event = read(body, {"Content-Type": f"text/plain; charset={charset}" if charset else "text/plain"})
    assert event.text.startswith("Gr")
    assert event.text in ("Grüße", "Gr-")


def test_encoded_headers():
    event = read(
        headers={
            "From": "=?koi8-r?B?6dLJzsE=?= <iryna@client.example>",
            "Subject": "=?utf-8?Q?Zwei_Fragen:_Gr=C3=B6?=\r\n =?utf-8?Q?=C3=9Fe?=",
        }
    )
    assert (event.sender_name, event.subject) == ("Ирина", "Zwei Fragen: Größe")


HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Скільки <b>коштує</b>&nbsp;стрижка?</p>", "Скільки коштує стрижка?"),
        ("<div>One</div><div>Two<br>Three</div>", "One\nTwo\nThree"),
        ("<style>p {}</style><script>x()</script><!-- no --><p>Seen</p><p style='display:none'>Hidden</p>", "Seen"),
        (
            "<p>Yes</p><div class='gmail_quote'><div>On…</div><blockquote>30</blockquote></div>",
            "Yes",
        ),
        ("<div><p>Yes</p><div id='appendonsend'></div><hr><div id='divRplyFwdMsg'>From</div></div><p>Old</p>", "Yes"),
        ("<p>Yes</p><blockquote type='CITE'><p>30 EUR</p></blockquote>", "Yes"),
        ("<p>Yes</p><div class='gmail_signature'>Iryna, CEO</div>", "Yes"),
        ("<div class='gmail_quote'>Nothing but a quote</div>", "Nothing but a quote"),
        ("<p>See:</p><div class='gmail_quote'>---------- Forwarded message ---<br>Invoice 7</div>", None),
    ],
)
def test_html_alone(html, text):
    event = read(html, {"Content-Type": HTML})
    assert event.text == text if text is not None else "Invoice 7" in event.text


def test_alternatives_and_attachments():
    mail = EmailMessage()
    for name, value in PLAIN.items():
        if name != "Content-Type":
            mail[name] = value
    mail.set_content("The plain one")
    mail.add_alternative("<p>The other one</p>", subtype="html")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Größe.pdf")
    mail.add_attachment("not the text", filename="notes.txt")
    inner = EmailMessage()
    inner["Subject"] = "A mail within"
    inner.set_content("not the text, either")
    mail.add_attachment(inner)
    event = read_mail(mail.as_bytes(), "email", "hello@salon.example", OWN)
    assert (event.text, event.kind) == ("The plain one", "text")
    assert event.attachments == ("Größe.pdf", "notes.txt", "")
    only = EmailMessage()
    for name, value in PLAIN.items():
        if name != "Content-Type":
            only[name] = value
    only.add_attachment(b"\xff\xd8", maintype="image", subtype="jpeg", filename="photo.jpg")
    event = read_mail(only.as_bytes(), "email", "hello@salon.example", OWN)
    assert (event.kind, event.text, event.attachments, event.may_reply) == ("media", None, ("photo.jpg",), True)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Auto-Submitted": "auto-replied"}, "auto_submitted"),
        ({"auto-submitted": " Auto-Generated; reason=x"}, "auto_submitted"),
        ({"Return-Path": "<>"}, "return_path"),
        ({"Content-Type": "multipart/report; report-type=disposition-notification; boundary=x"}, "report"),
        ({"From": "MAILER-DAEMON@mx.example"}, "mailer_daemon"),
        ({"From": "Postmaster <postmaster@client.example>"}, "mailer_daemon"),
        ({"List-Id": "<news.client.example>"}, "list_id"),
        ({"List-Unsubscribe": "<https://client.example/u>"}, "list_unsubscribe"),
        ({"List-Post": "<mailto:x@client.example>"}, "list_post"),
        *(({"Precedence": word}, "precedence") for word in ("bulk", "List", "junk", "auto_reply")),
        *(
            ({"X-Auto-Response-Suppress": word}, "x_auto_response_suppress")
            for word in ("All", "AutoReply, OOF", "DR", "RN, NRN")
        ),
        ({"X-Autoreply": "yes"}, "x_autoreply"),
        ({"X-Autorespond": "1"}, "x_autorespond"),
        ({"X-Auto-Reply": "true"}, "x_auto_reply"),
        *(
            ({"From": f"{local}@client.example"}, "noreply_sender")
            for local in (
                "no-reply",
                "NoReply",
                "donotreply",
                "do-not-reply",
                "notifications",
                "bounce+17=x",
                "bounces",
            )
        ),
        ({"To": "someone@else.example"}, "not_in_to_cc"),
        ({"To": "undisclosed-recipients:;"}, "not_in_to_cc"),
        ({"Authentication-Results": "mx.example; spf=pass; dmarc=fail (p=none)"}, "dmarc_fail"),
        ({"X-Spam-Flag": "YES"}, "spam"),
        ({"Subject": "=?utf-8?Q?R=C3=A9ponse_automatique?=: Price"}, "auto_reply_subject"),
        ({"From": "security-notifications@client.example"}, "noreply_sender"),
    ],
    ids=str,
)
def test_robots_are_never_answered(headers, reason):
    event = read(headers=headers)
    assert (event.kind, event.reason, event.may_reply) == ("auto", reason, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "No"},
        {"Precedence": "normal"},
        {"X-Auto-Response-Suppress": "None"},
        {"To": "someone@else.example", "Cc": "Hello <HELLO@salon.example>"},
        {"To": "noreply@salon.example"},
        {"To": "Hello+Shop@salon.example"},
        {"Authentication-Results": "mx.example; dmarc=pass"},
        {"Return-Path": "<iryna@client.example>"},
        {"From": "norepublic@client.example"},
        {"From": "noreply@builder.example", "Reply-To": "maria@client.example"},
        {"From": "hello@salon.example", "Reply-To": "maria@client.example"},
    ],
    ids=str,
)
def test_people_are_answered(headers):
    event = read(headers=headers)
    assert (event.kind, event.reason, event.may_reply) == ("text", None, True)


def test_threads():
    deep = read(headers={"In-Reply-To": "<b2@salon.example>", "References": "<a1@x> <b2@salon.example>"})
    assert (deep.conversation_id, deep.parents) == ("a1@x", ("a1@x", "b2@salon.example"))
    short = read(headers={"In-Reply-To": "<b2@salon.example>"})
    assert (short.conversation_id, short.reply_to_id) == ("b2@salon.example", "b2@salon.example")
    assert short.address["references"] == "<b2@salon.example>"
    nameless = read(without=("Message-ID",))
    assert nameless.dedup_id.startswith("sha256.")
    assert nameless.dedup_id == read(without=("Message-ID",)).dedup_id != read("else", without=("Message-ID",)).dedup_id
    folded = read(headers={"References": "".join(f"<{n}@x>\r\n " for n in range(200)) + "<last@x>"})
    assert (folded.parents[0], folded.parents[-1], len(folded.parents)) == ("0@x", "last@x", 50)


def test_what_the_business_writes_is_an_echo():
    written = {"From": "hello@salon.example", "To": "iryna@client.example", "Message-ID": "<p@salon.example>"}
    person = read(headers=written, sent=True)
    assert (person.kind, person.echo_origin, person.customer_id) == ("echo", "human", "iryna@client.example")
    ours = read(headers={"From": "forwarder@x.example", "Message-ID": f"<jobx.{MARK}@salon.example>"})
    assert (ours.kind, ours.echo_origin, ours.delivery_id) == ("echo", "api", MARK)
    robot = read(headers={"From": "noreply@salon.example", "Auto-Submitted": "auto-generated"}, sent=True)
    assert (robot.kind, robot.echo_origin) == ("echo", "automation")
    # Mail programs of customers name their mails alike, perhaps at the same big provider.
    foreign = read(headers={"Message-ID": f"<{MARK}@salon.example>"})
    assert foreign.kind == "text"
    shared = {"Reply-To": "office@salon.example", "From": "hello@salon.example", "To": "iryna@client.example"}
    kept = read(headers=shared, sent=True)
    assert (kept.kind, kept.echo_origin, kept.customer_id) == ("echo", "human", "iryna@client.example")


@pytest.mark.parametrize("sender", ["hello@salon.example", "Salon <HELLO+desk@salon.example>", "noreply@salon.example"])
def test_our_address_in_a_mail_from_outside_is_no_word_of_ours(sender):
    # Anybody can write it there: it takes over nobody's conversation.
    event = read(headers={"From": sender, "To": "hello@salon.example, ann@client.example", "References": "<r@x>"})
    assert (event.kind, event.echo_origin, event.customer_id, event.may_reply) == ("echo", "automation", None, False)


def report(action="failed", status="5.1.1", returned="message/rfc822", extra=""):
    back = {
        "message/rfc822": f"Content-Type: message/rfc822\n\nMessage-ID: <jobx.{MARK}@salon.example>\n\nHi\n",
        "text/rfc822-headers": f"Content-Type: text/rfc822-headers\n\nMessage-ID: <jobx.{MARK}@salon.example>\n",
        None: "Content-Type: text/plain\n\nnothing\n",
    }[returned]
    return (
        "--b\nContent-Type: text/plain\n\nSorry.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        f"Final-Recipient: rfc822; Iryna@Client.example\nAction: {action}\nStatus: {status}\n{extra}\n"
        f"--b\n{back}\n--b--\n"
    )


DSN = {
    "From": "MAILER-DAEMON@mx.example",
    "Return-Path": "<>",
    "Content-Type": "multipart/report; report-type=delivery-status; boundary=b",
}


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers", None])
def test_a_delivery_report(returned):
    about = {} if returned else {"References": f"<a1@client.example> <jobx.{MARK}@salon.example>"}
    event = read(report(returned=returned), DSN | about)
    assert (event.kind, event.direction, event.may_reply) == ("bounce", "system", False)
    assert (event.failed_recipient, event.permanent, event.error_code) == ("iryna@client.example", True, "5.1.1")
    assert event.failed_message_id == f"jobx.{MARK}@salon.example"
    assert event.delivery_id == MARK


def test_reports_that_are_no_end():
    delayed = read(report("delayed", "4.4.1"), DSN)
    assert (delayed.kind, delayed.permanent, delayed.reason) == ("bounce", False, "delayed")
    given_up = read(report("failed", "4.4.7"), DSN)
    assert (given_up.permanent, given_up.reason) == (False, "failed")
    arrived = read(report("delivered", "2.0.0"), DSN)
    assert (arrived.kind, arrived.target_id, arrived.delivery_id) == ("delivery", f"jobx.{MARK}@salon.example", MARK)


def test_only_a_subject_says_it_there():
    assert read("", {"Subject": "Do you open on Sunday?"}).text == "Do you open on Sunday?"


_pieces = st.sampled_from(
    (
        *(*PLAIN, "References", "In-Reply-To", "Reply-To", "Content-Transfer-Encoding", "base64", "quoted-printable"),
        *("multipart/mixed; boundary=b", "--b", "<", ">", "@", '"', "(", "=?utf-8?b?", "?=", ":", "\r\n", "\n "),
        *("\x00", ";", ","),
    )
)


@given(st.lists(_pieces | st.text(max_size=8), max_size=60), st.binary(max_size=200))
def test_no_mail_is_too_odd(pieces, tail):
    event = read_mail("".join(pieces).encode(errors="surrogatepass") + tail, "email", "hello@salon.example", OWN)
    assert event.dedup_id
    assert load_event(dump_event(event)) == [event]


@given(st.binary(max_size=300))
def test_what_is_no_event_is_none(body):
    assert load_event(body) == []


def outgoing(subject="Price?", references="", message_id="a1@client.example", **more):
    address = {"to": "iryna@client.example", "subject": subject, "references": references}
    to = Recipient(conversation_id="a1", message_id=message_id, address=address)
    return Outgoing(to=to, text="30 EUR. Größe?", delivery_id=MARK, **more)


def test_an_answer_stays_in_its_thread():
    mail = compose_reply(outgoing(references="<r@x> <q@x>"), "hello@salon.example", 1794993120)
    assert mail["From"] == "hello@salon.example"
    assert mail["To"] == "iryna@client.example"
    assert mail["Subject"] == "Re: Price?"
    assert mail["Message-ID"] == f"<jobx.{MARK}@salon.example>"
    assert mail["In-Reply-To"] == "<a1@client.example>"
    assert mail["References"] == "<r@x> <q@x> <a1@client.example>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["Date"] == "Wed, 18 Nov 2026 09:12:00 +0000"
    assert mail.get_content() == "30 EUR. Größe?\n"
    assert compose_reply(outgoing(by_person=True), "hello@salon.example", 0)["Auto-Submitted"] is None
    nameless = compose_reply(outgoing(message_id="sha256.ab"), "hello@salon.example", 0)
    assert (nameless["In-Reply-To"], nameless["References"]) == (None, None)


@pytest.mark.parametrize("subject", ["Re: Price?", "RE: re:  Price?", "AW: Re: Price?", "Re[2]: Price?", "Price?"])
def test_re_stands_once(subject):
    assert compose_reply(outgoing(subject), "hello@salon.example", 0)["Subject"] == "Re: Price?"


def test_no_header_can_be_added():
    evil = "x\r\nBcc: all@client.example\r\n\r\nbody"
    mail = compose_reply(outgoing(evil, f"<r@x>{evil}", f"a1@client.example>{evil}"), "hello@salon.example", 0)
    again = read_mail(mail.as_bytes(), "email", "x@y.example", ())
    lines = mail.as_bytes().split(b"\r\n\r\n")[0].splitlines()
    assert not [line for line in lines if line.lower().startswith((b"bcc", b"body"))]
    assert max(map(len, lines)) < 998
    assert again.subject == "Re: x Bcc: all@client.example body"
    for to in (
        "",
        "iryna",
        "a@b\r\nBcc: c@d",
        "a@b\n@c.example",
        "a@b, c d",
        "<a@b>",
        "ірина@client.example",
        "a@[10.0.0.1]",
    ):
        message = Outgoing(to=Recipient(conversation_id="a", address={"to": to}), text="x", delivery_id=MARK)
        with pytest.raises(ValueError, match="address"):
            compose_reply(message, "hello@salon.example", 0)
    idn = Outgoing(to=Recipient(conversation_id="a", address={"to": "a@größe.example"}), text="x", delivery_id=MARK)
    assert compose_reply(idn, "hello@salon.example", 0)["To"] == "a@xn--gre-6ka8i.example"


def test_two_in_one_thread_have_conversations_of_their_own():
    events = [read(headers={"From": f"{name}@client.example", "References": "<r@x>"}) for name in ("ann", "ben")]
    assert len({event.conversation_id for event in events}) == 1
    assert len({event.thread for event in events}) == len(events)
    chat = InboundEvent(channel="x", kind="text", direction="in", account_id="a", dedup_id="1", conversation_id="c")
    assert chat.thread == "c"


def test_a_hostile_mail_costs_no_more_than_its_size():
    for piece, kind in itertools.product(("On a ", "From: a\n", "> ", "<div>", "a:\n", "&lt;", "_"), ("plain", "html")):
        body = piece * (400_000 // len(piece))
        assert read(body, {"Content-Type": f"text/{kind}"}).kind in ("text", "auto")
