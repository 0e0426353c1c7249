"""The text that a person wrote in an HTML mail, without what it quotes and without what nobody sees.

Sources: what mail programs put around the message that they answer (shared reference, section 8). The document is
walked once and changed nowhere: a hostile mail costs no more than its size.
"""

import re
from itertools import islice

import lxml.html
from lxml.etree import LxmlError, ParserError
from lxml.html import HtmlElement

from app.channels.mail_quotes import FORWARDED

_UNSEEN = frozenset(("head", "script", "style", "title", "template", "noscript"))
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|mso-hide\s*:\s*all", re.I
)
_QUOTE_CLASSES = re.compile(r"gmail_quote|(?:^|\s)gmail_attr(?:\s|$)|yahoo_quoted|protonmail_quote|moz-cite-prefix")
_QUOTE_IDS = frozenset(("OLK_SRC_BODY_SECTION", "mail-editor-reference-message-container"))
_SIGNATURE_CLASSES = re.compile("gmail_signature|moz-signature")
# From here on to the end everything is quoted.
_ENDS = frozenset(("divRplyFwdMsg", "appendonsend", "x_divRplyFwdMsg", "x_appendonsend"))
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "body", "div", "dl", "dt", "dd", "fieldset", "footer", "form", "h1"),
        *("h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul"),
    )
)
_LONGEST_ATTRIBUTE = 400


def html_text(html: str, *, quotes: bool) -> str:
    """HTML as text, a line for each block; "" for what cannot be read. With `quotes` also what it quotes."""
    data = html.encode()
    if not data.strip():
        return ""
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = lxml.html.document_fromstring(data, parser=parser)
    except (LxmlError, ParserError, ValueError):
        return ""
    return _walk(root, quotes=quotes)


def _walk(root: HtmlElement, *, quotes: bool) -> str:
    """Without recursion, however deep the elements are nested."""
    out: list[str] = []
    stack: list[tuple[HtmlElement, bool]] = [(root, False)]
    while stack:
        element, closing = stack.pop()
        tag = element.tag if isinstance(element.tag, str) else ""
        if not closing:
            if not quotes and element.get("id") in _ENDS:
                break
            stack.append((element, True))
            if not tag or _is_unseen(element, tag) or (not quotes and _is_left_out(element, tag)):
                continue
            _open(out, tag)
            if element.text:
                out.append(re.sub(r"\s+", " ", element.text))
            stack.extend((child, False) for child in reversed(element))
            continue
        if tag in _BLOCKS:
            _break(out, tag)
        if element is not root and element.tail:
            out.append(re.sub(r"\s+", " ", element.tail))
    lines = "".join(out).split("\n")
    return "\n".join(re.sub(r"[ \t]+", " ", line).strip() for line in lines)


def _is_unseen(element: HtmlElement, tag: str) -> bool:
    if tag in _UNSEEN or element.get("hidden") is not None:
        return True
    style = element.get("style")
    return style is not None and _HIDDEN.search(style[:_LONGEST_ATTRIBUTE]) is not None


def _is_left_out(element: HtmlElement, tag: str) -> bool:
    """Whether an element is a signature, or a quote; what is forwarded is quoted to be read."""
    classes = (element.get("class") or "")[:_LONGEST_ATTRIBUTE]
    if _SIGNATURE_CLASSES.search(classes):
        return True
    cited = tag == "blockquote" and (element.get("type") or "").lower() == "cite"
    if not cited and not _QUOTE_CLASSES.search(classes) and element.get("id") not in _QUOTE_IDS:
        return False
    begins = "".join(islice(element.itertext(), 20))[:200]
    return FORWARDED.match(begins) is None


def _open(out: list[str], tag: str) -> None:
    if tag == "br":
        out.append("\n")
    elif tag in _BLOCKS:
        _break(out, tag)
    elif tag in ("td", "th"):
        out.append(" ")


def _break(out: list[str], tag: str) -> None:
    """Begin a line, if one is begun; around a paragraph, an empty one between."""
    while out and out[-1] == " ":
        out.pop()
    if out and not out[-1].endswith("\n"):
        out.append("\n")
    if tag == "p" and out and out[-1] != "\n\n":
        out[-1] = "\n\n"
