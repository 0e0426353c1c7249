"""Character sets by the names that the web gives them."""

import codecs
import re

# WHATWG Encoding: browsers read the narrower names as the wider sets, and pages count on it.
_AS_BROWSERS_DO = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "us-ascii", "ascii", "x-cp1252"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5", "x-cp1254"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620", "windows-874"), "cp874"),
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk", "x-gbk", "chinese"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "korean"), "cp949"),
    **{"x-cp1250": "cp1250", "x-cp1251": "cp1251", "x-mac-cyrillic": "mac_cyrillic"},
}


# Python knows codecs besides that are no character sets, and one of them (punycode) takes quadratic time.
_CODECS = re.compile(
    r"utf-8|utf-16(-[lb]e)?|utf-32(-[lb]e)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gb18030|big5(hkscs)?|euc_j\w+"
    r"|iso2022_\w+|shift_j\w+|johab|hz"
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:-]{2,40})", re.IGNORECASE)
_META_REACH = 4096
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def web_charset(name: str) -> str | None:
    """Python's codec for a character set named in a header or in <meta>, or None for one that cannot be used."""
    name = name.strip().lower()
    try:
        codec = codecs.lookup(_AS_BROWSERS_DO.get(name, name)).name
    except (LookupError, ValueError):
        return None
    return codec if _CODECS.fullmatch(codec) else None


def declared_charset(data: bytes) -> str | None:
    """The character set in a page's own <meta>, as browsers read it."""
    found = _META_CHARSET.search(data[:_META_REACH])
    return web_charset(found[1].decode("ascii")) if found else None


def in_utf8(data: bytes, charset: str | None) -> bytes:
    """Text in UTF-8 if it is in the `charset` that a header names; as it is if it is UTF-8 already or bears a mark.

    A header outranks what the text says of itself, but not what it is.
    """
    codec = web_charset(charset) if charset else None
    if codec is None or data.startswith(_BOMS) or _is_utf8(data, codec):
        return data
    return data.decode(codec, errors="replace").encode(errors="replace")


def _is_utf8(data: bytes, codec: str) -> bool:
    if codec.startswith(("utf-16", "utf-32")) and b"\x00" in data:
        # Plain English in UTF-16 is valid UTF-8 too.
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
