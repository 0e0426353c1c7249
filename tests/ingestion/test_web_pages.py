"""Pages of the shapes that shops and help centres really have."""

import pytest

from ingestion.charsets import in_utf8, web_charset
from ingestion.parse import Parser
from ingestion.types import IngestionError, Limits, ParsedDocument

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOP = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Returns &amp; refunds - Marlow</title>
<script>window.dataLayer = []; track("SECRET")</script><meta property="og:title" content="Returns"></head>
<body class="template-page cookie-consent-open"><a class="skip" href="#main">Skip to content</a>
<div id="cookie-banner" class="cookie-consent" role="dialog"><p>We use cookies to improve your experience.</p>
<button>Accept all</button></div><div class="announcement-bar"><p>Free delivery over 50 pounds!</p></div>
<header><a href="/">Marlow</a><nav><ul><li><a href="/new">New in</a></li><li><a href="/sale">Sale</a></li></ul></nav>
<form action="/search"><input type="search"><button>Search</button></form></header>
<main id="main"><nav aria-label="Breadcrumb"><ol><li><a href="/">Home</a></li><li>Returns</li></ol></nav>
<h1>Returns and refunds</h1><p>You can return most items within 30 days of delivery, unused and in their box.</p>
<h2>How to return an item</h2><ol><li>Open the portal.</li><li>Print the label.</li></ol>
<h2>Fees</h2><table><thead><tr><th>Country</th><th>Fee</th></tr></thead><tbody><tr><td>Norway</td><td>9 EUR</td></tr>
</tbody></table><h2>What cannot be returned</h2><ul><li>Swimwear without the seal</li><li>Engraved items</li></ul>
<details><summary>When do I get my money back?</summary><p>Within 5 working days.</p></details></main>
<aside><h3>Related articles</h3><ul><li><a href="/d">Delivery</a></li></ul></aside>
<footer><h4>Newsletter</h4><p>Sign up and get 10% off.</p><p>All rights reserved.</p></footer>
<script>hydrate({"text": "SECRET"})</script></body></html>"""

FAQ = """<html><head><title>FAQ</title></head><body>
<div id="onetrust-consent-sdk"><h2>Your privacy</h2><p>This site uses cookies to analyze performance and traffic. We
share information about your use of our site with our social media, advertising and analytics partners.</p></div>
<div class="container"><h1>Frequently asked questions</h1><div class="accordion">
<button aria-expanded="false">How long does delivery take?</button><div><p>Two to three working days.</p></div>
<button aria-expanded="false">Can I change my order?</button><div><p>Yes, until it is packed.</p></div>
</div></div></body></html>"""

HOURS = """<html><head><title>Opening hours</title></head><body><div class="cc-window cc-banner"><span>This website uses
cookies to ensure you get the best experience on our website.</span><a>Got it!</a></div><nav><a href=/>Home</a></nav>
<h1>Opening hours</h1><table><tr><td>Monday</td><td>9-17</td></tr><tr><td>Sunday</td><td>closed</td></tr></table>
<script src="/analytics.js"></script></body></html>"""


async def read(parser: Parser, page: str | bytes) -> ParsedDocument:
    data = page.encode() if isinstance(page, str) else page
    return await parser.parse(data, filename=None, media_type="text/html", limits=Limits())


def sections(document: ParsedDocument) -> list[tuple[tuple[str, ...], str]]:
    return [(section.heading, section.text) for section in document.sections]


async def test_a_shops_page_without_what_surrounds_it(parser: Parser) -> None:
    document = await read(parser, SHOP)
    assert document.title == "Returns & refunds - Marlow"
    top = "Returns and refunds"
    assert sections(document) == [
        ((top,), "You can return most items within 30 days of delivery, unused and in their box."),
        ((top, "How to return an item"), "1. Open the portal.\n2. Print the label."),
        ((top, "Fees"), "Country: Norway; Fee: 9 EUR"),
        ((top, "What cannot be returned"), "- Swimwear without the seal\n- Engraved items"),
        ((top, "What cannot be returned", "When do I get my money back?"), "Within 5 working days."),
    ]


async def test_an_accordion_without_the_consent_service(parser: Parser) -> None:
    ((heading, text),) = sections(await read(parser, FAQ))
    assert heading == ("Frequently asked questions",)
    assert text.startswith("How long does delivery take?\n\nTwo to three working days.")
    assert "cookies" not in text


async def test_a_consent_box_does_not_push_out_a_short_page(parser: Parser) -> None:
    document = await read(parser, HOURS)
    assert sections(document) == [(("Opening hours",), "Monday | 9-17\nSunday | closed")]


@pytest.mark.parametrize(
    "page",
    [
        '<body class="cookie-banner-open"><h1>Hours</h1><p>We open at nine.</p></body>',
        '<body><div id="cookie-law"><article><h1>Hours</h1><p>We open at nine.</p></article></div></body>',
        '<body><div class="cookie-box trusted">We open at nine.</div><p>Hours</p></body>',
    ],
)
async def test_content_is_kept_whatever_its_box_is_called(parser: Parser, page: str) -> None:
    document = await read(parser, page)
    assert "We open at nine." in "\n".join(text for _, text in sections(document))


@pytest.mark.parametrize(
    "body",
    [
        "<noscript>You need to enable JavaScript to run this app.</noscript><div id=root></div>",
        "<div id=app><div class=spinner>Loading…</div></div>",
        "<p>Please enable JavaScript to continue using this application.</p>",
        "<nav><a href=/>Home</a></nav><div id=root></div>",
    ],
)
async def test_a_page_that_only_javascript_fills_is_empty_and_says_why(parser: Parser, body: str) -> None:
    with pytest.raises(IngestionError, match="made by JavaScript") as caught:
        await read(parser, f"<html><title>App</title><body>{body}<script src=/main.js></script></body></html>")
    assert caught.value.code == "empty"


async def test_a_page_about_javascript_is_read(parser: Parser) -> None:
    page = (
        "<h1>JavaScript course</h1><p>" + "Learn JavaScript with us in ten lessons. " * 8 + "</p><script>x()</script>"
    )
    assert len((await read(parser, page)).sections) == 1


@pytest.mark.parametrize(
    ("meta", "codec", "words"),
    [
        ("gb2312", "gbk", "退货须在三十天内办理，朱镕基"),
        ("Shift_JIS", "cp932", "返品は三十日以内に可能です①"),
        ("iso-8859-1", "cp1252", "Rückgabe – 5 €"),
        ("euc-kr", "cp949", "반품은 삼십일 이내에 가능합니다"),
    ],
)
async def test_meta_charsets_are_read_as_browsers_do(parser: Parser, meta: str, codec: str, words: str) -> None:
    page = f'<meta charset="{meta}"><p>{words}</p>'.encode(codec)
    assert sections(await read(parser, page)) == [((), words)]


@pytest.mark.parametrize("meta", ["punycode", "idna", "unicode_escape", "hex", "no-such", "utf-7"])
async def test_what_is_no_charset_is_passed_over(parser: Parser, meta: str) -> None:
    page = f'<meta charset="{meta}"><p>Die Rückgabe ist möglich.</p>'.encode("cp1252")
    assert sections(await read(parser, page)) == [((), "Die Rückgabe ist möglich.")]


async def test_a_header_outranks_the_meta_element(parser: Parser) -> None:
    page = '<meta charset="windows-1252"><p>Возврат в течение тридцати дней.</p>'.encode("cp1251")
    assert sections(await read(parser, in_utf8(page, "windows-1251"))) == [((), "Возврат в течение тридцати дней.")]


@pytest.mark.parametrize(
    ("data", "header", "same"),
    [
        ("Grüße".encode(), "iso-8859-1", "Grüße"),
        ("Grüße".encode("latin-1"), "ISO-8859-1", "Grüße"),
        ("Hello".encode("utf-16-le"), "utf-16le", "Hello"),
        (b"Hello", "utf-16", "Hello"),
        (b"Gr\xfc\xdfe", "utf-8", "Gr\ufffd\ufffde"),
    ],
)
async def test_texts_become_utf8_by_their_header(data: bytes, header: str, same: str) -> None:
    assert in_utf8(data, header).decode() == same


async def test_bytes_without_a_usable_header_stay_as_they_are() -> None:
    for header in (None, "", "x-unknown", "punycode", "a" * 100, "\x00"):
        assert in_utf8(b"\xff\xe4", header) == b"\xff\xe4"
    marked = "Grüße".encode("utf-16")
    assert in_utf8(marked, "iso-8859-1") == marked
    assert web_charset(" UTF8 ") == "utf-8"
