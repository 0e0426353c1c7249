"""Connections to messaging channels: connecting, sending, and the outbox between a decision and its delivery."""
