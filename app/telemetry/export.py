"""Spans on their way to a collector, by OTLP/HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp).

Importing this loads OpenTelemetry's SDK. The only destination is the address that the operator named.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from graphs.spans import use_tracer

logger = logging.getLogger(__name__)

_SECONDS = 5.0
_SECONDS_BETWEEN_WARNINGS = 60.0


class QuietExporter(SpanExporter):
    """Exports through another exporter and tells of failures once a minute, without what the other one would say."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._warned = -_SECONDS_BETWEEN_WARNINGS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch; a batch that cannot be exported is dropped."""
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS and time.monotonic() - self._warned >= _SECONDS_BETWEEN_WARNINGS:
            self._warned = time.monotonic()
            logger.warning("the collector of traces does not take them; they are dropped until it does")
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


def export_to(endpoint: str) -> Callable[[], None]:
    """Record spans and export them in batches, from a thread; the function returned sends the rest and stops."""
    # They log every attempt, with the text of the error.
    for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    session = requests.Session()
    session.trust_env = False
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_SECONDS, session=session)
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(QuietExporter(exporter)))
    use_tracer(provider.get_tracer("jobx"))

    def stop() -> None:
        use_tracer(None)
        # In a thread of its own: a collector that does not answer must not hold up the end of the process.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_SECONDS)

    return stop


def _resource() -> Resource:
    """Who sends the spans; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are heeded."""
    found = Resource.create()
    unnamed = str(found.attributes["service.name"]).startswith("unknown_service")
    return found.merge(Resource({"service.name": "jobx"})) if unnamed else found
