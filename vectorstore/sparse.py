"""Sparse vectors for keyword search: BM25's document and query parts, under keyed token ids.

The inverse document frequency is the index's to add (Qdrant's IDF modifier). Robertson and Zaragoza, "The Probabilistic
Relevance Framework: BM25 and Beyond", 2009.
"""

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence

from vectorstore.index import SparseVector
from vectorstore.words import document_terms, query_terms

_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75
# Okapi's k3: what a question says again counts more, which matters in long ones only.
_QUERY_SATURATION = 8.0
# What English chunks of 256 tokens have; in languages that the default model splits into more tokens it is less.
_AVERAGE_TERMS = 80.0
_SHORTEST_KEY = 16


class SparseEncoder:
    """Encodes the texts of one tenant; a token id is 32 bits of HMAC-SHA256(key, stem), so ids do not tell words.

    `key` has at least 16 bytes and differs per tenant; `average_terms` is the expected length of a document after
    stop words are gone. Cheap to make, holds no text, safe to use from several threads.
    """

    def __init__(self, key: bytes, *, average_terms: float = _AVERAGE_TERMS) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ValueError("the sparse encoder's key is too short")
        self._key = key
        self._average_terms = average_terms

    def encode_document(self, text: str) -> SparseVector:
        """One weight per distinct stem: its saturated, length-normalised frequency."""
        [vector] = self.encode_documents([text])
        return vector

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """`encode_document` of each; faster, as words that several texts have are stemmed once."""
        stems: dict[tuple[str, str], str] = {}
        return [self._document_vector(Counter(document_terms(text, stems))) for text in texts]

    def _document_vector(self, counts: Counter[str]) -> SparseVector:
        length = counts.total() / self._average_terms
        damping = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length)
        return self._vector({term: n * (_SATURATION + 1) / (n + damping) for term, n in counts.items()})

    def encode_query(self, text: str, languages: Sequence[str] | None = None) -> SparseVector:
        """One weight per distinct stem, 1 for one that is there once, a little less than n for one that is n times.

        `languages` (ISO 639-1, likeliest first) replaces the query's detection.
        """
        counts = query_terms(text, languages)
        return self._vector({term: n * (_QUERY_SATURATION + 1) / (n + _QUERY_SATURATION) for term, n in counts.items()})

    def _vector(self, weights: Mapping[str, float]) -> SparseVector:
        by_id: dict[int, float] = {}
        for term, weight in weights.items():
            token = int.from_bytes(hmac.digest(self._key, term.encode(), "sha256")[:4], "big")
            by_id[token] = by_id.get(token, 0.0) + weight
        ordered = sorted(by_id.items())
        return SparseVector(tuple(token for token, _ in ordered), tuple(weight for _, weight in ordered))
