"""What tests see of traces and logs."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry import JsonFormatter
from graphs.spans import use_tracer


@contextmanager
def recorded_spans() -> Iterator[InMemorySpanExporter]:
    """Record the spans of a block in memory, as OpenTelemetry's SDK makes them."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use_tracer(provider.get_tracer("tests"))
    yield exporter
    use_tracer(None)
    provider.shutdown()


class Lines(io.StringIO):
    """JSON lines of the log."""

    def read_all(self) -> list[dict[str, Any]]:
        """Every line so far."""
        return [json.loads(line) for line in self.getvalue().splitlines()]


@contextmanager
def logged_lines(*names: str) -> Iterator[Lines]:
    """Collect what a block logs at INFO and above, as the service formats it; of some loggers only, if named."""
    lines, root = Lines(), logging.getLogger()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    if names:
        handler.addFilter(lambda record: record.name.startswith(names))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)
