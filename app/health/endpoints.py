"""/livez, /readyz and /metrics, of a web process and of one that only works."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from ipaddress import ip_address

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.errors import NotFound, Unauthorized
from app.health.monitor import Monitor, Readiness, State
from app.health.pressure import Pressure
from app.metrics import Metrics
from app.settings import Settings
from app.web import add_error_handlers

logger = logging.getLogger(__name__)

DATABASE = "database"


def health_router(
    settings: Settings, readiness: Readiness, monitor: Monitor, pressure: Pressure, metrics: Metrics
) -> APIRouter:
    """The three endpoints of a process."""
    router = APIRouter(tags=["Health"])
    admit = _door(settings)

    @router.get("/livez", response_class=Response)
    async def livez() -> Response:
        """Whether the process answers."""
        return Response("ok", media_type="text/plain")

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """Which part is down. 503 only when a message could not be made durable: there is no database, or the process
        starts or stops. Without vectors or files, or with a queue that is behind, it is "degraded" and stays 200,
        because a provider's webhook must still be acknowledged; its answer is given when the part is back.
        """
        status, parts = await _parts(readiness, monitor)
        return JSONResponse({"status": status, "parts": parts}, 503 if status == "unavailable" else 200)

    @router.get("/metrics", include_in_schema=False)
    async def scrape(request: Request) -> Response:
        """Every metric, as text for Prometheus or OpenMetrics as the scraper asks."""
        admit(request)
        try:
            await pressure.measure()
        except Exception:  # the queue's numbers are left out, and the part's state says why
            logger.debug("the queue could not be measured for a scrape")
        encode, media_type = _encoder(request.headers.get("accept", ""))
        # In a thread: writing some thousand lines takes 20 ms, which no webhook should wait for.
        return Response(await asyncio.to_thread(encode, metrics.registry), media_type=media_type)

    return router


def health_app(router: APIRouter) -> FastAPI:
    """An application of nothing but `health_router`'s endpoints, for a worker."""
    app = FastAPI(title="Jobx worker", openapi_url=None)
    add_error_handlers(app)
    app.include_router(router)
    return app


async def _parts(readiness: Readiness, monitor: Monitor) -> tuple[str, dict[str, State]]:
    """The status in a word, and every part's state; the database is asked now, the others were lately."""
    database = await monitor.check(DATABASE)
    parts: dict[str, State] = {"start": readiness.state, **monitor.states, DATABASE: database}
    if parts["start"] != "ok" or parts[DATABASE] != "ok":
        return "unavailable", parts
    return "ok" if set(parts.values()) == {"ok"} else "degraded", parts


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """How a scraper gets the metrics: as it asks, or as plain text where that cannot be understood."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is not one
        return choose_encoder("")


def _door(settings: Settings) -> Callable[[Request], None]:
    """Who may read the metrics: raises Unauthorized, or NotFound where nobody may."""
    # An empty variable is what a compose file makes of one that is not set.
    if settings.metrics_token is not None and settings.metrics_token.get_secret_value():
        expected = f"Bearer {settings.metrics_token.get_secret_value()}".encode()

        def by_token(request: Request) -> None:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                raise Unauthorized("The metrics need their own token: Authorization: Bearer <JOBX_METRICS_TOKEN>.")

        return by_token
    if settings.public_url is None and _is_loopback(settings.host):
        return lambda _request: None
    logger.warning("/metrics is closed: set JOBX_METRICS_TOKEN to open it where others than this machine can reach it")

    def closed(_request: Request) -> None:
        raise NotFound

    return closed


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
