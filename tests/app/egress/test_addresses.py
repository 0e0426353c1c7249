"""No address beyond the public internet is reached, whatever it is wrapped in."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.egress.addresses import is_public, may_reach

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)
# Most random addresses are public; these are near the borders of what is not.
SPECIAL_V4 = st.sampled_from(
    [
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    ]
).flatmap(lambda network: st.ip_addresses(network=network))
SPECIAL_V6 = st.sampled_from(
    [
        *("::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32"),
        *("2001:2::/48", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10"),
        *("ff00::/8", "fd00:ec2::254/128"),
    ]
).flatmap(lambda network: st.ip_addresses(network=network))
EMBEDDINGS = {
    "mapped": lambda v4: 0xFFFF << 32 | v4,
    "compatible": lambda v4: v4,
    "6to4": lambda v4: 0x2002 << 112 | v4 << 80 | 1,
    "translated": lambda v4: 0xFFFF << 48 | v4,
    "nat64": lambda v4: 0x64FF9B << 96 | v4,
    "local nat64": lambda v4: 0x64FF9B0001 << 80 | v4,
    "local nat64 of 48 bits": lambda v4: 0x64FF9B0001 << 80 | (v4 >> 16) << 64 | (v4 & 0xFFFF) << 40,
    "local nat64 of 56 bits": lambda v4: 0x64FF9B0001 << 80 | (v4 >> 24) << 64 | (v4 & 0xFFFFFF) << 32,
    "local nat64 of 64 bits": lambda v4: 0x64FF9B0001 << 80 | v4 << 24,
    "teredo server": lambda v4: 0x20010000 << 96 | v4 << 64 | 0x1234,
    "teredo client": lambda v4: 0x20010000 << 96 | (v4 ^ 0xFFFFFFFF),
    "isatap": lambda v4: 0x2A00145040010811 << 64 | 0x00005EFE << 32 | v4,
    "global isatap": lambda v4: 0x2A00145040010811 << 64 | 0x02005EFE << 32 | v4,
}


@given(V4 | SPECIAL_V4)
def test_a_public_ipv4_address_is_one_that_python_calls_global(address):
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(V6 | SPECIAL_V6)
def test_a_public_ipv6_address_is_global_unicast_and_holds_no_other(address):
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert address in ip_network("2000::/3")
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None


@given(SPECIAL_V4 | SPECIAL_V6)
def test_no_special_address_is_reached(address):
    assert not may_reach(address, ())


@given(V4 | SPECIAL_V4, st.sampled_from(sorted(EMBEDDINGS)))
def test_no_ipv4_address_is_reached_inside_an_ipv6_one(address, form):
    assert not may_reach(IPv6Address(EMBEDDINGS[form](int(address))), ())


@given(V4 | SPECIAL_V4 | V6 | SPECIAL_V6, st.sampled_from(["10.0.0.0/8", "192.168.3.0/24", "fd12::/16"]))
def test_an_allowed_network_lets_in_its_own_addresses_only(address, network):
    allowed = ip_network(network)
    assert may_reach(address, [allowed]) == (is_public(address) or address in allowed) or str(address) in METADATA


METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")


@pytest.mark.parametrize("address", METADATA)
def test_a_clouds_metadata_is_out_of_reach_even_if_its_network_is_allowed(address):
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert not may_reach(ip_address(address), ())
    assert not may_reach(ip_address(address), everything)


EVERYTHING_V6 = ip_network("::/0")


@pytest.mark.parametrize("form", EMBEDDINGS)
def test_a_clouds_metadata_is_out_of_reach_inside_every_form_though_all_is_allowed(form):
    for inner in METADATA[:5]:
        address = IPv6Address(EMBEDDINGS[form](int(IPv4Address(inner))))
        itself = ip_network((address, 96), strict=False)
        assert not may_reach(address, [ip_network("0.0.0.0/0"), EVERYTHING_V6, itself]), address


@given(V4 | SPECIAL_V4, st.sampled_from(sorted(EMBEDDINGS)))
def test_allowing_a_form_of_ipv6_allows_no_private_ipv4_address_inside_it(address, form):
    wrapped = IPv6Address(EMBEDDINGS[form](int(address)))
    if may_reach(wrapped, [EVERYTHING_V6]):
        assert is_public(address) or wrapped == IPv6Address("::1")


@given(V4, st.sampled_from(["64:ff9b::/96", "::ffff:0:0/96"]))
def test_an_allowed_translator_leads_to_public_addresses_and_to_allowed_networks(address, network):
    prefix, intranet = ip_network(network), ip_network("10.0.0.0/8")
    wrapped = prefix[int(address)]
    assert may_reach(wrapped, [prefix]) == may_reach(address, [])
    assert may_reach(wrapped, [prefix, intranet]) == may_reach(address, [intranet])
    assert not may_reach(wrapped, [intranet])


@pytest.mark.parametrize("bits", [48, 56, 64, 96])
def test_an_allowed_local_translator_leads_to_public_addresses(bits):
    form = "local nat64" if bits == 96 else f"local nat64 of {bits} bits"
    wrapped = IPv6Address(EMBEDDINGS[form](int(IPv4Address("93.184.216.34"))))
    assert may_reach(wrapped, [ip_network("64:ff9b:1::/48")])
    assert not may_reach(wrapped, [])


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "223.255.255.255", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_reached(address):
    assert may_reach(ip_address(address), ())


def test_an_address_with_a_zone_is_never_reached():
    assert not may_reach(IPv6Address("fe80::1%lo"), [ip_network("::/0")])


@pytest.mark.parametrize("network", ["10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"])
def test_both_ends_of_a_private_network_are_inside(network):
    block = IPv4Network(network)
    assert not may_reach(block[0], ())
    assert not may_reach(block[-1], ())
    assert may_reach(IPv4Address(int(block[-1]) + 1), ()) or network == "127.0.0.0/8"
