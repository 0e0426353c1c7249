"""Evals from the command line: a plan is read, a scratch tenant filled, and the production graph asked."""
