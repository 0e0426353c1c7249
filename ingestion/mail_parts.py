"""The parts of a mail: which of them hold content, and which are attached (RFC 2045 to 2049, RFC 2183)."""

from collections.abc import Iterator
from email.errors import HeaderParseError
from email.message import Message

# What the standard library raises over headers that nobody wrote in good faith.
HEADER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, IndexError, HeaderParseError)
_MOST_PARTS = 500


def leaves(message: Message) -> Iterator[Message]:
    """The parts that hold content, in order, the first few hundred; a mail within the mail is one, not looked into."""
    waiting, seen = [message], 0
    while waiting and seen < _MOST_PARTS:
        part = waiting.pop()
        seen += 1
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting.extend(part for part in reversed(payload) if isinstance(part, Message))
        else:
            yield part


def is_attachment(part: Message) -> bool:
    """Whether a part is a file beside the text, or a mail of its own."""
    if part.get_content_type() == "message/rfc822" or part.get_content_disposition() == "attachment":
        return True
    # A picture within the text (Content-ID) is one as well: it is not text.
    return bool(raw_file_name(part)) or part.get_content_maintype() not in ("text", "multipart", "message")


def raw_file_name(part: Message) -> str:
    """The name that a part's headers give it, as it stands there; "" without one, or where it cannot be read."""
    try:
        return part.get_filename() or ""
    except HEADER_ERRORS:
        return ""
