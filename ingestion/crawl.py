"""Where pages and sitemaps lead: links, canonical address and wishes of robots, out of markup that nobody trusts.

Runs in the child process. Sources: HTML's links, <base> and <meta name="robots"> as search engines read them, and the
sitemap protocol (sitemaps.org), whose DTDs and entities nobody needs.
"""

import io
import re
import zlib
from collections.abc import Iterable, Iterator
from urllib.parse import urldefrag, urljoin, urlsplit

import lxml.etree
import lxml.html
from lxml.etree import _Element

from ingestion.charsets import declared_charset
from ingestion.formats.text import decode
from ingestion.types import IngestionError, PageLinks

MAX_LINKS, MAX_ENTRIES, MAX_SITEMAPS = 3_000, 50_000, 1_000
_MAX_URL = 2048
# What the protocol allows a sitemap to be, unpacked.
_MAX_UNPACKED = 50 * 1024 * 1024
_MAX_MEMBERS = 100
_GZIP = 16 + zlib.MAX_WBITS
_SCHEMES = ("http", "https")
_NOT_FOLLOWED = re.compile(r"\b(nofollow|ugc|sponsored)\b", re.IGNORECASE)
_CANONICAL = "//head/link[@href][translate(@rel, 'CANOIL', 'canoil') = 'canonical']/@href"
_ROBOTS = ("robots", "jobx")
_DECLARES = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


def page(data: bytes, base_url: str) -> PageLinks:
    """The links of a page at `base_url`; whatever cannot be read as HTML has none."""
    markup = decode(data, declared_charset(data)) or ""
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = lxml.html.document_fromstring(markup.encode(errors="replace"), parser=parser)
    except lxml.etree.ParserError:
        return PageLinks()
    wishes = _wishes(root)
    base = _whole(_first(root.xpath("//base/@href")), base_url) or base_url
    links, cut = _taken(_targets(root, base), MAX_LINKS)
    canonical = _whole(_first(root.xpath(_CANONICAL)), base)
    return PageLinks(links, canonical, bool(wishes & {"noindex", "none"}), bool(wishes & {"nofollow", "none"}), cut=cut)


def sitemap(data: bytes) -> PageLinks:
    """The pages and further sitemaps that a sitemap lists: XML, or one address a line; packed by gzip or not.

    Raises IngestionError ("too_large", "damaged").
    """
    data = _unpacked(data)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = (decode(data) or "").split()
        links, cut = _taken((_whole(line, None) for line in lines), MAX_ENTRIES)
        return PageLinks(links, cut=cut)
    if _DECLARES.search(data):
        raise IngestionError("damaged", "The sitemap declares entities, which sitemaps do not have.")
    pages, sitemaps = _entries(data)
    links, cut = _taken(pages, MAX_ENTRIES)
    indexed, more = _taken(sitemaps, MAX_SITEMAPS)
    if not links and not indexed and not _is_sitemap(data):
        raise IngestionError("damaged", "This is not a sitemap.")
    return PageLinks(links, sitemaps=indexed, cut=cut or more)


def _wishes(root: _Element) -> set[str]:
    named = (element for element in root.iter("meta") if (element.get("name") or "").strip().lower() in _ROBOTS)
    return {word.strip().lower() for element in named for word in re.split(r"[,\s]+", element.get("content") or "")}


def _targets(root: _Element, base: str) -> Iterator[str | None]:
    for element in root.iter("a", "area"):
        href = element.get("href")
        if href and not _NOT_FOLLOWED.search(element.get("rel") or ""):
            yield _whole(href, base)


def _entries(data: bytes) -> tuple[list[str | None], list[str | None]]:
    """The addresses of <url> and of <sitemap> elements, in whatever namespace."""
    pages: list[str | None] = []
    sitemaps: list[str | None] = []
    reading = lxml.etree.iterparse(
        io.BytesIO(data), resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False
    )
    for _, element in reading:
        parent = element.getparent()
        if _name(element) == "loc" and parent is not None and _name(parent) in ("url", "sitemap"):
            (pages if _name(parent) == "url" else sitemaps).append(_whole(element.text, None))
        elif _name(element) in ("url", "sitemap"):
            element.clear()
    return pages, sitemaps


def _is_sitemap(data: bytes) -> bool:
    return re.search(rb"<(\w+:)?(urlset|sitemapindex)\b", data[:4096]) is not None


def _name(element: _Element) -> str:
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _whole(reference: str | None, base: str | None) -> str | None:
    """An address of the web without its fragment; None for what is none, such as mailto:."""
    reference = re.sub(r"[\t\r\n]", "", reference or "").strip()
    if not reference or len(reference) > _MAX_URL:
        return None
    try:
        url = urldefrag(reference if base is None else urljoin(base, reference)).url
        return url if urlsplit(url).scheme in _SCHEMES and len(url) <= _MAX_URL else None
    except ValueError:
        return None


def _taken(found: Iterable[str | None], most: int) -> tuple[tuple[str, ...], bool]:
    links: dict[str, None] = {}
    for one in found:
        if one is not None and one not in links:
            if len(links) == most:
                return tuple(links), True
            links[one] = None
    return tuple(links), False


def _first(found: list[str]) -> str | None:
    return found[0] if found else None


def _unpacked(data: bytes) -> bytes:
    """What gzip packed, at most 50 MiB of it; other data as it is."""
    parts, room = [], _MAX_UNPACKED
    for _ in range(_MAX_MEMBERS):
        if not data.startswith(b"\x1f\x8b"):
            break
        member = zlib.decompressobj(_GZIP)
        try:
            parts.append(member.decompress(data, room + 1))
        except zlib.error:
            raise IngestionError("damaged", "The sitemap is packed and cannot be unpacked.") from None
        room -= len(parts[-1])
        if room < 0 or not member.eof:
            raise IngestionError("too_large", "The sitemap is larger than 50 MiB, or cut off.")
        data = member.unused_data
    return b"".join(parts) if parts else data
