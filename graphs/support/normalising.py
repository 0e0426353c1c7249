"""Text as it is seen, and as it is scanned: what hides in it, what it says in other letters, and what is encoded in it.

Nothing here decides anything; `graphs.support.injection` reads what comes out. Look-alike letters follow Unicode TS 39
(confusables), as far as Latin ones can be written in Cyrillic and Greek.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from graphs.support.fleeting import of_a_run, of_an_hour

_INVISIBLE = {"Cc", "Cf", "Cs", "Co"}
_KEPT = {"\n", "\t", "\u200d"}  # the joiner holds emoji such as families together
# Letters and marks that draw nothing: fillers, a blank of Braille, joiners, variation selectors but that of emoji.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0e\U000e0100-\U000e01ef]")
_JOINER = re.compile(
    "(?<![\u2190-\u3299\ufe0f\U0001f000-\U0001faff])\u200d|\u200d(?![\u2190-\u3299\U0001f000-\U0001faff])"
)
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.S)
_UNSEEN_STYLE = (
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])|\bhidden\b|"
    r"color\s*:\s*(?:white|#fff(?:fff)?|transparent)\b|text-indent\s*:\s*-\d{3,}|left\s*:\s*-\d{3,}"
)
_UNSEEN = re.compile(
    rf"<(\w{{1,12}})\b[^<>]{{0,300}}(?:{_UNSEEN_STYLE})[^<>]{{0,300}}>.{{0,4000}}?</\1\s*>", re.S | re.I
)
_SCRIPT = re.compile(r"<(script|style|template|noscript)\b[^<>]{0,300}>.{0,8000}?</\1\s*>", re.S | re.I)

_PAIRS = (
    "аa вb еe іi јj кk мm нh оo рp сc ԁd тt уy хx ѕs ԛq ԝw һh ӏl ьb αa βb εe ιi κk νv οo ρp τt"
    " υu χx γy ωw ɡg ɩi оo սu օo ցg հh ոn ʀr ɪi ɴn ɑa"
)
_LOOK_ALIKE = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "’": "'", "‘": "'", "`": "'"})
_LATIN, _OTHER = re.compile(r"[a-z]"), re.compile(r"[а-яѐ-ӿα-ωɐ-ʯա-ֆ]")
_LOOK_ALIKE_WORD = re.compile(r"[авеіјкмнорсԁтухѕԛԝһӏ]{3,}")
_WORD = re.compile(r"[^\W_]+")
_LEET = str.maketrans("013457@$!|+€", "oieastasilte")
_LEET_WORD = re.compile(r"[\w@$!|+€]*(?:[a-z][0134579@$|€]|[01345@$|][a-z])[\w@$!|+€]*")
_LEET_SIGN = re.compile(r"[0134579@$|€](?:(?<=[a-z].)|(?=[a-z]))")
_SPELLED = re.compile(r"(?<!\w)(?:\w[ ._\-*/|·]{1,3}){3,}\w(?!\w)")
_GAP = re.compile(r" {2,}| ?/ ?| ?\| ?")

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x|%)?[0-9a-fA-F]{2}[ ,:]?){8,}")
# The same from the first digit on: a pattern that begins with one set of characters is found much sooner.
_HEX_WITHIN = re.compile(r"[0-9a-fA-F]{2}(?:[ ,:]?(?:0x|\\x|%)?[0-9a-fA-F]{2}){7}")
_BITS = re.compile(r"(?:[01]{8}\s?){4,}")
_BYTE = re.compile(r"[01]{8}")
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})")
_MOST_BLOBS, _MOST = 20, 20_000
_MORSE_LETTERS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
)
_MORSE = dict(
    zip(
        _MORSE_LETTERS.split(),
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
)
_MORSE_LEAST = 9
_MORSE_RUN = re.compile(r"(?:[.\-]{1,5}[ /]{1,3}){8,}[.\-]{1,5}")


def visible(text: str) -> str:
    """The text without what a reader cannot see: control, zero-width, tag and private characters, and hidden HTML.

    Line ends become `\\n`. What is left is left as it was written.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    if "<" in plain:
        plain = _SCRIPT.sub("", _UNSEEN.sub("", _COMMENT.sub("", plain)))
    if not plain.isascii() or not plain.isprintable():
        plain = _without(_BLANK.sub("", plain), lambda c: not _is_seen(c))
        plain = _JOINER.sub("", plain) if "\u200d" in plain else plain
    return plain.strip(" \n\t\u200d")


def _without(text: str, is_left_out: Callable[[str], bool]) -> str:
    """The text without some characters; a text has few different ones, so each is looked at once."""
    left_out = [c for c in set(text) if is_left_out(c)]
    return text.translate(dict.fromkeys(map(ord, left_out))) if left_out else text


def _is_seen(character: str) -> bool:
    # Unicode's plane of tags and selectors is never shown, nor what it has not assigned there.
    if "\U000e0000" <= character <= "\U000e0fff":
        return False
    return character in _KEPT or unicodedata.category(character) not in _INVISIBLE


def folded(text: str) -> str:
    """The text to look for words in: lower case, one form of each letter, no accents; `\\n` and blanks are kept."""
    return text.lower() if text.isascii() else _folded(text)


# A scan asks for the same text several times in a row.
@of_a_run(maxsize=8)
def _folded(text: str) -> str:
    bare = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    bare = _without(bare, lambda c: unicodedata.category(c) in ("Mn", "Cf"))
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


def readings(text: str) -> list[str]:
    """What a text says, folded: as it is written first, then in each way in which a model could read it otherwise."""
    text = text[:_MOST]
    plain = folded(visible(text))
    others = [_in_latin(plain), _joined(plain), _without_leet(plain), *(folded(found) for found in decoded(text))]
    return [plain, *dict.fromkeys(other for other in others if other and other != plain)]


def turned(text: str) -> list[str]:
    """The text by ROT13 and backwards, folded: to be looked at for plain orders only."""
    plain = folded(text)
    letters = re.sub(r"[^a-z ]", "", plain)
    backwards = " ".join(word[::-1] for word in plain.split())
    return [codecs.decode(plain, "rot13"), plain[::-1], backwards] if len(letters) > 8 else []  # noqa: PLR2004


def decoded(text: str) -> list[str]:
    """What is encoded in a text: Base64, hexadecimal, bits, escapes, entities, tag characters, Morse."""
    return list(_decoded(text))


@of_a_run(maxsize=8)
def _decoded(text: str) -> tuple[str, ...]:
    found = [
        "".join(chr(ord(c) - 0xE0000) for c in match.group() if c > "\U000e001f") for match in _TAGS.finditer(text)
    ]
    found += list(_blobs(text))
    if "&" in text and (plain := html.unescape(text)) != text:
        found.append(plain)
    if len(_PERCENT.findall(text)) > 2:  # noqa: PLR2004
        found.append(unquote(text.replace("+", " ")))
    if _ESCAPED.search(text):
        found.append(_ESCAPED.sub(lambda match: chr(int(match.group()[2:], 16)), text))
    return tuple(one for one in found if _speaks(one))


def _blobs(text: str) -> Iterator[str]:
    for count, match in enumerate(_BASE64.finditer(text)):
        if count < _MOST_BLOBS and (plain := _from_base64(match.group())):
            yield plain
    for match in _HEX.finditer(text) if _HEX_WITHIN.search(text) else ():
        yield _from_bytes(bytes.fromhex("".join(re.findall(r"[0-9a-fA-F]{2}", re.sub(r"0x|\\x", "", match.group())))))
    for match in _BITS.finditer(text) if _BYTE.search(text) else ():
        yield _from_bytes(bytes(int(bits, 2) for bits in re.findall(r"[01]{8}", match.group())))
    for match in _MORSE_RUN.finditer(text) if text.count(".") + text.count("-") >= _MORSE_LEAST else ():
        yield " ".join(
            "".join(_MORSE.get(one, "") for one in word.split()) for word in re.split("/| {2,}", match.group())
        )


def _from_base64(blob: str) -> str:
    bare = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _from_bytes(base64.b64decode(bare + "=" * (-len(bare) % 4)))
    except (binascii.Error, ValueError):
        return ""


def _from_bytes(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def _speaks(text: str) -> bool:
    """Whether what came out is a text and no chance: letters and blanks, nothing else to speak of."""
    letters = sum(character.isalpha() or character in " .,'!?\n" for character in text)
    return len(text) >= 6 and text.isprintable() | ("\n" in text) and letters >= 0.75 * len(text)  # noqa: PLR2004


def _in_latin(plain: str) -> str:
    """Words that mix alphabets, and whole ones made of look-alikes, in Latin letters."""
    if plain.isascii() or not (_OTHER.search(plain) or _LOOK_ALIKE_WORD.search(plain)):
        return plain
    return _WORD.sub(lambda match: _latin(match.group()), plain)


@of_an_hour(maxsize=16_384)
def _latin(word: str) -> str:
    mixed = _LATIN.search(word) and _OTHER.search(word)
    return word.translate(_LOOK_ALIKE) if mixed or _LOOK_ALIKE_WORD.fullmatch(word) else word


def spelled_out(text: str) -> list[str]:
    """The letters of each piece of a text that is spelled out."""
    return ["".join(filter(str.isalpha, match.group())) for match in _SPELLED.finditer(text)]


def _joined(plain: str) -> str:
    """Words that were spelled out (`i g n o r e`, `i.g.n.o.r.e`) in one piece; a wider gap ends a word."""

    def word(match: re.Match[str]) -> str:
        return " ".join(re.sub(r"[\W_]", "", part) for part in _GAP.split(match.group()))

    return _SPELLED.sub(word, plain)


def _without_leet(plain: str) -> str:
    if not _LEET_SIGN.search(plain):
        return plain
    return _LEET_WORD.sub(lambda match: match.group().translate(_LEET), plain)
