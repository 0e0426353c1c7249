"""Addresses and long numbers that stand in a reply without the words they have in the passages.

Whoever planted one in a document gets it out alone, after an answer, or in the middle of one. A reply that gives an
address says what it is for, and so does the passage that has it.
"""

import re
from collections.abc import Sequence

from graphs.support.facts import phones_apart
from graphs.support.leaks import IBAN
from graphs.support.text import content, language_of, sentences
from graphs.support.urls import refused, without_addresses
from graphs.support.vocabulary import is_quote

_BESIDE = 2
# Whoever asks for an address gets it, with or without words.
_ASKED_FOR = re.compile(
    r"\b(?:web ?sites?|sites?|pages?|links?|urls?|webs?|address(?:es)?|e-?mails?|mails?|phones?|telephones?|numbers?|"
    r"calls?|contact\w*|reach|write to|adress\w*|seite|nummer|telefon\w*|kontakt\w*|anruf\w*|erreich\w*|webseite|"
    r"correo|direcci\w+|tel[eé]fono|n[uú]mero|p[aá]gina|enlace|escrib\w+|llam\w+|"
    r"adresse|t[eé]l[eé]phon\w*|num[eé]ro|lien|joindre|courriel|indirizz\w+|telefon\w+|numer\w+|collegamento|endere\w+|telefone|liga[rç]\w*|"
    r"adres|nummer|bellen|strona|adres\w*|сайт\w*|адрес\w*|почт\w*|пошт\w*|телефон\w*|номер\w*|контакт\w*|ссылк\w*|посилан\w*|связаться|зв'язатися|"
    r"ba[gğ]lant[iı]\w*|telefon\w*|numara\w*)\b|网址|电话|邮箱|联系|地址|電話|メール|連絡|住所|リンク|رقم|هاتف|بريد|موقع|عنوان",
    re.IGNORECASE,
)


def stray(said: Sequence[str], sources: Sequence[str], asked: str, prefixes: Sequence[str]) -> list[str]:
    """Those of the reply's sentences that no source uses beside the same words, as written; none that was asked for.

    Those under the `prefixes` of the agent's settings may stand anywhere, and so may those of a sentence that is a
    quote.
    """
    if _ASKED_FOR.search(asked):
        return []
    found = [
        address
        for text in said
        if (candidates := [*refused(text, (), prefixes), *_numbers(text)]) and not _is_quoted(text, sources)
        for address in candidates
        if not _belongs(address, text, sources, asked)
    ]
    return list(dict.fromkeys(found))


def _is_quoted(text: str, sources: Sequence[str]) -> bool:
    """Whether the sentence is a quote; an address alone is one of wherever it stands, which says nothing."""
    return len(re.findall(r"[^\W\d_]+", without_addresses(text))) > _BESIDE and is_quote(text, sources)


def _numbers(text: str) -> list[str]:
    """Phone numbers and accounts."""
    phones, rest = phones_apart(without_addresses(text))
    return [*phones, *(match.group() for match in IBAN.finditer(rest))]


def _belongs(address: str, text: str, sources: Sequence[str], asked: str) -> bool:
    """Whether a source has the address in a sentence with words of this one, or of the question if it has none."""
    language = language_of(text) or language_of("\n".join(sources))
    topic = set(content(text.replace(address, " "), language)) - set(content(address, language))
    wanted = topic or set(content(asked, language))
    least = min(_BESIDE, len(wanted) or 1) if topic else _BESIDE
    lines = [line for source in sources for line in sentences(source) if _bare(address) in _bare(line)]
    return any(len(wanted & set(content(line, language))) >= least for line in lines)


def _bare(text: str) -> str:
    return re.sub(r"[\s()./-]", "", text).casefold()
