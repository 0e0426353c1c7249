"""How often words are used (`wordfreq`, Speer 2022), on the Zipf scale: 4.5 is 30 times in a million words."""

from bisect import bisect_left
from functools import lru_cache
from math import log10

_BEGINNING = 6
# The letters of an ending at most, and the languages whose words are put together of others.
_ENDINGS, _ENDING = {"en": 3}, 7
_COMPOUNDING = ("de", "nl")


def frequency(word: str, language: str) -> float:
    """That of a word, 0..8; 0 if it is hardly ever used, or there is no list of the language."""
    return _frequencies(language).get(word, 0.0)


@lru_cache(maxsize=12)
def _frequencies(language: str) -> dict[str, float]:
    from wordfreq import available_languages, get_frequency_dict  # noqa: PLC0415

    if language not in available_languages("small"):
        return {}
    return {word: log10(share) + 9 for word, share in get_frequency_dict(language, "small").items()}


def is_listed(language: str) -> bool:
    """Whether the frequencies of a language's words are known."""
    return bool(_frequencies(language))


def begins_known(word: str, language: str) -> bool:
    """Whether a long word is a form of a listed one, all but its ending; or a compound, where these are usual.

    A made-up word of two others ("velvetcrow") is none in English.
    """
    if len(word) <= _BEGINNING:
        return False
    ending = len(word) if language in _COMPOUNDING else _ENDINGS.get(language, _ENDING)
    beginning = word[: max(_BEGINNING, len(word) - ending)]
    listed = _in_order(language)
    at = bisect_left(listed, beginning)
    return at < len(listed) and listed[at].startswith(beginning)


@lru_cache(maxsize=12)
def _in_order(language: str) -> list[str]:
    return sorted(word for word in _frequencies(language) if len(word) >= _BEGINNING)
