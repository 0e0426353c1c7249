"""What an operator can count: every metric of a process, with label values that are known beforehand.

A `Metrics` has a registry of its own, so several applications in one process (tests) do not count into each other.
No metric has a tenant, an id or a text as a label: a value that is not in a list of ours counts as "other". Counting
takes about a microsecond and never fails. docs/metrics.md lists what there is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from platform import python_version
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphs.models import ModelCall
from graphs.support.records import GUARDRAILS

OTHER = "other"
WEBHOOK_ROUTES = ("/webhooks/{channel}", "/webhooks/{channel}/{connection_id}")
# They last for as long as their clients like: counted when they begin, and that is how long they took to answer.
STREAM_ROUTES = frozenset({"/v1/events"})
WEBHOOK_RESULTS = frozenset({"recorded", "duplicate", "ignored", "unknown_connection", "bad_signature"})
JOB_OUTCOMES = frozenset({"succeeded", "retried", "failed", "aborted"})
TURN_OUTCOMES = frozenset({"replied", "drafted", "handed_off", "superseded", "skipped"})
TURN_REASONS = frozenset(
    {
        "none",
        "abuse",
        "agent_off",
        "asked_for_person",
        "connection_needs_reauthorisation",
        "connection_stopped",
        "guardrail",
        "injection",
        "internal_error",
        "limit_reached",
        "loop",
        "model_unavailable",
        "no_passages",
        "out_of_hours",
        "oversize",
        "person_took_over",
        "sensitive_topic",
        "ungrounded",
        "unsupported_content",
        "window_closed",
    }
)
STAGES = frozenset({"screen", "summarise", "rewrite", "retrieve", "draft", "check", "dispatch", "handoff"})
POST_OUTCOMES = frozenset({"delivered", "retried", "failed", "cancelled"})
SEND_OUTCOMES = frozenset({"ok", "retry", "fatal", "reconnect", "unknown", "interrupted"})
RETRIEVAL_STEPS = frozenset({"embed", "search", "load", "rerank"})
LIMITS = frozenset({"customer", "tenant", "all"})
SOURCE_PAGE_OUTCOMES = frozenset({"added", "changed", "unchanged", "removed", "failed", "skipped"})
INGEST_OUTCOMES = frozenset({"ready", "failed", "dropped", "handed_back"})

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CALLS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
_WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60, 120, 300)
_CLASSES = (OTHER, "1xx", "2xx", "3xx", "4xx", "5xx")
_MICROS = 1_000_000
_FAILED = 500

# The time at which each series began is of no use to us and doubles what is sent. The library gives no types here.
_without_created: Callable[[], None] = disable_created_metrics
_without_created()


class Metrics:
    """The counters of one process. `channels`, `tasks` and `models` are the names that may be seen as labels."""

    def __init__(
        self,
        *,
        channels: Collection[str] = (),
        tasks: Collection[str] = (),
        models: Collection[str] = (),
        version: str = "unknown",
    ) -> None:
        self._channels, self._tasks, self._models = frozenset(channels), frozenset(tasks), frozenset(models)
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        build = self._gauge("build_info", "Version of Jobx and of Python; always 1.", "version", "python")
        build.labels(version, python_version()).set(1)
        self._define_web()
        self._define_queue()
        self._define_turns()
        self._define_models()
        self._define_knowledge()
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Show what alerts watch before it happens first: a series that begins at one has not increased."""
        for channel in self._channels:
            for outcome in SEND_OUTCOMES:
                self._sends.labels(channel, outcome)
            for result in WEBHOOK_RESULTS:
                self._webhooks.labels(channel, result)
        for outcome in POST_OUTCOMES:
            self._posts.labels(outcome)
        for limit in LIMITS:
            self._limited.labels(limit)
        for route in WEBHOOK_ROUTES:
            self._requests.labels(route, "5xx")
        for task in self._tasks:
            for outcome in JOB_OUTCOMES:
                self._jobs.labels(task, outcome)
        for model in self._models:
            for outcome in ("ok", "unavailable", "refused"):
                self._calls.labels(model, outcome)

    def _define_web(self) -> None:
        self._requests = self._counter("http_requests", "HTTP requests answered.", "route", "status")
        self._request_seconds = self._histogram("http_request_seconds", "Time to answer.", _QUICK, "route")
        self._webhooks = self._counter("webhooks", "Webhooks by what became of them.", "channel", "result")
        self._sends = self._counter("sends", "Calls that send one part of a reply.", "channel", "outcome")
        self._send_seconds = self._histogram("send_seconds", "Time of a send at the provider.", _CALLS, "channel")
        self._posts = self._counter("webhook_posts", "Attempts to post to outgoing webhooks.", "outcome")
        self._streams = self._gauge("event_streams", "Event streams that are open.")
        self._parts = self._gauge("part_up", "Whether a part answers (1) or not (0).", "part")

    def _define_queue(self) -> None:
        self._queue_jobs = self._gauge("queue_jobs", "Jobs in the queue.", "queue", "status")
        self._queue_oldest = self._gauge(
            "queue_oldest_seconds", "How long the oldest job that could run has waited.", "queue"
        )
        self._queue_seen: set[tuple[str, str]] = set()
        self._overloaded = self._gauge("overloaded", "Whether customers wait longer than the limit (1) or not (0).")
        self._jobs = self._counter("jobs", "Runs of jobs.", "task", "outcome")
        self._job_seconds = self._histogram("job_seconds", "Time of one run of a job.", _CALLS, "task")

    def _define_turns(self) -> None:
        self._turns = self._counter("turns", "Turns by how they ended.", "channel", "outcome", "reason")
        self._stage_seconds = self._histogram("turn_stage_seconds", "Time of a turn by step.", _CALLS, "stage")
        self._to_reply = self._histogram(
            "message_to_reply_seconds", "From the customer's message stored to the reply queued.", _WAITS, "channel"
        )
        self._to_sent = self._histogram(
            "message_to_sent_seconds", "From the customer's message stored to the send confirmed.", _WAITS, "channel"
        )
        self._verdicts = self._counter("guardrail_verdicts", "What the guardrails found.", "guardrail", "passed")
        self._guardrail_seconds = self._histogram("guardrail_seconds", "Time of a turn in its guardrails.", _QUICK)

    def _define_models(self) -> None:
        self._calls = self._counter("model_calls", "Calls of language models.", "model", "outcome")
        self._call_seconds = self._histogram("model_call_seconds", "Time of a call, retries included.", _CALLS, "model")
        self._tokens = self._counter("model_tokens", "Tokens sent to and taken from models.", "model", "direction")
        self._limited = self._counter("spend_limit_reached", "Calls of models that a limit forbade.", "limit")
        self._cost = self._counter("model_cost_dollars", "Cost of model calls in US dollars.", "model")

    def _define_knowledge(self) -> None:
        self._retrieval = self._histogram("retrieval_seconds", "Time of a search by step.", _QUICK, "step")
        self._documents = self._counter("documents_ingested", "Versions of documents read.", "outcome")
        self._source_pages = self._counter("source_pages", "Pages of sources by what became of them.", "outcome")
        self._ingest_seconds = self._histogram("document_ingest_seconds", "Time to read a version.", _WAITS)

    def request(self, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; `route` is the template of one of our routes."""
        kind = status // 100
        self._requests.labels(route, _CLASSES[kind] if 0 < kind < len(_CLASSES) else OTHER).inc()
        self._request_seconds.labels(route).observe(seconds)

    def event_streams(self, count: int) -> None:
        """So many event streams are open now."""
        self._streams.set(count)

    def webhook_post(self, outcome: str) -> None:
        """An outgoing webhook was posted to, or not any more; `outcome` is one of POST_OUTCOMES."""
        self._posts.labels(_known(outcome, POST_OUTCOMES)).inc()

    def webhook(self, channel: str, result: str) -> None:
        """A webhook came; `result` is one of WEBHOOK_RESULTS."""
        self._webhooks.labels(_known(channel, self._channels), _known(result, WEBHOOK_RESULTS)).inc()

    def job(self, task: str, outcome: str, seconds: float) -> None:
        """A job ran; `outcome` is one of JOB_OUTCOMES ("retried": it failed and will run again)."""
        name = _known(task, self._tasks)
        self._jobs.labels(name, _known(outcome, JOB_OUTCOMES)).inc()
        self._job_seconds.labels(name).observe(seconds)

    def turn(self, channel: str, outcome: str, reason: str | None, waited: float | None = None) -> None:
        """A turn ended; `waited` is the seconds from the customer's message to its queued reply, if there is one."""
        name = _known(channel, self._channels)
        self._turns.labels(name, _known(outcome, TURN_OUTCOMES), _known(reason or "none", TURN_REASONS)).inc()
        if waited is not None:
            self._to_reply.labels(name).observe(max(waited, 0.0))

    def graph_run(self, timings: Mapping[str, float], verdicts: Iterable[tuple[str, bool]]) -> None:
        """The graph ran: milliseconds by node, and what its guardrails said as (name, passed)."""
        for stage, milliseconds in timings.items():
            self._stage_seconds.labels(_known(stage, STAGES)).observe(milliseconds / 1000)
        self._guardrail_seconds.observe((timings.get("screen", 0.0) + timings.get("check", 0.0)) / 1000)
        for name, passed in verdicts:
            self._verdicts.labels(_known(name, GUARDRAILS), "true" if passed else "false").inc()

    def send(self, channel: str, outcome: str, seconds: float | None = None) -> None:
        """A part of a reply was sent, or was found `interrupted` by a crash; `outcome` is one of SEND_OUTCOMES."""
        name = _known(channel, self._channels)
        self._sends.labels(name, _known(outcome, SEND_OUTCOMES)).inc()
        if seconds is not None:
            self._send_seconds.labels(name).observe(seconds)

    def confirmed(self, channel: str, waited: float) -> None:
        """The provider confirmed the first part of a reply, `waited` seconds after the customer's message."""
        self._to_sent.labels(_known(channel, self._channels)).observe(max(waited, 0.0))

    def model_call(self, call: ModelCall) -> None:
        """A language model was asked."""
        name = _known(call.model, self._models)
        self._calls.labels(name, call.outcome).inc()
        self._call_seconds.labels(name).observe(call.seconds)
        self._tokens.labels(name, "prompt").inc(call.usage.prompt_tokens)
        self._tokens.labels(name, "completion").inc(call.usage.completion_tokens)
        self._cost.labels(name).inc(call.usage.cost_micros / _MICROS)

    def spend_limit_reached(self, limit: str) -> None:
        """A model was not asked, because a customer's day, a tenant's month or everybody's day had its limit."""
        self._limited.labels(_known(limit, LIMITS)).inc()

    def retrieval(self, step: str, seconds: float) -> None:
        """A step of a search ended: embed, search, load or rerank."""
        self._retrieval.labels(_known(step, RETRIEVAL_STEPS)).observe(seconds)

    def document(self, outcome: str, seconds: float | None = None) -> None:
        """A version was read or failed, its document was deleted meanwhile, or it was left to the next worker.

        `outcome` is one of INGEST_OUTCOMES, `seconds` the time to read it, with pauses.
        """
        self._documents.labels(_known(outcome, INGEST_OUTCOMES)).inc()
        if seconds is not None:
            self._ingest_seconds.observe(seconds)

    def source_page(self, outcome: str) -> None:
        """A run of a source met a page; `outcome` is one of SOURCE_PAGE_OUTCOMES."""
        self._source_pages.labels(_known(outcome, SOURCE_PAGE_OUTCOMES)).inc()

    def part(self, name: str, up: bool) -> None:
        """A part answers, or does not; the names are ours."""
        self._parts.labels(name).set(up)

    def queue(self, jobs: Mapping[tuple[str, str], int], oldest: Mapping[str, float]) -> None:
        """What is in the queue now: jobs by (queue, status), and the seconds of the oldest one due by queue."""
        gone = dict.fromkeys(self._queue_seen - jobs.keys(), 0)
        self._queue_seen |= jobs.keys()
        for (queue, status), count in {**gone, **jobs}.items():
            self._queue_jobs.labels(queue, status).set(count)
        for queue, seconds in oldest.items():
            self._queue_oldest.labels(queue).set(seconds)

    def forget_queue(self) -> None:
        """The queue cannot be read: a gap tells more than a number that is no longer true."""
        self._queue_jobs.clear()
        self._queue_oldest.clear()

    def overloaded(self, behind: bool) -> None:
        """Customers wait longer than the limit, or no longer."""
        self._overloaded.set(behind)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"jobx_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"jobx_{name}", words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"jobx_{name}", words, labels, registry=self.registry, buckets=buckets)


class RequestMetrics:
    """ASGI middleware that counts requests by route template and status class."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its answer; an answer that broke off counts as 5xx."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, counted = perf_counter(), _FAILED, False

        def count() -> None:
            nonlocal counted
            # The path of a request that found no route is whatever its sender likes.
            route = getattr(scope.get("route"), "path", OTHER)
            if not counted:
                self._metrics.request(route, status, perf_counter() - started)
            counted = True

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if getattr(scope.get("route"), "path", OTHER) in STREAM_ROUTES:
                    count()
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except BaseException:
            status = _FAILED
            raise
        finally:
            count()


def _known(value: str, known: frozenset[str]) -> str:
    return value if value in known else OTHER
