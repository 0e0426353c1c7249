"""Web pages: the main content by trafilatura, headings kept; the whole page's text where that finds too little."""

import copy
import re
from configparser import ConfigParser
from functools import cache

import lxml.html
import trafilatura
from lxml.etree import _Element

from ingestion.charsets import declared_charset
from ingestion.formats.text import decode
from ingestion.formats.tree import add_tree
from ingestion.sections import SectionBuilder
from ingestion.types import IngestionError, Limits, ParsedDocument

# What a visitor of the page does not read.
_UNREAD = (
    "//script | //style | //noscript | //template | //svg | //math | //iframe | //object | //embed | //canvas | //audio"
    " | //video | //select | //textarea | //datalist"
    " | //body//*[@hidden and @hidden != 'until-found'] | //body//*[@aria-hidden = 'true']"
)
_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|(font-size|opacity)\s*:\s*0*\.?0*\s*(;|!|px|em|rem|pt|%|$)",
    re.IGNORECASE,
)
_MENUS = ".//nav | .//*[@role = 'navigation']"
# The boxes that ask for consent to cookies: names in common use, and those of the services that make them. One that
# holds the page's own content is not such a box, whatever it is called.
_CONSENT = re.compile(
    r"(cookie|consent|gdpr|ccpa)s?[-_ ]?(banner|bar|consent|dialog|disclaimer|law|message|modal|notice|notification"
    r"|overlay|popup|wall)|\bcc-(window|banner|revoke)\b|onetrust|cookiebot|usercentrics|didomi|\btruste\b|termly"
    r"|iubenda-cs|qc-cmp|borlabs|klaro|osano-cm|cmplz|\bsp_message",
    re.IGNORECASE,
)
_CONTENT = "self::main or self::article or self::h1 or .//main or .//article or .//h1"
_EMPTY = "The page holds no text."
_SCRIPTED = (
    "The page holds no text of its own: it is made by JavaScript in the reader's browser, which is not run here."
)
_PLACEHOLDER = re.compile(
    r"javascript|^\W*(loading|please wait|wird geladen|laden|chargement|cargando)\W*$", re.IGNORECASE
)
_PLACEHOLDER_WORDS = 25
# Below this share of the page's words or headings trafilatura took one box of several for the whole page.
_ENOUGH = 0.5


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """Sections by heading; raises IngestionError ("empty", "too_long", "too_complex")."""
    markup = decode(data, declared_charset(data)) or ""
    scripted = "<script" in markup.lower()
    body = read_html(markup)
    _drop_consent(body)
    if scripted and _is_placeholder(body):
        raise IngestionError("empty", _SCRIPTED)
    title = body.getparent().findtext("./head/title")
    builder = SectionBuilder(limits)
    content = _main_content(body)
    if heading := _lost_heading(body, content):
        builder.heading(1, heading)
    add_tree(content, builder)
    return builder.build(title=title, pages=0, empty=_SCRIPTED if scripted else _EMPTY)


def read_html(markup: str) -> _Element:
    """The body of a page or fragment without hidden parts; raises IngestionError ("empty", "too_complex")."""
    # libxml2 shows a NUL as a sign of its own.
    markup = markup.replace("\x00", "")
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        page = lxml.html.document_fromstring(markup.encode(errors="replace"), parser=parser)
    except lxml.etree.ParserError as error:
        raise IngestionError("empty", _EMPTY) from error
    if any("depth" in entry.message for entry in parser.error_log):
        raise IngestionError("too_complex", "The elements of the page are nested too deeply.")
    _drop(page, _UNREAD)
    for button in page.xpath("//button"):
        # One that opens a part of the page is a question or a heading; extractors drop every button.
        (button.drop_tag if _opens_a_part(button) else button.drop_tree)()
    for element in page.xpath("//body//*[@style]"):
        if _HIDING_STYLE.search(element.get("style")):
            element.drop_tree()
    body = page.find("./body")
    if body is None:
        raise IngestionError("empty", _EMPTY)
    return body


def _drop_consent(body: _Element) -> None:
    for box in body.xpath(".//*[@id or @class]"):
        named = _CONSENT.search(f"{box.get('id')} {box.get('class')}")
        if named and box.getparent() is not None and not box.xpath(_CONTENT):
            box.drop_tree()


def _is_placeholder(body: _Element) -> bool:
    """Whether all that stands there is what a page shows until its script has run, or when none can."""
    words = " ".join(body.itertext()).split()
    return len(words) <= _PLACEHOLDER_WORDS and _PLACEHOLDER.search(" ".join(words)) is not None


def _opens_a_part(button: _Element) -> bool:
    headed = any(outer.tag in ("h2", "h3", "h4", "summary") for outer in button.iterancestors())
    asks = "".join(button.itertext()).strip().endswith(("?", "？"))
    return headed or asks or "aria-expanded" in button.attrib or "aria-controls" in button.attrib


def _main_content(body: _Element) -> _Element:
    """What trafilatura takes for the content if it is enough of the page, else all of the page but its menus."""
    page = copy.deepcopy(body.getparent())
    _drop(body, _MENUS)
    mains = body.xpath(".//main | .//*[@role = 'main']")
    whole = mains[0] if len(mains) == 1 else body
    if not "".join(whole.itertext()).strip():
        return whole
    for favor_recall in (True, False):
        extract = _extract(page, favor_recall)
        if extract is not None and all(count(extract) >= _ENOUGH * count(whole) for count in (_words, _headings)):
            return extract
    return whole


def _extract(page: _Element, favor_recall: bool) -> _Element | None:
    # A copy, because trafilatura takes the tree apart.
    found = trafilatura.bare_extraction(
        copy.deepcopy(page),
        favor_recall=favor_recall,
        include_comments=False,
        include_tables=True,
        include_links=True,
        config=_config(),
    )
    return None if found is None else found.body


@cache
def _config() -> ConfigParser:
    """trafilatura's settings, but short pages are taken as they are: it would flatten them to one line."""
    config: ConfigParser = trafilatura.settings.use_config()
    config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "1")
    return config


def _lost_heading(body: _Element, content: _Element) -> str | None:
    """The page's only top heading if the content came without it, as when it stands outside the main box."""
    tops = body.findall(".//h1")
    text = " ".join("".join(tops[0].itertext()).split()) if len(tops) == 1 else ""
    return text if text not in " ".join("".join(content.itertext()).split()) else None


def _drop(root: _Element, path: str) -> None:
    for element in root.xpath(path):
        if element.getparent() is not None:
            element.drop_tree()


def _words(element: _Element) -> int:
    """Words outside of links: a menu is made of links, whatever its elements are called."""
    count = sum(len(text.split()) for text in element.itertext())
    return count - sum(len(text.split()) for link in element.iter("a", "ref") for text in link.itertext())


def _headings(element: _Element) -> int:
    return sum(1 for _ in element.iter("h2", "h3", "h4", "head"))
