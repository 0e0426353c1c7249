"""Web and mail addresses in a text, and whether a reply may send them.

A messenger turns more into a link than a strict grammar would, so finding is generous; allowing is strict. An address
is compared by host, port, path, query and fragment, never by how its text begins: `https://shop.example.evil.com` and
`https://shop.example@evil.com` both begin like the shop's own.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_STOP = r"\s<>\"'`|()\[\]{}，。、；：！？（）【】「」『』»«“”‘’"
_URL = re.compile(
    rf"(?P<mail>[\w.+-]+@[^\W_][\w-]*(?:\.[\w-]+)+)|"
    r"(?P<scheme>[a-z][a-z0-9+.-]*:[/\\]{1,3}[^\s<>\"]+)|"
    r"(?P<odd>\b(?:javascript|data|vbscript|file|tg|intent):[^\s<>\"]+)|"
    rf"(?P<bare>(?<![\w@./])(?:[^\W_](?:[\w-]*[^\W_])?[.．。])+[^\W\d_]{{2,}}(?![\w-])(?::\d+)?(?:[/?#][^{_STOP}]*)?)|"
    rf"(?P<ip>(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?(?:/[^{_STOP}]*)?)",
    re.IGNORECASE,
)
# Every address but a mail's has one of these within.
_WITHIN = re.compile(r"[.．。:][^\s<>\"]")
_NUMBER = re.compile(r"\d+(?:[.,'’:/–-]\d+)*")
_TRAILING = ".,;:!?*_~')]}»”’。，）】」"
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_DEVIANT = re.compile("[ßς\u200c\u200d]")  # IDNA 2003 and 2008 send these to different places
_DOTTED = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """A web address taken apart; equal addresses lead to the same place."""

    host: str
    port: int | None
    path: str
    query: str
    fragment: str


def addresses(text: str) -> list[str]:
    """Every web or mail address of a text as it is written, in order."""
    if "@" not in text and not _WITHIN.search(text):
        return []
    return [match.group().rstrip(_TRAILING) for match in _URL.finditer(text)]


def without_addresses(text: str) -> str:
    """The text with a blank for each of them, but for what is a number only."""
    for address in sorted(addresses(text), key=len, reverse=True):
        if not _NUMBER.fullmatch(address):
            text = text.replace(address, " ")
    return text


def parsed(written: str) -> Address | None:
    """The address's parts, or None if it is none that a reply may ever hold.

    Hosts are compared in their ASCII form (RFC 3490), so that a look-alike letter makes a different host. Refused are
    schemes other than http and https, user names, backslashes, and paths that climb.
    """
    try:
        parts = urlsplit(written if re.match(r"https?://", written, re.IGNORECASE) else f"https://{written}")
        host, port = _ascii(parts.hostname or ""), parts.port
    except ValueError:
        return None
    scheme = re.match(r"([a-z][a-z0-9+.-]*):(?!\d)", written, re.IGNORECASE)
    if scheme and scheme.group(1).lower() not in ("http", "https"):
        return None
    if "\\" in written or "@" in parts.netloc or not _HOST.fullmatch(host) or _DOTTED.search(parts.path):
        return None
    plain_port = None if port in (None, 80, 443) else port
    return Address(host, plain_port, parts.path.rstrip("/"), parts.query, parts.fragment)


def _ascii(host: str) -> str:
    """The host as it is looked up; a UnicodeError (a ValueError) if it cannot be."""
    if _DEVIANT.search(host):
        raise ValueError(host)
    return host.encode("idna").decode().lower().rstrip(".")


def refused(reply: str, sources: Iterable[str], prefixes: Collection[str]) -> list[str]:
    """The reply's addresses that neither stand in a source nor lie under an allowed prefix, as written."""
    given = [written for source in sources for written in addresses(source)]
    mails = {written.casefold() for written in given if "@" in written}
    known = {parsed(written) for written in given} - {None}
    roots = [root for prefix in prefixes if (root := parsed(prefix)) is not None]
    return [
        written
        for written in addresses(reply)
        if written.casefold() not in mails and not _allowed(parsed(written), known, roots)
    ]


def _allowed(address: Address | None, known: Collection[Address | None], roots: Iterable[Address]) -> bool:
    return address is not None and (address in known or any(_under(address, root) for root in roots))


def _under(address: Address, root: Address) -> bool:
    inside = address.path == root.path or address.path.startswith(f"{root.path}/")
    return inside and (address.host, address.port) == (root.host, root.port)
