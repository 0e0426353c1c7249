"""Vectors in place of embedded chunks, and questions that share their words; fixed by a seed."""

from collections.abc import Iterator
from uuid import UUID

import numpy as np

from bench.ingestion.prose import Writer
from vectorstore.index import ChunkVectors, SparseVector, VectorIndex
from vectorstore.sparse import SparseEncoder

KEY = b"a key of the benchmark's words"
# A chunk's different stems, of a company's vocabulary in which the rank of a word tells how often it is said (Zipf).
_TERMS, _VOCABULARY = 60, 20_000
_DOCUMENT = 1000


class Filler:
    """Fills a store with chunks of random directions, and asks about what they might say."""

    def __init__(self, seed: int, dimension: int) -> None:
        self._random = np.random.default_rng(seed)
        self._dimension = dimension
        self._writer = Writer(seed)
        said = SparseEncoder(KEY).encode_document(" ".join(self._writer.questions(2000))).indices
        unsaid = self._random.choice(2**32, _VOCABULARY - len(said), replace=False)
        self._vocabulary = np.concatenate([self._random.permutation(np.array(said)), unsaid])
        often = 1.0 / (10.0 + np.arange(_VOCABULARY))
        self._often = often / often.sum()

    def questions(self, count: int) -> list[str]:
        """Questions, each another."""
        asked: list[str] = self._writer.questions(count)
        return asked

    async def fill(self, index: VectorIndex, tenant_id: UUID, chunks: int) -> list[tuple[UUID, UUID, list[UUID]]]:
        """Documents of 1,000 chunks; the ids of each, of its version and of its chunks."""
        documents = []
        for start in range(0, chunks, _DOCUMENT):
            document, version = self._id(), self._id()
            made = list(self._chunks(min(_DOCUMENT, chunks - start)))
            await index.add(tenant_id, document, version, made)
            documents.append((document, version, [chunk.chunk_id for chunk in made]))
        return documents

    def _chunks(self, count: int) -> Iterator[ChunkVectors]:
        dense = self._random.standard_normal((count, self._dimension), dtype=np.float32)
        dense /= np.linalg.norm(dense, axis=1, keepdims=True)
        for vector in dense:
            # Drawn with repeats, which only makes some chunks shorter.
            terms = np.unique(self._random.choice(self._vocabulary, _TERMS, p=self._often))
            weights = self._random.uniform(0.5, 2.0, len(terms))
            yield ChunkVectors(
                self._id(), vector.tolist(), SparseVector(tuple(terms.tolist()), tuple(weights.tolist()))
            )

    def _id(self) -> UUID:
        return UUID(bytes=self._random.bytes(16), version=4)
