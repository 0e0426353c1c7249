"""Presidio's recognisers of patterns, without the rest of Presidio.

`import presidio_analyzer` brings spaCy, transformers and torch: seconds, and some 400 MB, for classes that hold regular
expressions and check sums. So the package's own `__init__` is not run: bare packages stand in while the few modules
that are needed are imported, and go when that is done, so that whoever else imports Presidio gets all of it.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

_ROOT = "presidio_analyzer"
_KNOWN = f"{_ROOT}.predefined_recognizers"
_COUNTRIES = f"{_KNOWN}.country_specific"
_BARE = (
    _KNOWN,
    f"{_KNOWN}.generic",
    _COUNTRIES,
    *(f"{_COUNTRIES}.{country}" for country in ("us", "uk", "spain", "italy", "poland")),
)
# In the order in which one needs the other.
_BASE = {
    "analysis_explanation": "AnalysisExplanation",
    "recognizer_result": "RecognizerResult",
    "entity_recognizer": "EntityRecognizer",
    "local_recognizer": "LocalRecognizer",
    "pattern": "Pattern",
    "pattern_recognizer": "PatternRecognizer",
}
_WANTED = {
    "IbanRecognizer": "generic.iban_recognizer",
    "CreditCardRecognizer": "generic.credit_card_recognizer",
    "IpRecognizer": "generic.ip_recognizer",
    "UsSsnRecognizer": "country_specific.us.us_ssn_recognizer",
    "NhsRecognizer": "country_specific.uk.uk_nhs_recognizer",
    "EsNifRecognizer": "country_specific.spain.es_nif_recognizer",
    "ItFiscalCodeRecognizer": "country_specific.italy.it_fiscal_code_recognizer",
    "PlPeselRecognizer": "country_specific.poland.pl_pesel_recognizer",
}
_lock = Lock()


@lru_cache(maxsize=1)
def recognisers() -> tuple[Any, ...]:
    """The recognisers, made once: they fetch nothing, and their logger says nothing of a text."""
    with _lock:
        found = tuple(kind() for kind in _classes())
    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    return found


def _classes() -> list[Any]:
    if _ROOT not in sys.modules:
        try:
            with _bare_packages():
                return [getattr(import_module(f"{_KNOWN}.{place}"), name) for name, place in _WANTED.items()]
        except (ImportError, AttributeError):
            logging.getLogger(__name__).warning("Presidio is laid out in another way: all of it is loaded")
    whole = import_module(_KNOWN)
    return [getattr(whole, name) for name in _WANTED]


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Stand-ins for Presidio's packages, with what the recognisers take from them."""
    before = set(sys.modules)
    try:
        root = _bare(_ROOT, list(_places()))
        for name in _BARE:
            _bare(name, [f"{place}{name.removeprefix(_ROOT).replace('.', '/')}" for place in root.__path__])
        # A name in annotations only: without a language model there are no artifacts of one.
        vars(_bare(f"{_ROOT}.nlp_engine", []))["NlpArtifacts"] = object
        for place, name in _BASE.items():
            setattr(root, name, getattr(import_module(f"{_ROOT}.{place}"), name))
        yield
    finally:
        for name in {name for name in sys.modules if name.split(".")[0] == _ROOT} - before:
            del sys.modules[name]


def _places() -> list[str]:
    spec = find_spec(_ROOT)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(_ROOT)
    return list(spec.submodule_search_locations)


def _bare(name: str, path: list[str]) -> ModuleType:
    module = sys.modules[name] = ModuleType(name)
    module.__path__ = path
    return module
