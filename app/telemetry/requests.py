"""Every HTTP request is a trace of its own, one line in the log, and tells its caller the trace's id."""

import logging
from time import perf_counter

from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.tracing import begin
from graphs.spans import fail, trace_id

logger = logging.getLogger("jobx.requests")

TRACE_HEADER = "Jobx-Trace-Id"
_HEADER = TRACE_HEADER.lower().encode()
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked every few seconds by whatever watches the service.
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_SERVER_ERROR = 500


class TracedRequests:
    """ASGI middleware, to be the outermost one: begins a trace, whatever the request says about traces.

    What is told of a request is its method, the template of its route and its status, never its path or query.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within a trace."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = _SERVER_ERROR, perf_counter()
        span = begin("request", SpanKind.SERVER)
        token = context.attach(set_span_in_context(span))
        header = (_HEADER, (trace_id() or "").encode())

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except BaseException as error:
            fail(span, error)
            _end(span, scope, _SERVER_ERROR, started)
            # The trace stays the present one: the servers behind this one answer and log the error, in this task.
            raise
        _end(span, scope, status, started)
        context.detach(token)


def _end(span: Span, scope: Scope, status: int, started: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    route = getattr(scope.get("route"), "path_format", None) or "(no route)"
    milliseconds = round((perf_counter() - started) * 1000, 1)
    level = logging.DEBUG if route in _PROBES else logging.INFO
    if logger.isEnabledFor(level):
        fields = {"method": method, "route": route, "status": status, "ms": milliseconds}
        logger.log(level, "%s %s %d %.1f ms", *fields.values(), extra={"fields": fields})
    if span.is_recording():
        _describe(span, method, route, status)
    span.end()


def _describe(span: Span, method: str, route: str, status: int) -> None:
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= _SERVER_ERROR:
        span.set_status(StatusCode.ERROR)
