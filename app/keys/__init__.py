"""Tenants' keys, and the transactions in which they are open."""
