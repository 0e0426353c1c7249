"""Proofs of what docs/privacy.md promises, on a running Jobx."""
