"""URLs that people write: taken apart once, so that what was checked is what is asked for."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NoReturn
from urllib.parse import quote, urljoin, urlsplit

import idna

from app.egress.addresses import Address
from app.egress.errors import FetchRefused

MAX_URL = 2048
_MAX_HOST = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FIRST_FREE_PORT = 1024
# Ports of other protocols that browsers keep from (WHATWG Fetch, "bad port"), as far as they are above 1023.
_BAD_PORTS = frozenset(
    (1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080)
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_NETLOC = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# WHATWG URL, "ends in a number": resolvers read such names as addresses in decimal, octal or hexadecimal.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?[]|"


@dataclass(frozen=True, slots=True)
class Target:
    """A page's address in one spelling. `host` is ASCII and lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and, if it is not the scheme's own, port: what goes into the Host header (RFC 9110)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address, without a fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(text: str, base: Target | None = None) -> Target:
    """The target that a URL, or a reference relative to `base`, names.

    Raises FetchRefused: only http and https, without user name or password, to port 80, 443 or one above 1023 that
    does not belong to another protocol.
    """
    text = text.strip()
    if len(text) > MAX_URL:
        raise FetchRefused(f"The address is longer than {MAX_URL} characters.", code="url_too_long")
    if _FORBIDDEN.search(text):
        _malformed()
    try:
        parts = urlsplit(text if base is None else urljoin(base.url, text))
        port = parts.port
    except ValueError:
        _malformed()
    if parts.scheme not in _DEFAULT_PORTS:
        raise FetchRefused("Only addresses that begin with https:// or http:// can be read.", code="url_scheme")
    if "@" in parts.netloc:
        raise FetchRefused("An address with a user name or password cannot be read.", code="url_credentials")
    netloc = _NETLOC.fullmatch(parts.netloc)
    if netloc is None:
        _malformed()
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in _DEFAULT_PORTS.values() and (port < _FIRST_FREE_PORT or port in _BAD_PORTS):
        raise FetchRefused("Web pages are not read from this port.", code="url_port")
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    query = f"?{quote(parts.query, safe=_QUERY_SAFE)}" if parts.query else ""
    return Target(parts.scheme, parse_host(netloc[1]), port, path + query)


def parse_host(host: str) -> str:
    """A host in one spelling: ASCII (IDNA 2008, mapped by UTS 46), lower case, no dot at the end, no brackets.

    Raises FetchRefused, also for an address written in any but its usual form (127.1, 0x7f000001, 2130706433).
    """
    if ":" in host:
        return _v6(host.removeprefix("[").removesuffix("]"))
    name = _ascii(host).removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _v4(name)
    if len(name) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        _malformed()
    return name


def literal(host: str) -> Address | None:
    """The address that a host of `parse_host` is, or None for a name."""
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if host.rpartition(".")[2].isdigit() else None


def _ascii(host: str) -> str:
    if host.isascii():
        # Not through IDNA: it refuses names that are in use, such as those with an underscore.
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        _malformed()


def _v4(name: str) -> str:
    try:
        return str(IPv4Address(name))
    except AddressValueError:
        _malformed()


def _v6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        _malformed()
    if address.scope_id is not None:
        _malformed()
    return address.compressed


def _malformed() -> NoReturn:
    raise FetchRefused("This is not the address of a web page, such as https://example.com/help.", code="url_invalid")
