"""Caches that hold what people wrote: texts until the run of the graph that needs them is over, the rest an hour."""

from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_SECONDS = 3600.0
_brief: list[Any] = []
_lasting: list[Any] = []
_cleared = [0.0]


def of_a_run(maxsize: int) -> Callable[[_Function], _Function]:
    """Remember the last results of a function of texts, within one run."""
    return _remembering(_brief, maxsize)


def of_an_hour(maxsize: int) -> Callable[[_Function], _Function]:
    """Remember the results of a function of single words, or an agent's prompt, which other runs will need as well."""
    return _remembering(_lasting, maxsize)


def forget() -> None:
    """Let go of texts, and of the rest once it may be an hour old. Called at the end of each run."""
    for cache in _brief:
        cache.cache_clear()
    if monotonic() - _cleared[0] >= _SECONDS:
        _cleared[0] = monotonic()
        for cache in _lasting:
            cache.cache_clear()


def _remembering(caches: list[Any], maxsize: int) -> Callable[[_Function], _Function]:
    def remember(function: _Function) -> _Function:
        remembered: Any = lru_cache(maxsize=maxsize)(function)
        caches.append(remembered)
        return remembered  # type: ignore[no-any-return]

    return remember
