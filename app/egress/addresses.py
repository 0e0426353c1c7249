"""Which internet addresses a tenant's URL or host may lead to.

Sources: the IANA special-purpose address registries (RFC 6890), and the global unicast space of RFC 4291. Written
out, because what `ipaddress.is_global` knows differs between versions of Python and leaves out the forms of IPv6 that
carry an IPv4 address.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
# Protocol assignments with Teredo, documentation (twice), and 6to4, which carries an IPv4 address. Mapped, compatible
# and translated (64:ff9b::/96 and 64:ff9b:1::/48) addresses are outside of 2000::/3.
_SPECIAL_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))
# Clouds tell a machine's credentials here. 168.63.129.16 looks public and is Azure's own.
_METADATA = tuple(
    map(IPv4Network, ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"))
) + tuple(map(IPv6Network, ("fd00:ec2::/32", "fd20:ce::/32", "fe80::/10")))
# RFC 5214: an ISATAP interface id is 0000:5efe or 0200:5efe and an IPv4 address, under any prefix.
_ISATAP = (0x00005EFE, 0x02005EFE)
# The IPv4 address is at the end: compatible and mapped (RFC 4291), translated (RFC 2765, 6052).
_AT_THE_END = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
_NOT_COMPATIBLE = (IPv6Address("::"), IPv6Address("::1"))
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_TEREDO = IPv6Network("2001::/32")
_6TO4 = IPv6Network("2002::/16")


def may_reach(address: Address, allow: Iterable[Network]) -> bool:
    """Whether an address is globally routable unicast, or in a network of `allow`; never a cloud's metadata service.

    One that carries IPv4 addresses must be allowed itself, and each of them must be one that may be reached.
    """
    allow = tuple(allow)
    if _in(address, _METADATA) or (isinstance(address, IPv6Address) and address.scope_id is not None):
        return False
    if not all(may_reach(inner, allow) for inner in carried(address)):
        return False
    return _in(address, allow) or is_public(address)


def carried(address: Address) -> set[IPv4Address]:
    """The IPv4 addresses that an IPv6 one leads to; all that it may be read as, where that is not certain."""
    if isinstance(address, IPv4Address) or address in _NOT_COMPATIBLE:
        return set()
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    if _in(address, _AT_THE_END) or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return {last}
    if address in _LOCAL_NAT64:
        return _translated(number) or {last}
    if address in _TEREDO:
        # Its server, and its client with every bit turned (RFC 4380).
        return {IPv4Address((number >> 64) & 0xFFFFFFFF), IPv4Address(~number & 0xFFFFFFFF)}
    return {IPv4Address((number >> 80) & 0xFFFFFFFF)} if address in _6TO4 else set()


def _translated(number: int) -> set[IPv4Address]:
    """Every reading of RFC 6052 that fits: behind 48, 56, 64 or 96 bits, around the byte at 64, before zeros."""
    text = number.to_bytes(16)
    rows = {start: text[start:8] + text[9 : start + 5] for start in (6, 7, 8)}
    fits = [row for start, row in rows.items() if not any(text[start + 5 :])]
    return {IPv4Address(row) for row in (*fits, text[12:]) if any(row)}


def is_public(address: Address) -> bool:
    """Whether an address is globally routable unicast and carries no other address inside."""
    if isinstance(address, IPv4Address):
        return not _in(address, _SPECIAL_V4)
    isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return address in _GLOBAL_V6 and not _in(address, _SPECIAL_V6) and not isatap


def _in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
