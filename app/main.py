"""The web application."""

import time

from fastapi import FastAPI

from app import (  # noqa: F401
    agents,
    auth,
    billing,
    channels,
    conversations,
    documents,
    evaluations,
    events,
    privacy,
    sources,
    webhooks,
)
from app.agents.endpoints import router as agents_router
from app.auth.endpoints import router as keys_router
from app.auth.route import Uploads
from app.billing.endpoints import router as billing_router
from app.channels.consents import callbacks as consent_callbacks
from app.channels.consents import choosing
from app.channels.consents import router as consents_router
from app.channels.endpoints import connecting
from app.channels.endpoints import router as connections_router
from app.channels.registry import max_webhook_bytes
from app.conversations.desk import contacts as contacts_router
from app.conversations.desk import router as notes_router
from app.conversations.endpoints import replies
from app.conversations.endpoints import router as conversations_router
from app.conversations.mark_endpoints import guardrails as guardrails_router
from app.conversations.mark_endpoints import router as marks_router
from app.documents.context_endpoints import router as contexts_router
from app.documents.endpoints import progress as document_progress
from app.documents.endpoints import router as documents_router
from app.documents.endpoints import searches
from app.evaluations.endpoints import router as eval_datasets_router
from app.evaluations.run_endpoints import router as evals_router
from app.events.endpoints import router as events_router
from app.events.endpoints import webhooks as outgoing_webhooks
from app.events.feed import Streams
from app.health.endpoints import health_router
from app.metrics import RequestMetrics
from app.privacy.endpoints import router as privacy_router
from app.process import execute, one_of_many
from app.runtime import Runtime
from app.settings import Settings
from app.sources.endpoints import router as sources_router
from app.streams import Places
from app.telemetry import TracedRequests
from app.web import MIB, BodyLimit, add_error_handlers
from app.webhooks.callbacks import router as platform_callbacks
from app.webhooks.endpoints import router as webhooks_router
from app.webhooks.secrets import verify_token, webhook_secrets

_FORM_OVERHEAD = 64 * 1024
_MAX_DATASET_BYTES = 16 * MIB
_DESCRIPTION = """Support agents that answer a business's direct messages from its own knowledge.

Authenticate with an API key: `Authorization: Bearer jobx_…`. Errors are `application/problem+json` (RFC 9457) with a
stable `code`. Lists have a `next_cursor`. A POST with an `Idempotency-Key` is done once, however often it is sent.
Every answer carries `Jobx-Trace-Id`, an error has it as `trace_id` too: tell it to whoever runs this Jobx, to find the
request in the log.
"""


def serve(settings: Settings) -> None:
    """`jobx serve`: take webhooks and API requests until interrupted; the jobs that they add are for the workers."""
    execute(one_of_many(settings, create_app))


def create_app(runtime: Runtime) -> FastAPI:
    """The application on its parts. Tests replace how webhooks' secrets are found, and the clock, in its state."""
    app = FastAPI(title="Jobx", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.runtime = runtime
    app.state.uploads = Uploads(runtime.settings.database_pool_size)
    app.state.places = Places(runtime.metrics, runtime.settings.event_streams)
    app.state.streams = Streams(runtime.db, app.state.places)
    runtime.readiness.at_stop(app.state.streams.end)
    app.state.webhook_secret, app.state.verify_token = webhook_secrets(runtime), verify_token(runtime)
    app.state.clock = time.time
    add_error_handlers(app)
    app.add_middleware(BodyLimit, limit=_limits(runtime))
    app.add_middleware(RequestMetrics, metrics=runtime.metrics)
    app.add_middleware(TracedRequests)
    for router in (
        health_router(runtime.settings, runtime.readiness, runtime.monitor, runtime.pressure, runtime.metrics),
        webhooks_router,
        platform_callbacks,
        documents_router,
        document_progress,
        searches,
        contexts_router,
        sources_router,
        agents_router,
        replies,
        connecting,
        connections_router,
        choosing,
        consents_router,
        consent_callbacks,
        conversations_router,
        marks_router,
        guardrails_router,
        notes_router,
        contacts_router,
        eval_datasets_router,
        evals_router,
        events_router,
        outgoing_webhooks,
        keys_router,
        billing_router,
        privacy_router,
    ):
        app.include_router(router)
    return app


def _limits(runtime: Runtime):  # type: ignore[no-untyped-def]
    def limit(path: str) -> int:
        if path.startswith("/v1/documents"):
            return runtime.settings.max_document_bytes + _FORM_OVERHEAD
        if path.startswith("/v1/eval-datasets"):
            return _MAX_DATASET_BYTES + _FORM_OVERHEAD
        if path.startswith("/webhooks/"):
            return max_webhook_bytes(path.split("/")[2], runtime.settings)
        return MIB

    return limit
