"""What a person wrote in a mail: its body as text, and the names of what is attached.

Sources: RFC 2045 to 2049 (parts, charsets), RFC 3676 4.3 (the signature's line).
"""

import re
from email.message import Message

from app.channels.mail_headers import decoded, raw_value
from app.channels.mail_html import html_text
from app.channels.mail_quotes import tidy, without_history
from app.text import clean
from ingestion.charsets import in_utf8
from ingestion.mail_parts import is_attachment, leaves, raw_file_name

# More than that no person writes, and no model reads; of all parts together.
_MOST_CHARACTERS = 200_000
_MOST_HTML = 500_000
_FORWARD_SUBJECT = re.compile(r"\s*(?:fwd?|wg|tr|rv|vb|enc|i|pd|пересл|fs)\s*:", re.IGNORECASE)


def body_text(message: Message) -> str:
    """What was written, without what it answers and without a signature; all of it if nothing else is left."""
    forwarded = _FORWARD_SUBJECT.match(decoded(raw_value(message, "Subject"))) is not None
    plain, html = _bodies(message)
    if plain.strip():
        return without_history(plain, forwarded=forwarded) or tidy(plain)
    written = without_history(html_text(html, quotes=forwarded), forwarded=forwarded)
    return (written or tidy(html_text(html, quotes=True)))[:_MOST_CHARACTERS]


def plain_text(message: Message) -> str:
    """All plain text that is not attached, as it is."""
    return _bodies(message)[0]


def attachment_names(message: Message) -> tuple[str, ...]:
    """The file names of a mail's attachments, "" for one without a name."""
    return tuple(_file_name(part) for part in leaves(message) if is_attachment(part))


def _bodies(message: Message) -> tuple[str, str]:
    """All inline plain text of a mail, and all its inline HTML: alternatives are two forms of one."""
    found = {"text/plain": "", "text/html": ""}
    most = {"text/plain": _MOST_CHARACTERS, "text/html": _MOST_HTML}
    for part in leaves(message):
        kind = part.get_content_type()
        if kind in found and len(found[kind]) < most[kind] and not is_attachment(part):
            before = f"{found[kind]}\n" if found[kind] else ""
            found[kind] = f"{before}{_decoded(part, most[kind])}"[: most[kind]]
    return found["text/plain"], found["text/html"]


def _file_name(part: Message) -> str:
    name = raw_file_name(part)
    return decoded(name) if name else ""


def _decoded(part: Message, most: int) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    if charset is not None and charset.startswith(("utf-16", "utf-32")):
        # Only these have marks of their own.
        text = data.decode(charset, errors="replace")
    else:
        # Plain bytes without a name are most often UTF-8, and else what a Western Windows writes.
        text = in_utf8(data, charset or "cp1252").decode("utf-8", errors="replace")
    return clean(text.removeprefix("\ufeff")[:most])
