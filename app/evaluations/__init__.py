"""Evals of a tenant's agents: datasets, some of them taken from real turns, and runs of them."""
