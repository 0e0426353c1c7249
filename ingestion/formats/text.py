"""Plain text, and the character sets it comes in."""

import codecs
import re
import unicodedata

from charset_normalizer import from_bytes

from ingestion.sections import SectionBuilder
from ingestion.types import Limits, ParsedDocument

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The character sets that files really come in; among all that Python knows a short text fits some exotic one best.
_PLAUSIBLE = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "iso8859_2"),
    *("iso8859_5", "koi8_r", "koi8_u", "tis_620", "cp932", "euc_jp", "cp949", "gb18030", "big5"),
]
_STRANGE = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
# Bytes that are valid UTF-8 are hardly ever anything else, so some NULs and controls among them are let pass.
_STRANGE_IN_UTF8 = 0.3
_STRANGE_IN_LEGACY = 0.02
_SAMPLE = 64 * 1024


def parse(data: bytes, limits: Limits) -> ParsedDocument:
    """The text as one section, paragraphs as they are; raises IngestionError ("empty", "too_long")."""
    builder = SectionBuilder(limits)
    builder.block(decode(data) or "")
    return builder.build(title=None, pages=0)


def decode(data: bytes, declared: str | None = None) -> str | None:
    """The text in `data` by its byte order mark, as UTF-8, else in the `declared` or the likeliest character set.

    None means that it is not text.
    """
    charset = _marked_charset(data) or _utf16_without_mark(data)
    allowed = _STRANGE_IN_LEGACY
    if charset is None:
        try:
            text, allowed = data.decode("utf-8"), _STRANGE_IN_UTF8
        except UnicodeDecodeError:
            text = data.decode(declared or _likeliest_charset(data), errors="replace")
    else:
        text = data.decode(charset, errors="replace").removeprefix("\ufeff")
    return text if _share_of_strange(text) <= allowed else None


def _marked_charset(data: bytes) -> str | None:
    return next((charset for bom, charset in _BOMS if data.startswith(bom)), None)


def _utf16_without_mark(data: bytes) -> str | None:
    """UTF-16 if every second byte is mostly NUL on one side only, as in text of European languages."""
    pairs = len(data[:_SAMPLE]) // 2
    if len(data) % 2 or not pairs:
        return None
    second, first = (data[start : 2 * pairs : 2].count(0) / pairs for start in (1, 0))
    mostly, hardly = 0.7, 0.05
    if second > mostly and first <= hardly:
        return "utf-16-le"
    return "utf-16-be" if first > mostly and second <= hardly else None


def _likeliest_charset(data: bytes) -> str:
    matches = from_bytes(data[: 16 * _SAMPLE], cp_isolation=_PLAUSIBLE)
    best = matches.best()
    if best is None:
        return "cp1252"
    # Western and Central European sets often fit equally well; the Western one is by far the more common.
    equal = (match for match in matches if match.chaos == best.chaos and match.coherence > best.coherence - 0.1)
    return "cp1252" if any("cp1252" in match.could_be_from_charset for match in equal) else best.encoding


def _share_of_strange(text: str) -> float:
    """The part of `text` that is controls, broken or unassigned characters, from 0 to 1."""
    sample = text[:_SAMPLE]
    unassigned = {character for character in set(sample) if unicodedata.category(character) == "Cn"}
    strange = len(_STRANGE.findall(sample)) + sum(sample.count(character) for character in unassigned)
    return strange / max(len(sample), 1)
