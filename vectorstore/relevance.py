"""How likely it is that what a search found answers the question: a calibrated probability.

A logistic model of how much of the question's words the passages share and how close they are in meaning, fitted by
`python -m bench.retrieval.relevance` on questions with and without their relevant documents; docs/retrieval.md has what
it is worth. Fused scores cannot tell this: they are stretched to 0..1 for each question.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache

from vectorstore.words import content_words, likely_languages, stem

# What two words have to share at the start for their stems to be compared.
_HEAD = 3
# So many characters tell a passage's language.
_TELLING = 300
# A word of the question that all passages have tells little of them: it counts half.
_COMMON = 0.5
# In the order of `Features`.
BIAS = -3.324
WEIGHTS = (-1.278, -2.463, 3.967, 2.541, 5.652, 2.029, -3.978, 1.779, 0.811)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage that was found: its text with title and headings, and its cosine to the question."""

    text: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Features:
    """What the probability depends on, all of it about 0..1, over the passages of one question.

    `known` is how surely the embedding model knows the question's language; closeness (cosines) counts apart where it
    does and where it does not. `spoken` is how many of the passages are in the question's language; the words that they
    share with it count only there. `terms` grows with the number of the question's words.
    """

    known: float
    spoken: float
    close: float
    close_unknown: float
    shared: float
    shared_by_closest: float
    shared_mean: float
    close_mean: float
    terms: float


def relevance(question: str, known: float, found: Sequence[Evidence]) -> float:
    """The probability, 0..1, that one of the passages answers the question; 0 without passages."""
    if not found:
        return 0.0
    values = astuple(features(question, known, found))
    return 1 / (1 + math.exp(-BIAS - sum(map(_times, WEIGHTS, values))))


def features(question: str, known: float, found: Sequence[Evidence]) -> Features:
    """The features of a question and at least one passage."""
    language, sure = likely_languages(question, 1)[0]
    asked = list(dict.fromkeys(content_words(question, language)))
    languages = [likely_languages(evidence.text[:_TELLING], 1)[0] for evidence in found]
    # Passages share words: each is stemmed once.
    stems = cache(stem)
    met = [_met(asked, evidence.text, spoken, stems) for evidence, (spoken, _) in zip(found, languages, strict=True)]
    # Where neither language is sure, they may well be the same.
    spoken = _mean([1.0 if other == language else 1 - min(sure, score) for other, score in languages])
    shares = _shares(met, len(asked))
    closest = max(range(len(found)), key=lambda place: found[place].cosine)
    return Features(
        known=known,
        spoken=spoken,
        close=found[closest].cosine * known,
        close_unknown=found[closest].cosine * (1 - known),
        shared=max(shares) * spoken,
        shared_by_closest=shares[closest] * spoken,
        shared_mean=_mean(shares) * spoken,
        close_mean=_mean([evidence.cosine for evidence in found]),
        terms=math.log(1 + len(asked)),
    )


NAMES = tuple(field.name for field in fields(Features))


def _met(asked: Sequence[str], text: str, language: str, stems: Callable[[str, str], str]) -> list[bool]:
    """Which of the question's words a text has, by their stems in the text's language."""
    heads = {word[:_HEAD] for word in asked}
    different = " ".join(dict.fromkeys(text.split()))
    near = {stems(word, language) for word in content_words(different, "") if word[:_HEAD] in heads}
    return [stems(word, language) in near for word in asked]


def _shares(met: Sequence[Sequence[bool]], terms: int) -> list[float]:
    """The share of the question's words that each passage has, words that few of them have counting more."""
    most = math.log(1 + len(met))
    weights = [1 - _COMMON * math.log(1 + sum(row[place] for row in met)) / most for place in range(terms)]
    return [sum(map(_times, weights, row)) / (sum(weights) or 1.0) for row in met]


def _times(one: float, other: float) -> float:
    return one * other


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
