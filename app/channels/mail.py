"""A mail as an event: who writes in which thread, what they say, and whether a machine may answer.

Sources: RFC 5322 (threads), RFC 3834 (automatic answers), RFC 3464 (delivery reports); shared reference, section 8.
Only the event is ever stored (`dump_event`), never the mail: it stays in its mailbox.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection
from email.message import Message
from email.parser import BytesParser
from typing import Any
from uuid import UUID

from app.channels.base import EchoOrigin, InboundEvent, Kind, Media
from app.channels.mail_headers import Mail, addresses, decoded, message_ids, raw_value, sent_ms
from app.channels.mail_rules import is_own, is_postmaster, rule_against_answer
from app.channels.mail_text import attachment_names, body_text, plain_text
from app.text import clean
from ingestion.mail_parts import leaves

# A mail that says it is larger is not fetched but for its headers.
MAX_MAIL_BYTES = 25 * 1024 * 1024
# More than these no mail program writes; what the library does with them takes many times their size.
_MOST_HEAD_BYTES = 256 * 1024
_MOST_LINES = 600_000
_MOST_CONTAINERS = 40
_CONTAINER = re.compile(rb"(?:^|[\r\n])content-type:[\s\x1c-\x1f]*(?:multipart|message)/", re.IGNORECASE)
_HEAD_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_SOMEBODY = re.compile(rb"^(?:reply-to|from):.{0,500}?([\w.+-]{1,64}@[\w.-]{1,255})", re.IGNORECASE | re.MULTILINE)
_MOST_PARENTS = 50
_MOST_REFERENCES = 20
_UNNAMED = "sha256."
_OURS = "jobx."
_MARKED = re.compile(r"<(jobx\.[0-9a-f-]{36}@[^<>\s]{1,255})>")
_STATUS = re.compile(r"\b([45]\.\d{1,3}\.\d{1,3}|[45][0-5]\d(?=[ -]))")
_FINAL_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")


def read_mail(
    raw: bytes,
    channel: str,
    account_id: str,
    own_addresses: Collection[str],
    *,
    sent: bool = False,
    whole: bool = True,
) -> InboundEvent:
    """The event that a mail is; never raises. `own_addresses` are all of the tenant's, in lower case.

    `sent`: it lies among those that the account sent, whoever it says that it is from. A mail that is not `whole` is
    its headers only: what was written is for a person to read. So is one that is made to be hard to read.

    Ids are Message-IDs without brackets; one that is missing is made of the mail's SHA-256. The conversation is the
    thread's root.
    """
    readable = whole and not _is_excessive(raw)
    try:
        return _read(raw if readable else _head(raw), channel, account_id, own_addresses, sent=sent, whole=readable)
    except Exception:  # one mail must not keep a mailbox from the next, whatever the library makes of it
        return _unreadable(raw, channel, account_id)


def _read(
    raw: bytes, channel: str, account_id: str, own_addresses: Collection[str], *, sent: bool, whole: bool
) -> InboundEvent:
    message = BytesParser(Mail).parsebytes(raw)
    own = {address.lower() for address in (*own_addresses, account_id)}
    ids = message_ids(message, "Message-ID")
    message_id = ids[0] if ids else f"{_UNNAMED}{hashlib.sha256(raw).hexdigest()}"
    parents = _parents(message)
    sender_name, sender = _sender(message, own)
    common: dict[str, Any] = {
        "channel": channel,
        "account_id": account_id,
        "dedup_id": message_id,
        "message_id": message_id,
        "conversation_id": parents[0] if parents else message_id,
        "timestamp_ms": sent_ms(message),
        "parents": tuple(parents),
        "subject": decoded(raw_value(message, "Subject")),
        "per_customer": True,
    }
    if sent or _own_mark(message_id) is not None:
        return _echo(message, common, sender, own, sent=sent)
    report = _report(message)
    if report is not None:
        return _delivery_report(message, report, common, sender, own)
    returned = _bounce_in_words(message, common, sender) if is_postmaster(sender) else None
    if returned is not None:
        return returned
    if is_own(sender, own):
        return _echo(message, common, sender, own, sent=False)
    event = _received(message, common, sender_name, sender, own)
    unread = event.reason is None and not whole
    return dataclasses.replace(event, kind="unsupported", text=None, may_reply=False) if unread else event


def dump_event(event: InboundEvent) -> bytes:
    """What is stored of a mail until it is handled."""
    fields = {field.name: field for field in dataclasses.fields(InboundEvent)}
    values = dataclasses.asdict(event)
    told = {name: value for name, value in values.items() if value != fields[name].default and value not in ({}, ())}
    return json.dumps({_MARK: told}, ensure_ascii=False).encode()


def load_event(body: bytes) -> list[InboundEvent]:
    """The event of `dump_event`, or [] for any other bytes; never raises."""
    try:
        told = json.loads(body)[_MARK]
        told["media"] = tuple(Media(**each) for each in told.get("media", ()))
        for name in _TUPLES:
            told[name] = tuple(told.get(name, ()))
        return [InboundEvent(**told)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def references_of(message: Message) -> str:
    """What an answer's References begin with (RFC 5322, 3.6.4): the mail's own, or else its single In-Reply-To."""
    chain = message_ids(message, "References")
    if not chain:
        replied = message_ids(message, "In-Reply-To")
        chain = replied if len(replied) == 1 else []
    if len(chain) > _MOST_REFERENCES:
        # The root finds the thread, the last ones its place in it.
        chain = [chain[0], *chain[1 - _MOST_REFERENCES :]]
    return " ".join(f"<{one}>" for one in chain)


def own_message_id(delivery_id: str, sender: str) -> str:
    """The Message-ID of an answer, without its brackets."""
    return f"{_OURS}{delivery_id}@{sender.rpartition('@')[2]}"


def is_unnamed(message_id: str) -> bool:
    """Whether a mail came without a Message-ID, so that no answer can name it."""
    return message_id.startswith(_UNNAMED)


_MARK = "mail"
_TUPLES = ("target_ids", "attachments", "aliases", "parents")


def _received(
    message: Message, common: dict[str, Any], sender_name: str, sender: str, own: Collection[str]
) -> InboundEvent:
    text, attachments = body_text(message), attachment_names(message)
    rule = rule_against_answer(message, sender, own)
    kind: Kind = "auto" if rule else "text" if text or not attachments else "media"
    address = {"to": sender, "subject": common["subject"], "references": references_of(message)}
    return InboundEvent(
        **common,
        kind=kind,
        direction="in",
        customer_id=sender or None,
        sender_id=sender or None,
        sender_name=sender_name or None,
        reply_address=sender or None,
        # Who writes nothing but a subject says it there.
        text=text or (None if attachments else common["subject"] or None),
        attachments=attachments,
        reason=rule,
        reply_to_id=next(iter(message_ids(message, "In-Reply-To")), None),
        address={name: value for name, value in address.items() if value},
        may_reply=rule is None and bool(text or common["subject"] or attachments),
    )


def _is_excessive(raw: bytes) -> bool:
    """Whether a mail has more of something than the library reads in good time."""
    return (
        _head_bytes(raw) > _MOST_HEAD_BYTES
        or raw.count(b"\n") + raw.count(b"\r") > 2 * _MOST_LINES
        or raw.count(b"\n") > _MOST_LINES
        or sum(1 for _ in _CONTAINER.finditer(raw)) > _MOST_CONTAINERS
    )


def _head_bytes(raw: bytes) -> int:
    found = _HEAD_ENDS.search(raw, 0, _MOST_HEAD_BYTES + 4)
    return min(len(raw), _MOST_HEAD_BYTES + 4) if found is None else found.end()


def _head(raw: bytes) -> bytes:
    """A mail's headers, the first of them if there are too many."""
    size = _head_bytes(raw)
    return raw[:size] if size <= _MOST_HEAD_BYTES else raw[: raw.rfind(b"\n", 0, _MOST_HEAD_BYTES) + 1] + b"\n"


def _unreadable(raw: bytes, channel: str, account_id: str) -> InboundEvent:
    """A mail that only a person can read, from whoever seems to have sent it."""
    message_id = f"{_UNNAMED}{hashlib.sha256(raw).hexdigest()}"
    found = _SOMEBODY.search(_head(raw))
    sender = found[1].decode(errors="replace").lower() if found else None
    return InboundEvent(
        channel=channel,
        account_id=account_id,
        kind="unsupported",
        direction="in",
        dedup_id=message_id,
        message_id=message_id,
        conversation_id=message_id,
        customer_id=sender,
        sender_id=sender,
        reply_address=sender,
        address={"to": sender} if sender else {},
        per_customer=True,
    )


def _echo(message: Message, common: dict[str, Any], sender: str, own: Collection[str], *, sent: bool) -> InboundEvent:
    """A mail of our own: what we sent, what a person of the business wrote, or what another robot of theirs did.

    Anybody can put our address into From. What came in from outside is no word of a person of ours, in nobody's thread.
    """
    mark = _own_mark(common["message_id"])
    robot = raw_value(message, "Auto-Submitted").strip().lower() not in ("", "no")
    origin: EchoOrigin = "api" if mark else "automation" if robot or not sent else "human"
    others = (one for _, one in addresses(message, "To", "Cc", "Bcc") if not is_own(one, own))
    customer = next(others, None) if sent or mark else None
    return InboundEvent(
        **common,
        kind="echo",
        direction="out",
        customer_id=customer,
        sender_id=sender or None,
        text=body_text(message) or None,
        attachments=attachment_names(message),
        echo_origin=origin,
        delivery_id=mark,
    )


def _delivery_report(
    message: Message, report: Message, common: dict[str, Any], sender: str, own: Collection[str]
) -> InboundEvent:
    """What a mail server says of a mail of ours (RFC 3464): the first recipient's fate, as we write to one only."""
    fields = _status_fields(report)
    action, status = fields.get("action", "").lower(), fields.get("status", "")
    recipient = fields.get("final-recipient") or fields.get("original-recipient", "")
    failed = _returned_id(message) or _ours_among(message, own)
    delivered = action in ("delivered", "relayed", "expanded")
    return InboundEvent(
        **common,
        kind="delivery" if delivered else "bounce",
        direction="system",
        sender_id=sender or None,
        target_id=failed if delivered else None,
        failed_message_id=None if delivered else failed,
        failed_recipient=recipient.rpartition(";")[2].strip().strip("<>").lower() or None,
        permanent=None if delivered else status.startswith("5") or (not status and action == "failed"),
        error_code=status or None,
        reason=action if action in _FINAL_ACTIONS else None,
        delivery_id=_own_mark(failed or ""),
    )


def _bounce_in_words(message: Message, common: dict[str, Any], sender: str) -> InboundEvent | None:
    """A mail server's report without a part for machines, as Exim and qmail write it; None if no mail is told of."""
    named = [address for _, address in addresses(message, "X-Failed-Recipients")]
    text = plain_text(message)
    parents = message_ids(message, "References") + message_ids(message, "In-Reply-To")
    ours = next((one for one in [*reversed(parents), *_MARKED.findall(text)] if _own_mark(one)), None)
    if not named and ours is None:
        return None
    status = next((found[1] for found in _STATUS.finditer(text)), None)
    return InboundEvent(
        **common,
        kind="bounce",
        direction="system",
        sender_id=sender,
        failed_message_id=ours or next(iter(reversed(parents)), None),
        failed_recipient=next(iter(named), None),
        permanent=bool(named) or (status or "").startswith("5"),
        error_code=status,
        delivery_id=_own_mark(ours or ""),
    )


def _parents(message: Message) -> list[str]:
    """Earlier messages of the thread, its root first."""
    found = dict.fromkeys(message_ids(message, "References") + message_ids(message, "In-Reply-To"))
    known = list(found)
    return known if len(known) <= _MOST_PARENTS else [known[0], *known[1 - _MOST_PARENTS :]]


def _sender(message: Message, own: Collection[str]) -> tuple[str, str]:
    """Who is to be answered, (name, address): Reply-To before From; ours only if nobody else is named."""
    named = addresses(message, "Reply-To") + addresses(message, "From")
    others = [one for one in named if not is_own(one[1], own)]
    from_us = bool(named) and is_own(named[-1][1], own)
    if from_us and not addresses(message, "Reply-To"):
        return named[-1]
    return next(iter(others or named), ("", ""))


def _ours_among(message: Message, own: Collection[str]) -> str | None:
    """Of the messages that a mail names as its parents, the one that was most likely ours."""
    parents = message_ids(message, "References") + message_ids(message, "In-Reply-To")
    domains = {address.rpartition("@")[2] for address in own}
    ours = [one for one in parents if _own_mark(one)]
    ours = ours or [one for one in parents if one.rpartition("@")[2].lower() in domains]
    return next(iter(reversed(ours or parents)), None)


def _own_mark(message_id: str) -> str | None:
    """Our id of the delivery, if a Message-ID is one that we gave to an answer (`own_message_id`)."""
    local = message_id.rpartition("@")[0]
    # Other mail programs put ids of that form there as well; only ours have the word in front.
    if not local.startswith(_OURS):
        return None
    try:
        return str(UUID(local.removeprefix(_OURS)))
    except ValueError:
        return None


def _report(message: Message) -> Message | None:
    """The part of a delivery report that machines read; servers on the way put a footer around some."""
    kinds = ("message/delivery-status", "message/global-delivery-status")
    return next((part for part in leaves(message) if part.get_content_type() in kinds), None)


def _status_fields(report: Message) -> dict[str, str]:
    """The fields of the first recipient's group in a delivery report, names in lower case."""
    payload = report.get_payload()
    groups = [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []
    if not groups and isinstance(payload, str):
        blocks = re.split(r"\r?\n\r?\n", payload)
        groups = [BytesParser(Mail).parsebytes(each.encode(errors="replace")) for each in blocks[:_MOST_PARENTS]]
    for group in groups:
        fields = {str(name).lower(): clean(str(value)).strip() for name, value in group.items()}
        if "action" in fields or "final-recipient" in fields:
            # A status may be followed by words.
            return {**fields, "status": fields.get("status", "").split(" ")[0][:20]}
    return {}


def _returned_id(message: Message) -> str | None:
    """The Message-ID of the mail that comes back, whole or its headers only."""
    for part in leaves(message):
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global"):
            inner = part.get_payload()
            first = inner[0] if isinstance(inner, list) and inner else None
            found = message_ids(first, "Message-ID") if isinstance(first, Message) else []
        elif kind in ("text/rfc822-headers", "message/global-headers"):
            payload = part.get_payload(decode=True)
            head = BytesParser(Mail).parsebytes(payload if isinstance(payload, bytes) else b"")
            found = message_ids(head, "Message-ID")
        else:
            continue
        if found:
            return found[0]
    return None
