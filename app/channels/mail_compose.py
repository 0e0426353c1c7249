"""An answer as a mail (RFC 5322 threads, RFC 3834 marks)."""

import re
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, quote, unquote

import idna

from app.channels.base import Outgoing
from app.channels.mail import is_unnamed, own_message_id

_BREAKS = re.compile(r"[\r\n\x00-\x1f\x7f]+")
_RE = re.compile(r"^(?:\s*(?:re|aw|antw|sv|vs|odp|rif|ref|res|ynt|re\[\d+\]|відп|отв)\s*:)+\s*", re.IGNORECASE)
_LOCAL, _QUOTED = re.compile(r"[^\s<>,;:\"\\@()]{1,64}"), re.compile(r"[\x20-\x7e]{1,64}")
_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.IGNORECASE)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
_MOST_SUBJECT = 900


class _Ids(UnstructuredHeader, BaseHeader):
    """Message ids, one on a line: the library would write long ones as encoded words, which no mail program reads."""

    def fold(self, *, policy: Policy) -> str:
        ids = f"{policy.linesep} ".join(str(self).split())
        return f"{self.name}: {ids}{policy.linesep}"


_HEADERS = HeaderRegistry()
for _name in ("message-id", "in-reply-to", "references"):
    _HEADERS.map_to_type(_name, _Ids)
_POLICY = SMTP.clone(header_factory=_HEADERS)


def compose_reply(message: Outgoing, sender: str, now: float, name: str | None = None) -> EmailMessage:
    """The whole answer: its Message-ID holds our id of the delivery, which is stored before it is sent.

    `now` is Unix seconds. An automatic answer says so; a person's does not. Raises ValueError without an address to
    answer to. No header value can begin another line.
    """
    try:
        return _compose(message, sender, now, name)
    except MessageError:
        raise ValueError("there is no address to answer to") from None


def recipient(message: Outgoing) -> str:
    """The address that is answered, as SMTP takes it: its domain in ASCII (IDNA), a local part that is no plain word in
    quotes (RFC 5321, 4.1.2). Raises ValueError if there is none.
    """
    local, _, domain = message.to.address.get("to", "").rpartition("@")
    form = _LOCAL
    if local.startswith('"') and local.endswith('"'):
        local, form = unquote(local), _QUOTED
    try:
        domain = idna.encode(domain.removesuffix("."), uts46=True).decode()
    except idna.IDNAError:
        domain = ""
    if not local.isascii() or not form.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError("there is no address to answer to")
    return f"{local}@{domain}" if _DOT_ATOM.fullmatch(local) else f'"{quote(local)}"@{domain}'


def _compose(message: Outgoing, sender: str, now: float, name: str | None) -> EmailMessage:
    mail = EmailMessage(_POLICY)
    mail["From"] = _mailbox(sender, name)
    mail["To"] = recipient(message)
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


def _mailbox(address: str, name: str | None) -> Address:
    return Address(display_name=_one_line(name or ""), addr_spec=_one_line(address))


def _subject(subject: str) -> str:
    rest = _RE.sub("", _one_line(subject))[:_MOST_SUBJECT]
    return f"Re: {rest}".strip()


def _one_line(value: str) -> str:
    return _BREAKS.sub(" ", value).strip()
