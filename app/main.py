"""The web application."""

from uuid import UUID

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response

from app import agents, auth, channels, conversations, documents, webhooks  # noqa: F401
from app.agents.endpoints import router as agents_router
from app.auth.endpoints import router as keys_router
from app.channels.endpoints import connecting
from app.channels.endpoints import router as connections_router
from app.channels.registry import max_webhook_bytes
from app.conversations.endpoints import replies
from app.conversations.endpoints import router as conversations_router
from app.documents.endpoints import router as documents_router
from app.documents.endpoints import searches
from app.runtime import Runtime
from app.web import MIB, BodyLimit, add_error_handlers
from app.webhooks.endpoints import SecretResolver
from app.webhooks.endpoints import router as webhooks_router

_FORM_OVERHEAD = 64 * 1024
_DESCRIPTION = """Support agents that answer a business's direct messages from its own knowledge.

Authenticate with an API key: `Authorization: Bearer jobx_…`. Errors are `application/problem+json` (RFC 9457) with a
stable `code`. Lists have a `next_cursor`. A POST with an `Idempotency-Key` is done once, however often it is sent.
"""


def create_app(runtime: Runtime, *, webhook_secret: SecretResolver | None = None) -> FastAPI:
    """The application on its parts; `webhook_secret` replaces how a connection's secret is found, for tests.

    It answers /readyz with 200 only when `app.state.ready` is true and its parts answer.
    """
    app = FastAPI(title="Jobx", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.runtime = runtime
    app.state.ready = True
    app.state.webhook_secret = webhook_secret or _derived_secret(runtime)
    add_error_handlers(app)
    app.add_middleware(BodyLimit, limit=_limits(runtime))
    for router in (
        _health(app, runtime),
        webhooks_router,
        documents_router,
        searches,
        agents_router,
        replies,
        connecting,
        connections_router,
        conversations_router,
        keys_router,
    ):
        app.include_router(router)
    return app


def _derived_secret(runtime: Runtime) -> SecretResolver:
    def resolve(_channel: str, connection_id: UUID) -> str:
        return runtime.vault.master.webhook_secret(connection_id)

    return resolve


def _limits(runtime: Runtime):  # type: ignore[no-untyped-def]
    def limit(path: str) -> int:
        if path.startswith("/v1/documents"):
            return runtime.settings.max_document_bytes + _FORM_OVERHEAD
        if path.startswith("/webhooks/"):
            return max_webhook_bytes(path.split("/")[2], runtime.settings)
        return MIB

    return limit


def _health(app: FastAPI, runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["Health"])

    @router.get("/livez", response_class=Response)
    async def livez() -> Response:
        """Whether the process answers."""
        return Response("ok", media_type="text/plain")

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether every part answers; 503 names the part that does not."""
        parts = {"start": "ok" if app.state.ready else "starting", "database": await _database(runtime)}
        ready = all(state == "ok" for state in parts.values())
        return JSONResponse({"status": "ok" if ready else "unavailable", "parts": parts}, 200 if ready else 503)

    return router


async def _database(runtime: Runtime) -> str:
    try:
        await runtime.db.ping()
    except Exception:  # whatever is wrong with it, it does not answer
        return "down"
    return "ok"
