"""What an operator sees of a running Jobx: logs and traces, with trace ids, counts and error types, never values."""

from app.telemetry.logs import JsonFormatter, SafeFormatter, set_up_logging
from app.telemetry.requests import TracedRequests
from app.telemetry.tracing import set_up_tracing

__all__ = ["JsonFormatter", "SafeFormatter", "TracedRequests", "set_up_logging", "set_up_tracing"]
