"""How well passages support a reply, sentence by sentence: by what a sentence says beyond them, and by vectors.

The score is the probability that all of a sentence is in the passages, by a logistic model of two features: the
`graphs.support.novelty` of its words, and the cosine of its vector and that of the sentence there that is most like it.
`make bench-grounding` fits the model, and tells how well it tells right answers from others. Words and vectors know
little of who does what to whom: what is turned around in words of the passages' own is only found in a near copy. An
NLI model or a judge is for that.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp

from graphs.support.citations import CitedSentence
from graphs.support.context import Embed
from graphs.support.facts import invented
from graphs.support.fleeting import of_a_run
from graphs.support.languages import COURTESY
from graphs.support.novelty import novelty
from graphs.support.records import Passage
from graphs.support.text import content, cosine, coverage, language_of, negated, sentences, topic_words, words

Vectors = Mapping[str, Sequence[float]]
# Bias, and the weights of novelty and of closeness, by the cosines of the default embedding model.
Model = tuple[float, float, float]
MODEL: Model = (-0.276, -0.27, 2.947)
_COPIED = 0.75
_FLIPPED = 0.2
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Support:
    """What stands behind one sentence: a score in 0..1, what it makes up, and its best source by passage number.

    `novelty` and `closeness` are what the score was told by; there is no novelty if words cannot be compared.
    """

    sentence: CitedSentence
    score: float
    quotes: dict[int, tuple[float, str]]
    invented: list[str]
    novelty: float | None = None
    closeness: float = 0.0


@dataclass(frozen=True, slots=True)
class _Claim:
    """A sentence to be supported: its stems, and by passage the sentences there with the share of stems they have."""

    sentence: CitedSentence
    needed: Sequence[str]
    language: str
    sources: Mapping[int, Sequence[tuple[str, float]]]
    whole: str
    novelty: float | None

    def alike(self, source: str, shared: float, vectors: Vectors) -> float:
        """How much a source says the same, by words and meaning; by meaning alone if no word can be shared."""
        close = self.closeness(source, vectors)
        return (shared + close) / 2 if self.needed else close

    def closeness(self, source: str, vectors: Vectors) -> float:
        """The cosine of the claim and a source, 0..1."""
        return max(0.0, cosine(vectors[self.sentence.text], vectors[source]))

    def probability(self, close: float) -> float:
        """That it is all in the passages, if the closest source is so `close`; by meaning alone as in `alike`."""
        return close if self.novelty is None else probability(self.novelty, close)

    def at_most(self, shared: float) -> float:
        """What `alike` cannot exceed, whatever the source means."""
        return (shared + 1) / 2 if self.needed else 1.0


def probability(new: float, close: float, model: Model = MODEL) -> float:
    """That a sentence of this novelty and closeness is all in its passages."""
    bias, of_novelty, of_closeness = model
    return 1 / (1 + exp(-(bias + of_novelty * new + of_closeness * close)))


def is_courtesy(text: str) -> bool:
    """Whether a sentence only greets, thanks or offers help, so that there is nothing to support."""
    plain = text.casefold().replace("feel free", "")
    return COURTESY.issuperset(topic_words(plain, language_of(plain)))


async def supports(drafted: Sequence[CitedSentence], passages: Sequence[Passage], embed: Embed) -> list[Support]:
    """The support of each sentence that states something: by the passages it names, else by all that are cited.

    A vector takes milliseconds of a processor, so only those are asked for that can still decide.
    """
    # In a thread, as the frequencies of a language's words are loaded when it is first met.
    claims = await asyncio.to_thread(_claims, drafted, passages)
    vectors = dict[str, Sequence[float]]()
    while texts := list(dict.fromkeys(text for claim in claims for text in _undecided(claim, vectors))):
        vectors.update(zip(texts, await embed(texts), strict=True))
    return [_support(claim, vectors) for claim in claims]


def _claims(drafted: Sequence[CitedSentence], passages: Sequence[Passage]) -> list[_Claim]:
    cited = _cited(drafted, passages)
    language = language_of(" ".join(passages[number - 1].text for number in cited))
    return [_claim(sentence, cited, passages, language) for sentence in drafted if not is_courtesy(sentence.text)]


def _claim(sentence: CitedSentence, cited: Sequence[int], passages: Sequence[Passage], language: str) -> _Claim:
    own = {number: passages[number - 1] for number in _own(sentence, cited)}
    text = sentence.text
    # Across languages words do not meet; a multilingual embedder's vectors do.
    needed = [] if language_of(text) not in ("", language) else content(text, language)
    sources = {
        number: [(source, coverage(needed, stems)) for source, stems in _stated(passage.text, language)]
        for number, passage in own.items()
    }
    whole = "\n".join(passage.whole for passage in own.values())
    new = novelty(text, whole, language) if needed else None
    return _Claim(sentence, needed, language, sources, whole, new)


# All sentences of a draft are held against the same passages.
@of_a_run(maxsize=16)
def _stated(text: str, language: str) -> list[tuple[str, frozenset[str]]]:
    """The sentences of a text that are no questions, with their stems."""
    stated = (source for source in sentences(text) if not source.endswith(("?", "？")))
    return [(source, frozenset(content(source, language))) for source in stated]


def _undecided(claim: _Claim, vectors: Vectors) -> Iterator[str]:
    """What has to be embedded next to know a claim's best source in each passage.

    First the one that shares most words; then those that would beat it if their vectors were the same as the claim's.
    """
    for sources in claim.sources.values():
        known = [claim.alike(*source, vectors) for source in sources if _is_known(claim, source[0], vectors)]
        if not known and sources:
            yield from (claim.sentence.text, max(sources, key=lambda source: source[1])[0])
        elif known:
            least = max(known) - _ROUNDING
            yield from (text for text, shared in sources if text not in vectors and claim.at_most(shared) >= least)


def _is_known(claim: _Claim, source: str, vectors: Vectors) -> bool:
    return source in vectors and claim.sentence.text in vectors


def _cited(drafted: Sequence[CitedSentence], passages: Sequence[Passage]) -> list[int]:
    numbers = dict.fromkeys(number for sentence in drafted for number in sentence.passages)
    return [number for number in numbers if 1 <= number <= len(passages)]


def _own(sentence: CitedSentence, cited: Sequence[int]) -> list[int]:
    return [number for number in sentence.passages if number in cited] or list(cited)


def _support(claim: _Claim, vectors: Vectors) -> Support:
    best = {number: _best(claim, sources, vectors) for number, sources in claim.sources.items()}
    quotes = {number: (score, source) for number, (score, source, _) in best.items()}
    _, source, turned = max(best.values(), key=lambda found: found[0], default=(0.0, "", False))
    text, close = claim.sentence.text, claim.closeness(source, vectors) if source else 0.0
    contradicted = any(turned for _, _, turned in best.values())
    if not source:
        score = 0.0
    elif turned or (contradicted and not _is_copy(claim.needed, content(source, claim.language))):
        score = _FLIPPED
    else:
        score = 1.0 if words(text) == words(source) else claim.probability(close)
    return Support(claim.sentence, score, quotes, invented(text, claim.whole), claim.novelty, close)


def _best(claim: _Claim, sources: Sequence[tuple[str, float]], vectors: Vectors) -> tuple[float, str, bool]:
    """The source that is most alike: how much, its text, and whether it says the opposite."""
    scored = [(claim.alike(*source, vectors), source[0]) for source in sources if _is_known(claim, source[0], vectors)]
    score, best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
    turned = _turned(claim.needed, claim.sentence.text, best, claim.language)
    return (_FLIPPED if turned else score), best, turned


def _turned(needed: Sequence[str], text: str, source: str, language: str) -> bool:
    """Whether two sentences of the same words say the opposite."""
    return _is_copy(needed, content(source, language)) and negated(text, language) != negated(source, language)


def _is_copy(needed: Sequence[str], given: Sequence[str]) -> bool:
    return bool(needed) and min(coverage(needed, given), coverage(given, needed)) >= _COPIED
