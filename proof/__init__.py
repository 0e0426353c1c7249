"""Proofs of what docs/privacy.md promises, on real parts: they count, and they can fail."""
