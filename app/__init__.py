"""Jobx, the service: HTTP, worker, database and features."""
