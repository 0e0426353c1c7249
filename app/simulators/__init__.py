"""Providers at the wire, for the sample connection, for developers and for tests."""
