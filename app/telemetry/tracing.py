"""One trace from the webhook to the send: begun at the edge, carried by jobs, exported if the operator names where.

The trace id is the correlation id of logs and errors, also when nothing is exported. Format of what a job carries:
`traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header).
"""

import re
import secrets
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from graphs.spans import start_span

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def traceparent() -> str | None:
    """The present trace, for a job to go on with."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def begin(name: str, kind: SpanKind, parent: str | None = None) -> Span:
    """A span that begins a trace, or goes on with that of a `traceparent` of our own; the caller ends it.

    Nothing that a request says about traces is ever passed here: a stranger must not choose our ids.
    """
    span = start_span(name, _context(parent), kind)
    return span if span.get_span_context().is_valid else NonRecordingSpan(_random())


def _context(parent: str | None) -> Context:
    found = _TRACEPARENT.fullmatch(parent or "")
    if found is None:
        return Context()
    trace_number, span_number, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace_number, span_number, is_remote=True, trace_flags=TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def _random() -> SpanContext:
    # Marked as sampled, so that a worker that exports takes up what a web process without an exporter began.
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(secrets.randbits(128) or 1, secrets.randbits(64) or 1, is_remote=False, trace_flags=flags)


def set_up_tracing(endpoint: str | None) -> Callable[[], None]:
    """Export spans to a collector's OTLP/HTTP base address, if there is one; the function returned ends that.

    What it does not get rid of in five seconds is lost. The SDK is loaded only when it is needed.
    """
    if endpoint is None:
        return lambda: None
    from app.telemetry.export import export_to  # noqa: PLC0415

    return export_to(endpoint)
