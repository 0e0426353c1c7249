"""The default embedding model for tests, exported once per checkout."""

from pathlib import Path

from vectorstore.embeddings import Embedder

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "embeddings"


def cached_embedder() -> Embedder:
    """An embedder of its own whose export every test run and every xdist worker shares."""
    return Embedder(None, CACHE)
