"""HTTP clients for destinations that the operator chose, each for one of `app.egress.destinations` and no other."""

import ssl

import httpx

from app.egress.allowed import Allowed, DeclaredTransport
from app.egress.destinations import MODELS, VECTORS, Destination, channel
from app.settings import Settings


def tls() -> ssl.SSLContext:
    """TLS 1.2 or higher with the system's certificates."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def provider_client(settings: Settings, name: str) -> httpx.AsyncClient:
    """A client for the channel of a name; KeyError if it has no declared destination.

    Idle connections are let go early: one that the other side has closed would turn a send into one of unknown end.
    """
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5)
    return _client(settings, channel(name), httpx.Timeout(20, connect=5, pool=5), limits)


def model_client(settings: Settings) -> httpx.AsyncClient:
    """A client for language models; the timeout is that of one attempt."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    return _client(settings, MODELS, httpx.Timeout(settings.model_timeout_seconds, connect=5), limits)


def vector_transport(settings: Settings) -> httpx.AsyncBaseTransport:
    """What carries requests to the Qdrant server; its client sets the times."""
    return _transport(
        settings, VECTORS, httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30)
    )


def simulator_client(app: object) -> httpx.AsyncClient:
    """A client whose only destination is a simulator in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), timeout=20)  # type: ignore[arg-type]


def _client(
    settings: Settings, destination: Destination, timeout: httpx.Timeout, limits: httpx.Limits
) -> httpx.AsyncClient:
    transport = _transport(settings, destination, limits)
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


def _transport(settings: Settings, destination: Destination, limits: httpx.Limits) -> httpx.AsyncBaseTransport:
    allowed = Allowed(destination, destination.origins(settings))
    return DeclaredTransport(allowed, httpx.AsyncHTTPTransport(verify=tls(), limits=limits, trust_env=False))
