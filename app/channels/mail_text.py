"""What a person wrote in a mail: its body as text, without quoted history and signature.

Sources: RFC 2045 to 2049 (parts, charsets), RFC 3676 4.3 (the signature's line), and what mail programs put around the
message that they answer (shared reference, section 8). Every pattern is tried on one line, or on three, of a bounded
length: a hostile mail costs no more than its size.
"""

import re
from collections.abc import Iterator, Sequence
from email.message import Message

import lxml.html
from lxml.etree import LxmlError, ParserError
from lxml.html import HtmlElement

from app.channels.mail_headers import decoded
from app.text import clean
from ingestion.charsets import in_utf8, web_charset

# More than that no person writes, and no model reads.
_MOST_CHARACTERS = 200_000
_MOST_HTML_BYTES = 4 * 1024 * 1024
_MOST_PARTS = 500
# Where an answer begins to repeat what it answers, in the languages of mail programs.
_WROTE = "|".join(
    (
        r"on\b.*\bwrote",
        r"am\b.*\bschrieb.*",
        r"le\b.*\ba écrit",
        r"el\b.*\bescribió",
        r"il\b.*\bha scritto",
        r"(em|a|no dia)\b.*\bescreveu",
        r"op\b.*\bschreef.*",
        r"(w dniu|dnia|śr\.|pon\.|wt\.|czw\.|pt\.|sob\.|niedz\.|\d).*\bnapisał(\(a\)|a|o)?",
        r"(dne|\w\w \d).*\bnapsal(\(a\)|a)?",
        r"den\b.*\bskrev.*",
        r".*\bskrev",
        r".*\bkirjoitti",
        r".*\b(на)?писа(в|л|ла|ли)\s?(\(-?\w+\))?",
        r".*\b(пише|пишет)",
        r".*\btarihinde.*\byazdı",
        r".*\bescribió",
        r".*\b(wrote|writes)",
        r".*のメール|.*が書きました",
        r".*님이 (작성|썼습니다).*",
        r".*(写道|寫道)",
        # In any language: a time, and an address in brackets.
        r".*\d[:.]\d\d\b.*<[^<>]+@[^<>]+>",
    )
)
_ATTRIBUTION = re.compile(rf"[\W_]*(?:{_WROTE})\s*[:：]\s*", re.IGNORECASE)
_SEPARATOR = re.compile(
    r"[-_ ]{2,}\s*(?:original message|ursprüngliche nachricht|message d'origine|mensaje original|messaggio originale|"
    r"mensagem original|oorspronkelijk bericht|wiadomość oryginalna|původní zpráva|oprindelig meddelelse|"
    r"ursprungligt meddelande|исходное сообщение|вихідне повідомлення|оригінальне повідомлення|orijinal mesaj|"
    r"reply above this line)\s*[-_ ]{2,}",
    re.IGNORECASE,
)
_FROM_LINE = re.compile(
    r"[*\s]*(?:from|von|de|da|od|fra|van|från|от|від|kimden|发件人|寄件者|差出人|보낸 ?사람)\b\s*:", re.I
)
_OTHER_LINE = re.compile(
    r"[*\s]*(?:sent|to|subject|date|cc|gesendet|an|betreff|datum|envoyé|à|objet|enviado|para|asunto|fecha|inviato|a|"
    r"oggetto|data|assunto|verzonden|aan|onderwerp|wysłano|do|temat|odesláno|komu|předmět|sendt|til|emne|skickat|till|"
    r"ämne|отправлено|кому|тема|дата|копия|надіслано|копія|gönderildi|kime|konu|tarih|发送时间|收件人|主题)\b[^:]{0,12}:",
    re.I,
)
_RULE = re.compile(r"[_-]{20,}\s*")
_SIGNATURE = re.compile(r"--\s?")
_DEVICE = re.compile(
    r"(?:sent from (?:my|outlook|mail for|yahoo)|get outlook for|gesendet von|envoyé de(?:puis)? mon|enviado desde mi|"
    r"enviado do meu|inviato da|verzonden vanaf|wysłano z|odesláno z|sendt fra min|skickat från min|"
    r"отправлено (?:с|из) |надіслано (?:з|із) ).{0,80}",
    re.IGNORECASE,
)
_FORWARDED = re.compile(r"\s*(?:-{3,}\s*)?(?:forwarded message|weitergeleitete nachricht|пересылаемое|переслане)", re.I)
_MOST_LINE = 400
_LOOKAHEAD, _ENOUGH = 6, 2

_QUOTES = (
    "//*[contains(concat(' ', normalize-space(@class), ' '), ' gmail_attr ')]",
    "//*[contains(@class, 'gmail_quote') or contains(@class, 'yahoo_quoted') or contains(@class, 'protonmail_quote')]",
    "//*[contains(@class, 'moz-cite-prefix')]",
    "//blockquote[translate(@type, 'CITE', 'cite') = 'cite']",
    "//*[@id='OLK_SRC_BODY_SECTION' or @id='mail-editor-reference-message-container']",
)
_FROM_HERE = "//*[@id='divRplyFwdMsg' or @id='appendonsend' or @id='x_divRplyFwdMsg' or @id='x_appendonsend']"
_SIGNATURES = "//*[contains(@class, 'gmail_signature') or contains(@class, 'moz-signature')]"
# What nobody sees is not what a person wrote.
_UNSEEN = "//head|//script|//style|//title|//template|//noscript|//comment()|//processing-instruction()|//*[@hidden]"
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|mso-hide\s*:\s*all", re.I
)
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "body", "div", "dl", "dt", "dd", "fieldset", "footer", "form", "h1"),
        *("h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul"),
    )
)


def body_text(message: Message) -> str:
    """What was written, without what it answers and without a signature; all of it if nothing else is left."""
    plain, html = _bodies(message)
    if plain.strip():
        return without_history(plain) or _tidy(plain)
    return _html_text(html)


def attachment_names(message: Message) -> tuple[str, ...]:
    """The file names of a mail's attachments, "" for one without a name."""
    return tuple(_file_name(part) for part in _leaves(message) if _is_attachment(part))


def without_history(text: str) -> str:
    """A plain text without quoted lines, without what follows an answer's first quoted header, without signature."""
    lines = _tidy(text).split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        taken = _attribution(lines, at)
        if taken:
            at += taken
            while at < len(lines) and not lines[at].strip():
                at += 1
            if at < len(lines) and lines[at].lstrip().startswith(">"):
                # What is quoted goes line by line: the answer may stand below it, or in between.
                continue
            break
        if _SEPARATOR.fullmatch(line[:_MOST_LINE]) or _SIGNATURE.fullmatch(line) or _heads_a_quote(lines, at):
            break
        if not line.lstrip().startswith(">"):
            kept.append(line)
        at += 1
    while kept and (not kept[-1].strip() or _DEVICE.fullmatch(kept[-1].strip()[:_MOST_LINE])):
        kept.pop()
    return _tidy("\n".join(kept))


def _attribution(lines: Sequence[str], at: int) -> int:
    """Of how many lines from here on "On that day that person wrote:" is made; 0 if it is none."""
    if not lines[at].strip() or lines[at].lstrip().startswith(">"):
        return 0
    joined = ""
    for count, line in enumerate(lines[at : at + 3], 1):
        joined = f"{joined} {line.strip()}".strip()
        if len(joined) > _MOST_LINE or not line.strip():
            return 0
        if joined.endswith((":", "：")):
            if not _ATTRIBUTION.fullmatch(joined):
                return 0
            follows = next((each for each in lines[at + count :] if each.strip()), "")
            # A person may end a line like that, too; a program names a time or an address, or quotes at once.
            return count if re.search(r"\d|@", joined) or follows.lstrip().startswith(">") else 0
    return 0


def _heads_a_quote(lines: Sequence[str], at: int) -> bool:
    """Whether the headers of a quoted message stand here: From, and two others close by; or a rule above them."""
    if _RULE.fullmatch(lines[at][:_MOST_LINE]):
        following = [line for line in lines[at + 1 : at + 4] if line.strip()]
        return bool(following) and _FROM_LINE.match(following[0][:_MOST_LINE]) is not None
    if not _FROM_LINE.match(lines[at][:_MOST_LINE]):
        return False
    near = lines[at + 1 : at + 1 + _LOOKAHEAD]
    return sum(_OTHER_LINE.match(line[:_MOST_LINE]) is not None for line in near) >= _ENOUGH


def _bodies(message: Message) -> tuple[str, str]:
    """All inline plain text of a mail, and all its inline HTML: alternatives are two forms of one."""
    plain: list[str] = []
    html: list[str] = []
    for part in _leaves(message):
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and not _is_attachment(part):
            (plain if kind == "text/plain" else html).append(_decoded(part))
    return "\n".join(plain), "\n".join(html)


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold content, in order; a mail within the mail is one, and not looked into."""
    waiting, seen = [message], 0
    while waiting and seen < _MOST_PARTS:
        part = waiting.pop()
        seen += 1
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting.extend(part for part in reversed(payload) if isinstance(part, Message))
        else:
            yield part


def _is_attachment(part: Message) -> bool:
    if part.get_content_type() == "message/rfc822" or part.get_content_disposition() == "attachment":
        return True
    # A picture within the text (Content-ID) is one as well: it is not text.
    return bool(part.get_filename()) or part.get_content_maintype() not in ("text", "multipart", "message")


def _file_name(part: Message) -> str:
    name = part.get_filename()
    return decoded(name) if name else ""


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    if charset is not None and web_charset(charset) is None:
        charset = None
    if charset is not None and charset.lower().startswith(("utf-16", "utf-32")):
        # Only these have marks of their own.
        text = data.decode(charset, errors="replace")
    else:
        # Plain bytes without a name are most often UTF-8, and else what a Western Windows writes.
        text = in_utf8(data, charset or "cp1252").decode("utf-8", errors="replace")
    return clean(text.removeprefix("\ufeff"))[:_MOST_CHARACTERS]


def _html_text(html: str) -> str:
    """HTML as text, without quotes and signature; with them if nothing is left."""
    root = _parsed(html)
    if root is None:
        return ""
    for quote in _found(root, _QUOTES):
        if not _FORWARDED.match(quote.text_content()[:200]):
            _drop(quote)
    for start in _found(root, (_FROM_HERE,)):
        _drop_from(start)
    for signature in _found(root, (_SIGNATURES,)):
        _drop(signature)
    left = without_history(_as_text(root))
    if left:
        return left
    whole = _parsed(html)
    return "" if whole is None else _tidy(_as_text(whole))


def _parsed(html: str) -> HtmlElement | None:
    data = html.encode()[:_MOST_HTML_BYTES]
    if not data.strip():
        return None
    try:
        root = lxml.html.document_fromstring(data, parser=lxml.html.HTMLParser(encoding="utf-8", huge_tree=False))
    except (LxmlError, ParserError, ValueError):
        return None
    for unseen in _found(root, (_UNSEEN,)):
        _drop(unseen)
    for styled in _found(root, ("//*[@style]",)):
        if _HIDDEN.search(styled.get("style", "")[:_MOST_LINE]):
            _drop(styled)
    return root


def _found(root: HtmlElement, paths: Sequence[str]) -> list[HtmlElement]:
    return [element for path in paths for element in root.xpath(path)]


def _drop(element: HtmlElement) -> None:
    if element.getparent() is not None:
        element.drop_tree()


def _drop_from(element: HtmlElement) -> None:
    """Drop an element and all that follows it in the document."""
    at: HtmlElement | None = element
    while at is not None and at.getparent() is not None:
        for later in list(at.itersiblings()):
            at.getparent().remove(later)
        at.tail = None
        at = at.getparent()
    _drop(element)


def _as_text(root: HtmlElement) -> str:
    """The text that a reader sees, a line for each block; without recursion, however deep it is nested."""
    out: list[str] = []
    stack: list[tuple[HtmlElement, bool]] = [(root, False)]
    while stack:
        element, closing = stack.pop()
        tag = element.tag if isinstance(element.tag, str) else ""
        if closing:
            if tag in _BLOCKS:
                _break(out, tag)
            if element is not root and element.tail:
                out.append(re.sub(r"\s+", " ", element.tail))
            continue
        if tag == "br":
            out.append("\n")
        elif tag in _BLOCKS:
            _break(out, tag)
        elif tag in ("td", "th"):
            out.append(" ")
        if tag and element.text:
            out.append(re.sub(r"\s+", " ", element.text))
        stack.append((element, True))
        stack.extend((child, False) for child in reversed(element))
    lines = "".join(out).split("\n")
    return "\n".join(re.sub(r"[ \t]+", " ", line).strip() for line in lines)


def _break(out: list[str], tag: str) -> None:
    """Begin a line, if one is begun; around a paragraph, an empty one between."""
    while out and out[-1] == " ":
        out.pop()
    if out and not out[-1].endswith("\n"):
        out.append("\n")
    if tag == "p" and out and out[-1] != "\n\n":
        out[-1] = "\n\n"


def _tidy(text: str) -> str:
    """One kind of line end, no blanks at line ends, at most one empty line at a time, none around."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n").strip()
