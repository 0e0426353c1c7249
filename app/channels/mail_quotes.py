"""What a person wrote in a plain text, told from what their mail program repeats of the mail that they answer.

Source: what mail programs put there, in their languages (shared reference, section 8). Every pattern is tried on one
line, or on three, of a bounded length, and takes time in proportion to it.
"""

import re
from collections.abc import Sequence

# Lines like "On that day that person wrote:", as programs begin them.
_BEGINS_WROTE = "|".join(
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
        r".*\btarihinde.*\byazdı",
    )
)
# Such lines whose beginning is anybody's: a person writes them, too.
_ENDS_WROTE = "|".join(
    (
        r".*\bskrev",
        r".*\bkirjoitti",
        r".*\b(на)?писа(в|л|ла|ли)\s?(\(-?\w+\))?",
        r".*\b(пише|пишет)",
        r".*\bescribió",
        r".*\b(wrote|writes)",
        r".*のメール|.*が書きました",
        r".*님이 (작성|썼습니다).*",
        r".*(写道|寫道)",
    )
)
_BEGUN = re.compile(rf"(?:{_BEGINS_WROTE})", re.IGNORECASE)
_ENDED = re.compile(rf"(?:{_ENDS_WROTE})", re.IGNORECASE)
_TIME, _BRACKETED = re.compile(r"\d[:.]\d\d\b"), re.compile(r"<[^<>@]+@[^<>@]+>")
_MOMENT = re.compile(r"\d[:.]\d\d\b|\b(?:19|20)\d\d\b")
_SEPARATORS = frozenset(
    (
        *(
            "original message",
            "ursprüngliche nachricht",
            "message d'origine",
            "mensaje original",
            "messaggio originale",
        ),
        *("mensagem original", "oorspronkelijk bericht", "wiadomość oryginalna", "původní zpráva"),
        *("oprindelig meddelelse", "ursprungligt meddelande", "исходное сообщение", "вихідне повідомлення"),
        *("оригінальне повідомлення", "orijinal mesaj", "reply above this line"),
    )
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
# What only a mail has, no list of a person's.
_OF_A_MAIL = re.compile(
    r"[*\s]*(?:sent|subject|gesendet|betreff|envoyé|objet|enviado|asunto|inviato|oggetto|assunto|verzonden|onderwerp|"
    r"wysłano|temat|odesláno|předmět|sendt|emne|skickat|ämne|отправлено|тема|надіслано|gönderildi|konu|发送时间|主题)"
    r"\b[^:]{0,12}:",
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
# What is forwarded is there to be read.
FORWARDED = re.compile(
    r"\s*(?:-{3,}\s*)?(?:begin )?(?:forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado|"
    r"messaggio inoltrato|mensagem encaminhada|doorgestuurd bericht|przekazana wiadomość|wiadomość przekazana|"
    r"přeposlaná zpráva|videresendt meddelelse|vidarebefordrat meddelande|iletilen ileti|пересылаемое сообщение|"
    r"переслане повідомлення|转发的邮件|転送されたメッセージ)",
    re.I,
)
_PGP = re.compile(
    r"\A-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z]+: [^\n]*\n)*\n(?P<text>.*?)\n-----BEGIN PGP SIGNATURE-----",
    re.DOTALL,
)
_MOST_LINE = 400
_LOOKAHEAD, _ENOUGH = 6, 2


def without_history(text: str, *, forwarded: bool = False) -> str:
    """A plain text without quoted lines, without what follows an answer's first quoted header, without signature.

    Of one that is `forwarded` nothing but the signature goes.
    """
    text = tidy(text)
    signed = _PGP.match(text)
    lines = (signed["text"] if signed else text).split("\n")
    kept: list[str] = []
    at, quoting = 0, False
    while at < len(lines):
        line = lines[at]
        if forwarded or _is_forwarded(line):
            kept += lines[at:]
            break
        taken = _attribution(lines, at)
        if taken:
            at = _next_written(lines, at + taken)
            quoting = at < len(lines) and _is_marked(lines[at])
            if quoting:
                # What is quoted goes line by line: the answer may stand below it, or in between.
                continue
            break
        if _is_separator(line) or _SIGNATURE.fullmatch(line) or _heads_a_quote(lines, at):
            break
        quoting = _is_marked(line) and (quoting or _is_quoted(lines, at))
        if not quoting:
            kept.append(line)
        at += 1
    while kept and (not kept[-1].strip() or _DEVICE.fullmatch(kept[-1].strip()[:_MOST_LINE])):
        kept.pop()
    return tidy("\n".join(kept))


def tidy(text: str) -> str:
    """One kind of line end, no blanks at line ends, at most one empty line at a time, none around."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n").strip()


def _attribution(lines: Sequence[str], at: int) -> int:
    """Of how many lines from here on "On that day that person wrote:" is made; 0 if it is none."""
    if not lines[at].strip() or _is_marked(lines[at]):
        return 0
    joined = ""
    for count, line in enumerate(lines[at : at + 3], 1):
        joined = f"{joined} {line.strip()}".strip()
        if len(joined) > _MOST_LINE or not line.strip():
            return 0
        if joined.endswith((":", "：")):
            following = _next_written(lines, at + count)
            quotes = following < len(lines) and _is_marked(lines[following])
            return count if _is_attribution(joined[:-1].rstrip(), quotes=quotes, one_line=count == 1) else 0
    return 0


def _is_attribution(line: str, *, quotes: bool, one_line: bool) -> bool:
    """Whether a program wrote a line, less its colon: it quotes right below, or names an address, or a moment."""
    begin = next((index for index, each in enumerate(line) if each.isalnum()), len(line))
    line = line[begin:]
    if (moment := _TIME.search(line)) and _BRACKETED.search(line, moment.end()):
        # In any language.
        return True
    if _BEGUN.fullmatch(line):
        return quotes or "@" in line or (one_line and _MOMENT.search(line) is not None)
    return _ENDED.fullmatch(line) is not None and (quotes or "@" in line)


def _next_written(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


def _is_marked(line: str) -> bool:
    return line.lstrip().startswith(">")


def _is_quoted(lines: Sequence[str], at: int) -> bool:
    """Whether a line that begins with ">" is a quoted one: "> so", or one of several; ">30 is too much" is not."""
    rest = lines[at].lstrip().lstrip(">")
    return not rest or rest[0].isspace() or (at + 1 < len(lines) and _is_marked(lines[at + 1]))


def _is_forwarded(line: str) -> bool:
    found = FORWARDED.match(line[:_MOST_LINE])
    return found is not None and (line.lstrip().startswith("---") or line.rstrip().endswith((":", "：")))


def _is_separator(line: str) -> bool:
    """Whether a line is "-----Original Message-----"."""
    words = line[:_MOST_LINE].strip("-_ ")
    return line[:1] in ("-", "_", " ") and len(line) - len(words) >= 2 * _ENOUGH and words.lower() in _SEPARATORS


def _heads_a_quote(lines: Sequence[str], at: int) -> bool:
    """Whether the headers of a quoted message stand here: From, and two others close by; or a rule above them.

    A person writes "From: Berlin", "To: Kyiv", too: a mail's From has an address, or its headers say more.
    """
    if _RULE.fullmatch(lines[at][:_MOST_LINE]):
        following = [line for line in lines[at + 1 : at + 4] if line.strip()]
        return bool(following) and _FROM_LINE.match(following[0][:_MOST_LINE]) is not None
    if not _FROM_LINE.match(lines[at][:_MOST_LINE]):
        return False
    near = [line[:_MOST_LINE] for line in lines[at + 1 : at + 1 + _LOOKAHEAD]]
    if "@" not in lines[at]:
        near = near[: next((index for index, line in enumerate(near) if not line.strip()), len(near))]
        if not all(map(_OTHER_LINE.match, near)) or not any(map(_OF_A_MAIL.match, near)):
            return False
    return sum(_OTHER_LINE.match(line) is not None for line in near) >= _ENOUGH
