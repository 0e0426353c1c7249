"""How often words are used (`wordfreq`, Speer 2022), on the Zipf scale: 4.5 is 30 times in a million words."""

from functools import lru_cache
from math import log10

_BEGINNING = 6


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
    """Whether a long word begins as one that is on the list: a form of it, or a compound."""
    return len(word) > _BEGINNING and word[:_BEGINNING] in _beginnings(language)


@lru_cache(maxsize=12)
def _beginnings(language: str) -> frozenset[str]:
    return frozenset(word[:_BEGINNING] for word in _frequencies(language) if len(word) >= _BEGINNING)
