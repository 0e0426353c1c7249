"""How well passages support a reply: by shared words and by the closeness of sentence vectors, sentence by sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphs.support.citations import CitedSentence
from graphs.support.facts import invented
from graphs.support.languages import COURTESY
from graphs.support.records import Passage
from graphs.support.text import content, cosine, coverage, language_of, negated, sentences, topic_words

Vectors = Mapping[str, Sequence[float]]
_COPIED = 0.75
_FLIPPED = 0.2


@dataclass(frozen=True, slots=True)
class Support:
    """What stands behind one sentence: a score in 0..1, what it makes up, and its best source by passage number."""

    sentence: CitedSentence
    score: float
    quotes: dict[int, tuple[float, str]]
    invented: list[str]


def is_courtesy(text: str) -> bool:
    """Whether a sentence only greets, thanks or offers help, so that there is nothing to support."""
    plain = text.casefold().replace("feel free", "")
    return COURTESY.issuperset(topic_words(plain, language_of(plain)))


def texts_to_embed(drafted: Sequence[CitedSentence], passages: Sequence[Passage]) -> list[str]:
    """Every text whose vector `supports` looks up: the sentences that state something, and those of cited passages."""
    stating = [sentence.text for sentence in drafted if not is_courtesy(sentence.text)]
    cited = _cited(drafted, passages)
    return list(dict.fromkeys([*stating, *(text for number in cited for text in sentences(passages[number - 1].text))]))


def supports(drafted: Sequence[CitedSentence], passages: Sequence[Passage], vectors: Vectors) -> list[Support]:
    """The support of each sentence that states something: by the passages it names, else by all that are cited."""
    cited = _cited(drafted, passages)
    language = language_of(" ".join(passages[number - 1].text for number in cited))
    stating = [sentence for sentence in drafted if not is_courtesy(sentence.text)]
    return [_support(sentence, _own(sentence, cited), passages, language, vectors) for sentence in stating]


def _cited(drafted: Sequence[CitedSentence], passages: Sequence[Passage]) -> list[int]:
    numbers = dict.fromkeys(number for sentence in drafted for number in sentence.passages)
    return [number for number in numbers if 1 <= number <= len(passages)]


def _own(sentence: CitedSentence, cited: Sequence[int]) -> list[int]:
    return [number for number in sentence.passages if number in cited] or list(cited)


def _support(
    sentence: CitedSentence, numbers: Sequence[int], passages: Sequence[Passage], language: str, vectors: Vectors
) -> Support:
    cited = {number: passages[number - 1] for number in numbers}
    whole = "\n".join(_whole(passage) for passage in cited.values())
    # Across languages words do not meet; a multilingual embedder's vectors do.
    needed = [] if language_of(sentence.text) not in ("", language) else content(sentence.text, language)
    best = {number: _best(sentence.text, needed, passage, language, vectors) for number, passage in cited.items()}
    score = max((score for score, _ in best.values()), default=0.0)
    # The root leaves a good paraphrase alone and still sinks a sentence with a subject the passages do not have.
    score *= coverage(needed, content(whole, language)) ** 0.5
    return Support(sentence, score, best, invented(sentence.text, whole))


def _best(text: str, needed: Sequence[str], passage: Passage, language: str, vectors: Vectors) -> tuple[float, str]:
    scored = [(_alike(text, needed, source, language, vectors), source) for source in sentences(passage.text)]
    score, best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
    return (_FLIPPED if _turned(needed, text, best, language) else score), best


def _alike(text: str, needed: Sequence[str], source: str, language: str, vectors: Vectors) -> float:
    close = max(0.0, cosine(vectors[text], vectors[source]))
    return (coverage(needed, content(source, language)) + close) / 2 if needed else close


def _turned(needed: Sequence[str], text: str, source: str, language: str) -> bool:
    """Whether two sentences of the same words say the opposite."""
    given = content(source, language)
    copied = bool(needed) and min(coverage(needed, given), coverage(given, needed)) >= _COPIED
    return copied and negated(text, language) != negated(source, language)


def _whole(passage: Passage) -> str:
    return f"{passage.title}\n{passage.heading}\n{passage.text}"
