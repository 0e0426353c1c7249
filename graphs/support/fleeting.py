"""Caches that hold what people wrote: texts until the run of the graph that needs them is over, words for an hour."""

from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_WORDS_SECONDS = 3600.0
_texts: list[Any] = []
_words: list[Any] = []
_cleared = [0.0]


def of_texts(maxsize: int) -> Callable[[_Function], _Function]:
    """Remember the last results of a function of texts, within one run."""
    return _remembering(_texts, maxsize)


def of_words(maxsize: int) -> Callable[[_Function], _Function]:
    """Remember the results of a function of single words, which other runs will need as well."""
    return _remembering(_words, maxsize)


def forget(now: float | None = None) -> None:
    """Let go of texts, and of words that may be an hour old. Called at the end of each run."""
    for cache in _texts:
        cache.cache_clear()
    at = monotonic() if now is None else now
    if at - _cleared[0] >= _WORDS_SECONDS:
        _cleared[0] = at
        for cache in _words:
            cache.cache_clear()


def _remembering(caches: list[Any], maxsize: int) -> Callable[[_Function], _Function]:
    def remember(function: _Function) -> _Function:
        remembered: Any = lru_cache(maxsize=maxsize)(function)
        caches.append(remembered)
        return remembered  # type: ignore[no-any-return]

    return remember
