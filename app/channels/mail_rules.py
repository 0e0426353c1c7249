"""Which mails are never answered by a machine (RFC 3834, and what robots send in practice; shared reference, 8)."""

import re
from collections.abc import Callable, Collection
from email.message import Message

from app.channels.mail_headers import addresses, decoded, parameters, raw_value, raw_values

_ROBOT = re.compile(
    r"(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|not?ifications?|bounces?|auto[-_.]?reply|autoresponder)(?:[-+_.=\d].*)?"
    r"|.*[-_.+](?:no[-_.]?reply|donotreply|notifications?|bounces?)|bounce.*",
)
_POSTMASTER = ("mailer-daemon", "postmaster")
# What Exchange writes before the subject of a note of absence, should its headers have been lost on the way.
_AUTO_SUBJECT = re.compile(
    r"\s*(?:automatic reply|automatische antwort|réponse automatique|respuesta automática|risposta automatica|"
    r"resposta automática|automatisch antwoord|odpowiedź automatyczna|automatická odpověď|automatiskt svar|"
    r"автоматический ответ|автоматична відповідь|otomatik yanıt)\s*:",
    re.IGNORECASE,
)
_DMARC_FAIL = re.compile(r"\bdmarc\s*=\s*fail\b", re.IGNORECASE)


def rule_against_answer(message: Message, sender: str, own_addresses: Collection[str]) -> str | None:
    """The name of the first rule that forbids an automatic answer to a mail, or None.

    `sender` is who would be answered, `own_addresses` in lower case.
    """
    return _by_headers(message) or _by_people(message, sender, own_addresses)


def is_postmaster(address: str) -> bool:
    """Whether a mail server speaks, not a person."""
    return address.partition("@")[0] in _POSTMASTER


def _by_headers(message: Message) -> str | None:
    return next((name for name, holds in _HEADER_RULES if holds(message)), None)


def _has(name: str) -> "_Rule":
    return name.lower().replace("-", "_"), lambda message: bool(raw_values(message, name))


def _says(name: str, *unless: str) -> "_Rule":
    """A header that is there and says something else than these words."""
    return name.lower().replace("-", "_"), lambda mail: _first_token(raw_value(mail, name)) not in ("", "no", *unless)


def _lists(name: str, words: frozenset[str]) -> "_Rule":
    return name.lower().replace("-", "_"), lambda message: any(word in words for word in parameters(message, name))


def _by_people(message: Message, sender: str, own_addresses: Collection[str]) -> str | None:
    writers = {sender, *(address for _, address in addresses(message, "From"))}
    if any(is_postmaster(address) for address in writers):
        return "mailer_daemon"
    if _ROBOT.fullmatch(sender.rpartition("@")[0]):
        return "noreply_sender"
    if not sender:
        return "no_sender"
    if not any(is_own(address, own_addresses) for _, address in addresses(message, "To", "Cc")):
        return "not_in_to_cc"
    return None


def is_own(address: str, own_addresses: Collection[str]) -> bool:
    """Whether an address is one of ours, with or without what its owner added ("hello+shop@salon.example")."""
    local, _, domain = address.rpartition("@")
    return address in own_addresses or f"{local.partition('+')[0]}@{domain}" in own_addresses


def _first_token(value: str) -> str:
    return re.split(r"[;,\s(]", value.strip().lower(), maxsplit=1)[0]


_Rule = tuple[str, Callable[[Message], bool]]
_HEADER_RULES: tuple[_Rule, ...] = (
    _says("Auto-Submitted"),
    ("report", lambda message: message.get_content_type() == "multipart/report"),
    ("return_path", lambda mail: any("".join(value.split()) == "<>" for value in raw_values(mail, "Return-Path"))),
    *map(_has, ("List-Id", "List-Unsubscribe", "List-Post")),
    _lists("Precedence", frozenset({"bulk", "list", "junk", "auto_reply", "auto-reply"})),
    _lists("X-Auto-Response-Suppress", frozenset({"all", "autoreply", "oof", "dr", "rn"})),
    *(_says(name, "false") for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Autoresponder")),
    ("auto_reply_subject", lambda mail: _AUTO_SUBJECT.match(decoded(raw_value(mail, "Subject"))) is not None),
    ("spam", lambda message: _first_token(raw_value(message, "X-Spam-Flag")) == "yes"),
    ("dmarc_fail", lambda mail: any(map(_DMARC_FAIL.search, raw_values(mail, "Authentication-Results")))),
)
