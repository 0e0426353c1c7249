"""Where pages and sitemaps lead, as the child process reads it out of markup that nobody trusts."""

import gzip

import pytest

from ingestion import crawl
from ingestion.types import IngestionError, Limits, PageLinks

HOME = "https://shop.example/help/"
URLSET = '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{}</urlset>'


def _page(body="", head=""):
    return crawl.page(f"<html><head>{head}</head><body>{body}</body></html>".encode(), HOME)


def _sitemap(*urls):
    return URLSET.format(
        "".join(f"<url><loc> {url} </loc><lastmod>2026-01-01</lastmod></url>" for url in urls)
    ).encode()


def test_links_are_whole_and_each_is_there_once():
    found = _page('<a href="a">A</a><a href=" /b?x=1#top ">B</a><a href="a#again">A</a><map><area href="../c"></map>')
    assert found.links == (f"{HOME}a", "https://shop.example/b?x=1", "https://shop.example/c")
    assert not found.cut


def test_what_is_no_page_of_the_web_is_no_link():
    found = _page(
        '<a href="mailto:a@b.example">M</a><a href="javascript:go()">J</a><a href="tel:1">T</a><a>N</a>'
        '<a href="http://[::1">V</a><a href="data:text/html,x">D</a><a href="">E</a><a name=x>X</a>'
        f'<a href="/{"a" * 3000}">L</a><a href="//other.example/x">O</a>'
    )
    assert found.links == ("https://other.example/x",)


def test_base_is_what_links_are_relative_to():
    assert _page('<a href="a">A</a>', '<base href="/docs/">').links == ("https://shop.example/docs/a",)
    assert _page('<a href="a">A</a>', '<base href="javascript:x">').links == (f"{HOME}a",)


def test_links_that_the_page_does_not_vouch_for_are_left_out():
    assert _page(
        '<a rel="nofollow" href="a">A</a><a rel="noopener UGC" href="b">B</a><a rel="noopener" href=c>C</a>'
    ).links == (f"{HOME}c",)


@pytest.mark.parametrize(
    ("content", "noindex", "nofollow"),
    [("noindex", True, False), ("NoIndex, NoFollow", True, True), ("none", True, True), ("index,follow", False, False)],
)
def test_wishes_of_robots(content, noindex, nofollow):
    for name in ("robots", "ROBOTS", "jobx"):
        found = _page('<a href="a">A</a>', f'<meta name="{name}" content="{content}">')
        assert (found.noindex, found.nofollow) == (noindex, nofollow)
    assert not _page("", f'<meta name="googlebot" content="{content}">').noindex


def test_the_canonical_address():
    assert _page("", '<link rel="Canonical" href="../a?b=1#c">').canonical == "https://shop.example/a?b=1"
    assert _page('<link rel="canonical" href="/comment">').canonical is None, "only the head says so"
    assert _page("").canonical is None


def test_the_character_set_of_the_page_is_minded():
    data = '<meta charset="windows-1251"><a href="/возврат">x</a>'.encode("cp1251")
    assert crawl.page(data, HOME).links == ("https://shop.example/возврат",)


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02\xff", b"%PDF-1.7", b"<", b"plain words", b"<a" * 50_000])
def test_what_is_no_html_has_no_links(data):
    assert crawl.page(data, HOME).links == ()


def test_links_are_bounded():
    found = _page("".join(f"<a href=/{number}>x</a>" for number in range(crawl.MAX_LINKS + 10)))
    assert (len(found.links), found.cut) == (crawl.MAX_LINKS, True)


def test_a_deeply_nested_page_is_read_as_far_as_it_goes():
    data = b"<div>" * 100_000 + b"<a href=/deep>x</a>"
    assert crawl.page(b"<a href=/first>x</a>" + data, HOME).links[:1] == ("https://shop.example/first",)


def test_a_sitemap_lists_pages():
    assert crawl.sitemap(_sitemap(f"{HOME}a", f"{HOME}b#c", "ftp://x.example/", f"{HOME}a", "not a url")) == PageLinks(
        (f"{HOME}a", f"{HOME}b")
    )


def test_an_index_lists_sitemaps():
    data = "<sitemapindex><sitemap><loc>https://shop.example/one.xml.gz</loc></sitemap></sitemapindex>"
    assert crawl.sitemap(data.encode()) == PageLinks(sitemaps=("https://shop.example/one.xml.gz",))


def test_a_sitemap_may_be_lines_and_may_be_packed():
    lines = f"{HOME}a\r\n{HOME}b\n".encode()
    for data in (lines, gzip.compress(lines), gzip.compress(lines[:40]) + gzip.compress(lines[40:])):
        assert crawl.sitemap(data).links == (f"{HOME}a", f"{HOME}b")
    assert crawl.sitemap(gzip.compress(_sitemap(f"{HOME}a"))).links == (f"{HOME}a",)


def test_an_empty_sitemap_is_one_and_a_page_is_none():
    assert crawl.sitemap(URLSET.format("").encode()) == PageLinks()
    for data in (b"<html><body>Sorry</body></html>", b"<urlsets/>", gzip.compress(b"x" * 100)[:20]):
        with pytest.raises(IngestionError):
            crawl.sitemap(data)
    assert crawl.sitemap(b"Not found, sorry.") == PageLinks()


def test_images_and_videos_of_pages_are_no_pages():
    data = _sitemap(f"{HOME}a").replace(
        b"</url>", b"<image:image xmlns:image='i'><image:loc>https://x.example/i.png</image:loc></image:image></url>"
    )
    assert crawl.sitemap(data).links == (f"{HOME}a",)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE u [<!ENTITY a "aaaaaaaaaa">%s]><urlset><url><loc>&z;</loc></url></urlset>"""
INSIDE = b"""<?xml version="1.0"?><!DOCTYPE u [<!ENTITY z SYSTEM "file:///etc/passwd">]><urlset><url><loc>&z;</loc></url></urlset>"""


@pytest.mark.parametrize("data", [BOMB % b"", INSIDE])
def test_entities_are_never_resolved(data):
    with pytest.raises(IngestionError) as refused:
        crawl.sitemap(data)
    assert refused.value.code == "damaged"


def test_a_sitemap_in_another_character_set_has_no_way_around():
    assert crawl.sitemap(INSIDE.decode().replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16")) == PageLinks()


def test_what_unpacks_to_too_much_is_refused():
    with pytest.raises(IngestionError) as refused:
        crawl.sitemap(gzip.compress(b"\n" * (60 * 1024 * 1024)))
    assert refused.value.code == "too_large"


def test_entries_are_bounded():
    found = crawl.sitemap(_sitemap(*(f"{HOME}{number}" for number in range(crawl.MAX_ENTRIES + 1))))
    assert (len(found.links), found.cut) == (crawl.MAX_ENTRIES, True)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_child_reads_both_and_documents_beside_them(parser):
    page = b"<html><head><link rel=canonical href=/c></head><body><a href=a>A</a><p>Words.</p></body></html>"
    found = await parser.links(page, base_url=HOME, kind="page", limits=Limits())
    assert (found.links, found.canonical) == ((f"{HOME}a",), "https://shop.example/c")
    listed = await parser.links(gzip.compress(_sitemap(f"{HOME}a")), base_url=HOME, kind="sitemap", limits=Limits())
    assert listed.links == (f"{HOME}a",)
    with pytest.raises(IngestionError):
        await parser.links(BOMB % b"", base_url=HOME, kind="sitemap", limits=Limits())
    document = await parser.parse(page, filename=None, media_type="text/html", limits=Limits())
    assert "Words." in document.sections[0].text
