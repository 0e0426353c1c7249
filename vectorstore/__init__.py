"""Vectors in, nearest chunks out: the only code that talks to Qdrant."""
