"""Offline quality: datasets, tasks, solvers and scorers on the same graph that serves customers."""
