"""What may be asked for, told from the URL alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.egress import FetchRefused, PageFetcher
from app.egress.urls import MAX_URL, parse_url
from tests.app.egress.sites import LOOPBACK

LOCAL = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "127.0.0.1.",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[2a00:1450::5efe:7f00:1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "x.localhost",
    "localhost.localdomain",
    "postgres",
    "kubernetes.default.svc.cluster.local",
    "metadata.google.internal",
    "printer.lan",
    "1.0.0.127.in-addr.arpa",
]
ODD = [
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "127.0.0.0x1",
    "127.0.0.01",
    "0",
    "0x",
    "1.2.3.4.5",
    "256.1.1.1",
    "example.com.1",
    "[::1%25lo]",
    "[fe80::1%eth0]",
    "[::1",
    "::1",
    "[::1]x",
    "[127.0.0.1]",
    "%31%32%37.0.0.1",
    "a..b",
    "example.com..",
    ".example.com",
    "",
    ".",
    "-a.example",
    "exa mple.com",
    "exa\tmple.com",
    "exam\u00adple.com\\evil.example",
    "a" * 64 + ".example",
    "a.b" * 90,
    "\u2488com",
]


@pytest.fixture
def pages():
    return PageFetcher(max_bytes=1, seconds=1)


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize("form", ["http://{}/", "https://{}:8443/x"])
def test_hosts_that_are_inside_are_refused_at_once_and_in_the_same_words(pages, host, form):
    with pytest.raises(FetchRefused) as refused:
        pages.check(form.format(host))
    assert refused.value.code == "url_not_public"
    assert str(refused.value).startswith("There is no public site at this address.")


@pytest.mark.parametrize("host", ODD)
def test_hosts_in_odd_forms_are_refused(pages, host):
    with pytest.raises(FetchRefused) as refused:
        pages.check(f"http://{host}/")
    assert refused.value.code == "url_invalid"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/", "url_scheme"),
        ("file:///etc/passwd", "url_scheme"),
        ("gopher://example.com:70/_", "url_scheme"),
        ("data:text/html,hello", "url_scheme"),
        ("javascript:alert(1)", "url_scheme"),
        ("example.com", "url_scheme"),
        ("//example.com/", "url_scheme"),
        ("", "url_scheme"),
        ("http:example.com", "url_invalid"),
        ("http://", "url_invalid"),
        ("http:///path", "url_invalid"),
        ("http://user@example.com/", "url_credentials"),
        ("http://user:pass@example.com/", "url_credentials"),
        ("http://example.com@127.0.0.1/", "url_credentials"),
        ("http://@example.com/", "url_credentials"),
        ("http://example.com\\@127.0.0.1/", "url_invalid"),
        ("http://example.com:22/", "url_port"),
        ("http://example.com:0/", "url_port"),
        ("http://example.com:6667/", "url_port"),
        ("http://example.com:65536/", "url_invalid"),
        ("http://example.com:x/", "url_invalid"),
        ("http://example.com:-1/", "url_invalid"),
        ("http://example.com:8０/", "url_invalid"),
        ("http://example.com:80:80/", "url_invalid"),
        ("http://example.com/\x00", "url_invalid"),
        ("http://example.com/a b", "url_invalid"),
        ("http://example.com/\r\nHost: evil", "url_invalid"),
        ("http://example.com/\ud800", "url_invalid"),
        ("http://example.com/" + "a" * MAX_URL, "url_too_long"),
    ],
)
def test_plainly_bad_urls_are_refused(pages, url, code):
    with pytest.raises(FetchRefused) as refused:
        pages.check(url)
    assert refused.value.code == code
    assert refused.value.status_code == 422


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("https://Example.COM", "https://example.com/"),
        ("HTTPS://example.com:443/a#part", "https://example.com/a"),
        ("http://example.com:80/?q=1", "http://example.com/?q=1"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com:/", "https://example.com/"),
        ("https://example.com./a", "https://example.com/a"),
        (" https://example.com/a \n", "https://example.com/a"),
        ("https://bücher.example/straße?x=ä", "https://xn--bcher-kva.example/stra%C3%9Fe?x=%C3%A4"),
        ("https://example.com/a%20b;c=(1)?x[]=1&y=%26", "https://example.com/a%20b;c=(1)?x[]=1&y=%26"),
        ("https://under_score.example.com/", "https://under_score.example.com/"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:4700:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
    ],
)
def test_a_good_url_has_one_spelling(pages, url, spelling):
    assert pages.check(url) == spelling
    assert pages.check(spelling) == spelling


def test_an_allowed_network_opens_its_names_and_addresses_only():
    pages = PageFetcher(max_bytes=1, seconds=1, allow=LOOPBACK)
    assert pages.check("http://127.0.0.1:8000/") == "http://127.0.0.1:8000/"
    assert pages.check("http://wiki.intranet/") == "http://wiki.intranet/"
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"):
        with pytest.raises(FetchRefused):
            pages.check(url)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "http://a.example/", "http://a.example:"]))
def test_any_text_is_either_refused_or_a_url_that_stays_as_it_is(text, start):
    try:
        url = parse_url(start + text).url
    except FetchRefused:
        return
    assert url.isascii()
    assert parse_url(url).url == url
