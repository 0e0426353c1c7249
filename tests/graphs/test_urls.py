import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphs.support.urls import addresses, parsed, refused

ALLOWED = ("https://shop.example/help", "www.shop.example")
PAGE = (
    "See https://shop.example/returns?lang=en, www.partner.example or write to help@shop.example. (http://a.example/b)"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://a.example/b.", ["https://a.example/b"]),
        ("(see http://a.example/b) and [x](https://c.example/d).", ["http://a.example/b", "https://c.example/d"]),
        ("mail me@a.example, or a.example/b!", ["me@a.example", "a.example/b"]),
        ("on evil.com now", ["evil.com"]),
        ("javascript:alert tg:resolve?x=1", ["javascript:alert", "tg:resolve?x=1"]),
        ("https:/\\evil.com http://[::1]/x 10.0.0.1:80/x", ["https:/\\evil.com", "http://[::1]/x", "10.0.0.1:80/x"]),
        ("shop。example", ["shop。example"]),
        ("E.g. this, at 9.30 a.m. and 4.50 etc. is fine", []),
        ("Your data: kept. Call tel. 5", []),
    ],
)
def test_addresses_are_found_as_written(text: str, found: list[str]) -> None:
    assert addresses(text) == found


@pytest.mark.parametrize(
    "reply",
    [
        "https://shop.example/returns?lang=en",
        "HTTPS://SHOP.example/returns?lang=en",
        "shop.example/returns?lang=en.",
        "www.partner.example/",
        "help@shop.example",
        "HELP@shop.example",
        "http://a.example:80/b/",
        "https://shop.example/help/deep/page?x=1#y",
        "https://www.shop.example/anything",
        "nothing at all",
    ],
)
def test_an_address_of_the_page_or_under_a_prefix_passes(reply: str) -> None:
    assert refused(f"Look: {reply} thanks", [PAGE], ALLOWED) == []


@pytest.mark.parametrize(
    "reply",
    [
        "https://shop.example",
        "https://shop.example/returns",
        "https://shop.example/returns?lang=en&to=evil",
        "https://shop.example/returns?lang=en#evil",
        "https://shop.example/helpless",
        "https://shop.example.evil.com/help",
        "https://shop.example@evil.com/help",
        "https://shop.example:pw@evil.com/help",
        "https://shop.example\\@evil.com/help",
        "https://evil.com/https://shop.example/help",
        "https://shop.example:8443/help",
        "https://shop.example/help/../admin",
        "https://shop.example/help/%2E%2e/admin",
        "https://sh\u043ep.example/help",
        "https://shop.example%2eevil.com/help",
        "https://stra\u00dfe.example/",
        "ftp://shop.example/help",
        "javascript://shop.example/help",
        "evil.com",
        "www.partner.example.evil.com",
        "http://[::1]/help",
        "someone@shop.example",
        "10.0.0.1/help",
    ],
)
def test_any_other_address_is_refused(reply: str) -> None:
    assert refused(f"Look: {reply} thanks", [PAGE], (*ALLOWED, "https://strasse.example")) == [reply]


label = st.text(alphabet=string.ascii_lowercase, min_size=2, max_size=8)


@settings(deadline=None)
@given(label, label, st.text(alphabet=string.ascii_letters + string.digits + "-_/.@:\\?#&=%", max_size=25))
def test_whatever_follows_a_host_an_allowed_reply_leads_to_that_host(name: str, top: str, rest: str) -> None:
    allowed = f"https://{name}.{top}"
    if refused(f"{allowed}{rest}", [], [allowed]) == []:
        for written in addresses(f"{allowed}{rest}"):
            address = parsed(written)
            assert address is not None
            assert (address.host, address.port) == (f"{name}.{top}", None)


@settings(deadline=None)
@given(label, label, label)
def test_another_host_never_passes(name: str, other: str, top: str) -> None:
    assume(name != other)
    allowed = [f"https://{name}.{top}/"]
    for host in (f"{other}.{top}", f"{name}.{other}.{top}", f"{name}.{top}.{other}", f"{other}{name}.{top}"):
        assume(host != f"{name}.{top}")
        assert refused(f"https://{host}/", [], allowed) == [f"https://{host}/"]


@settings(deadline=None)
@given(label, st.sampled_from("\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456"), st.integers(0, 8))
def test_a_look_alike_letter_makes_another_host(name: str, letter: str, at: int) -> None:
    fake = name[:at] + letter + name[at + 1 :]
    assert refused(f"https://{fake}.example", [f"https://{name}.example"], [f"https://{name}.example"])


def test_a_host_in_another_script_is_itself() -> None:
    page = "https://m\u00fcnchen.example/x"
    assert refused(page, [page], []) == []
    assert refused("https://xn--mnchen-3ya.example/x", [page], []) == []
