"""Words that a reply has of its own: what neither a cited passage says nor everybody does.

A code, a name or a brand that a text ordered has to come out as a word somewhere, whatever sentence it is put into. So
a word of a reply stands in the cited passages (or is of one stem with a word there), or is an ordinary one. What is
ordinary is told by word frequencies. What is stressed (capitals, quotes, digits inside) has to stand there whatever it
is, but for names that were asked about.
"""

import re
from collections.abc import Sequence

from graphs.support.frequencies import begins_known, frequency
from graphs.support.languages import COURTESY, NUMBER_WORDS, STOP
from graphs.support.normalising import folded
from graphs.support.text import content, related, sentences, stem, words
from graphs.support.urls import without_addresses

_ORDINARY = 3.0
_TOKEN = re.compile(r"[^\W_](?:[\w'’-]*[^\W_])?")
_QUOTED = re.compile(r"[\"“”«»„「『]([^\"“”«»„」』\n]{1,80})[\"“”«»」』]")
_CAPITALS, _LONG, _QUOTE_WORDS, _BESIDE = 3, 30, 4, 2
_FIRST_PERSON = re.compile(r"I(?:['’][a-z]{1,2})?")
# "12-year-old": `graphs.support.facts` looks after its number.
_COUNTED = re.compile(r"\d{1,3}(?:-[a-z]+){1,2}")
_START = re.compile(r"(?:^|[.!?¡¿…:;\n(\"“„«]|[-•*·–]\s)\s*$")
_OTHER_MARKS = re.compile(r"[<>{}\\^~`|=]|\[\w|\]\(|[\u2500-\u27bf\U0001f000-\U0001faff]{4,}")


def strange(
    texts: Sequence[str], sources: Sequence[str], allowed: str, language: str, translated: bool, asked: str = ""
) -> list[str]:
    """The words of the reply's sentences that nothing accounts for, as written; none of a sentence that is a quote.

    `allowed` has names that may be used, and those of ordinary words may that were `asked` about; `translated` says
    that the passages are in another language than the reply.
    """
    plain = [_squeezed(source) for source in sources]
    given = _Given.of("\n".join([*sources, allowed]), language)
    found = [
        word
        for text in texts
        if not _is_quote(text, sources, plain)
        for word in _strange(text, given, language, translated, frozenset(words(asked)))
    ]
    return list(dict.fromkeys(found))


def is_quote(text: str, sources: Sequence[str]) -> bool:
    """Whether a sentence is one of a source, or a good part of one."""
    return _is_quote(text, sources, [_squeezed(source) for source in sources])


def _is_quote(text: str, sources: Sequence[str], plain: Sequence[str]) -> bool:
    """A word or two are a part of any."""
    squeezed = _squeezed(text)
    if len(squeezed.split()) >= _QUOTE_WORDS:
        return any(squeezed in source for source in plain)
    return any(squeezed == _squeezed(line) for source in sources for line in sentences(source))


class _Given:
    """The words of the sources and their stems, and those of each of their sentences."""

    def __init__(self, said: frozenset[str], stems: frozenset[str], lines: Sequence[frozenset[str]]) -> None:
        self.said, self.stems, self.lines = said, stems, lines

    @classmethod
    def of(cls, text: str, language: str) -> "_Given":
        said = frozenset(words(text)) | {folded(token) for token in set(_TOKEN.findall(text))}
        lines = [frozenset(stem(word, language) for word in words(line)) for line in sentences(text)]
        return cls(said, frozenset(stem(word, language) for word in said), lines)

    def beside(self, word: str, others: frozenset[str], language: str) -> bool:
        """Whether a sentence has the word beside some of the others: a code that was ordered stands alone."""
        one = stem(word, language)
        return any(one in line and len(line & others) >= min(_BESIDE, len(others) or 1) for line in self.lines)

    def has(self, word: str, language: str) -> bool:
        one = stem(word, language)
        return word in self.said or folded(word) in self.said or one in self.stems or related(one, self.stems) > 0


def _strange(text: str, given: _Given, language: str, translated: bool, asked: frozenset[str]) -> list[str]:
    bare = without_addresses(text)
    quoted = {word for quote in _QUOTED.findall(bare) for word in words(quote)}
    topic = frozenset(one for one in content(bare, language) if not one.isdigit())
    own: list[str] = []
    for match in _TOKEN.finditer(bare):
        token = match.group()
        for word in words(token):
            if word.isdigit():
                continue
            coded = _in_capitals(token) or (_has_digits(token) and any(map(str.isalpha, token)))
            if given.has(word, language):
                if coded and not translated and not given.beside(word, topic - set(content(token, language)), language):
                    own.append(token)
                continue
            asked_about = word in asked and not coded
            named = not asked_about and _is_stressed(token, bare[: match.start()], word in quoted, language)
            silent = _says_nothing(word, language) and word not in quoted and not _in_capitals(token)
            if not silent and (named or not _is_ordinary(word, language)):
                own.append(token)
    return own + _OTHER_MARKS.findall(bare)


def _says_nothing(word: str, language: str) -> bool:
    return word in STOP.get(language, ()) or word in COURTESY or word in NUMBER_WORDS


def _is_stressed(token: str, before: str, quoted: bool, language: str) -> bool:
    """Whether a word stands out: in capitals, in quotes, with digits inside, or as a name within a sentence."""
    named = token[0].isupper() and language != "de" and not _FIRST_PERSON.fullmatch(token) and not _START.search(before)
    return named or quoted or _in_capitals(token) or _has_digits(token) or len(token) > _LONG


def _has_digits(token: str) -> bool:
    return any(map(str.isdigit, token)) and not _COUNTED.fullmatch(token)


def _in_capitals(token: str) -> bool:
    return token.isupper() and len(token) >= _CAPITALS


def _is_ordinary(word: str, language: str) -> bool:
    if _says_nothing(word, language):
        return True
    parts = [part for part in re.split(r"['’-]", word) if part]
    languages = {one for one in (language, "en") if one}
    return any(frequency(word, one) >= _ORDINARY or begins_known(word, one) for one in languages) or (
        len(parts) > 1 and all(_is_ordinary(part, language) for part in parts)
    )


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", " ", folded(text)).strip()
