"""Benchmarks: each prints JSON, and compares within one run, because machines are noisy."""
