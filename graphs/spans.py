"""Spans of OpenTelemetry with counts and words of ours, never texts or ids of rows; every room above uses these.

The tracer is ours and not OpenTelemetry's global one: what a library traces by itself may quote what it handled, and
must not reach our exporter. Without one a span costs next to nothing, and the trace id goes on all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracer,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    use_span,
)

Value = str | int | float | bool


class _Holder:
    tracer: Tracer = NoOpTracer()


def use_tracer(tracer: Tracer | None) -> None:
    """Record spans with `tracer`; None stops it."""
    _Holder.tracer = NoOpTracer() if tracer is None else tracer


def trace_id() -> str | None:
    """The id of the present trace: 32 hexadecimal digits."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def start_span(name: str, context: Context | None = None, kind: SpanKind = SpanKind.INTERNAL) -> Span:
    """A span that the caller ends; it is not the current one. `context` says what it belongs to."""
    return _Holder.tracer.start_span(name, context, kind, record_exception=False, set_status_on_exception=False)


def fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed, by the type of the error only: its text may quote what was handled."""
    span.set_attribute("error.type", f"{type(error).__module__}.{type(error).__qualname__}")
    span.set_status(StatusCode.ERROR)


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: Value) -> Iterator[Span]:
    """A span around a block, within the current one; attributes are named `jobx.<name>`.

    An error passes through and is marked.
    """
    current = start_span(name, kind=kind)
    if not current.is_recording():
        yield current
        return
    with use_span(current, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        describe(current, **attributes)
        try:
            yield current
        except BaseException as error:
            fail(current, error)
            raise


def describe(span: Span, **attributes: Value | None) -> None:
    """Add attributes named `jobx.<name>`; None is left out."""
    for name, value in attributes.items():
        if value is not None:
            span.set_attribute(f"jobx.{name}", value)
