"""How much meaning counts against words, by the language of the question.

An embedding model that was trained on one language ranks the others badly, while words find in every language. On
public question sets in four languages a fixed weight loses what a weight by language keeps; docs/retrieval.md has the
figures.
"""

from collections.abc import Collection
from dataclasses import dataclass

from vectorstore.words import likely_languages

# In place of a language: the model knows all of them.
ANY = "*"
_CANDIDATES = 3
# The detector is hardly ever all sure, even of a long text.
_SURE, _UNSURE = 0.8, 0.2
# How many characters a model's window of 256 tokens holds of most languages.
_WINDOW = 1000


@dataclass(frozen=True, slots=True)
class DenseWeights:
    """The share of meaning (0..1): `own` in the `languages` of the embedding model (ISO 639-1), `foreign` in others."""

    languages: Collection[str] = ("en",)
    own: float = 0.5
    foreign: float = 0.2

    def of(self, question: str) -> float:
        """The share for one question: between the two by how likely it is to be in one of the model's languages.

        A few words do not show their language, so there is no line beyond which the weight jumps. Of a question that is
        longer than what models are made for (a conversation, a case told at length) one vector says little, while its
        many words say more: from one window of the model to two the share falls to `foreign`, if that is less.
        """
        known = self.known(question)
        short = min(1.0, max(0.0, 2 - len(question) / _WINDOW))
        share = self.foreign + (self.own - self.foreign) * known
        return share if share <= self.foreign else self.foreign + (share - self.foreign) * short

    def known(self, question: str) -> float:
        """How surely the question is in one of the languages, 0..1."""
        if ANY in self.languages:
            return 1.0
        likely = sum(score for language, score in likely_languages(question, _CANDIDATES) if language in self.languages)
        return min(1.0, max(0.0, (likely - _UNSURE) / (_SURE - _UNSURE)))
