"""An answer as a mail (RFC 5322 threads, RFC 3834 marks)."""

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import idna

from app.channels.base import Outgoing
from app.channels.mail import is_unnamed, own_message_id

_BREAKS = re.compile(r"[\r\n\x00-\x1f\x7f]+")
_RE = re.compile(r"^(?:\s*(?:re|aw|antw|sv|vs|odp|rif|ref|res|ynt|re\[\d+\]|відп|отв)\s*:)+\s*", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>,;:\"\\]+@[^\s<>,;:\"@\\]+")
_ID = re.compile(r"<[^<>\s]{1,900}>")
_MOST_SUBJECT = 900


def compose_reply(message: Outgoing, sender: str, now: float, name: str | None = None) -> EmailMessage:
    """The whole answer: its Message-ID holds our id of the delivery, which is stored before it is sent.

    `now` is Unix seconds. An automatic answer says so; a person's does not. Raises ValueError without an address to
    answer to. No header value can begin another line.
    """
    to = _recipient(message.to.address.get("to", ""))
    mail = EmailMessage()
    mail["From"] = _mailbox(sender, name)
    mail["To"] = _mailbox(to, None)
    mail["Subject"] = _subject(message.to.address.get("subject", ""))
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    mail["Message-ID"] = f"<{own_message_id(_one_line(message.delivery_id), sender)}>"
    parent = message.to.message_id or ""
    chain = _ID.findall(_one_line(message.to.address.get("references", "")))
    if parent and not is_unnamed(parent):
        answered = f"<{_one_line(parent)}>"
        if _ID.fullmatch(answered):
            mail["In-Reply-To"] = answered
            chain = [*(one for one in chain if one != answered), answered]
    if chain:
        mail["References"] = " ".join(chain)
    if not message.by_person:
        mail["Auto-Submitted"] = "auto-replied"
    mail.set_content(message.text, cte="quoted-printable")
    if message.image is not None:
        kind, _, subtype = message.image.mime.partition("/")
        mail.add_attachment(
            message.image.data, maintype=kind, subtype=subtype or "octet-stream", filename=_one_line(message.image.name)
        )
    return mail


def _recipient(address: str) -> str:
    """An address as SMTP takes it, its domain in ASCII (IDNA)."""
    local, _, domain = address.rpartition("@")
    try:
        plain = f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        plain = ""
    if not _ADDRESS.fullmatch(plain) or not plain.isascii():
        raise ValueError("there is no address to answer to")
    return plain


def _mailbox(address: str, name: str | None) -> Address:
    return Address(display_name=_one_line(name or ""), addr_spec=_one_line(address))


def _subject(subject: str) -> str:
    rest = _RE.sub("", _one_line(subject))[:_MOST_SUBJECT]
    return f"Re: {rest}".strip()


def _one_line(value: str) -> str:
    return _BREAKS.sub(" ", value).strip()
