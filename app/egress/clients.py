"""HTTP clients for destinations that the operator chose: channel providers, models, simulators."""

import ssl

import httpx


def tls() -> ssl.SSLContext:
    """TLS 1.2 or higher with the system's certificates."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def provider_client() -> httpx.AsyncClient:
    """A client for channel providers.

    Idle connections are let go early: one that the other side has closed would turn a send into one of unknown end.
    """
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5)
    timeout = httpx.Timeout(20, connect=5, pool=5)
    return httpx.AsyncClient(verify=tls(), limits=limits, timeout=timeout, follow_redirects=False, trust_env=False)


def model_client(timeout_seconds: float) -> httpx.AsyncClient:
    """A client for language models; the timeout is that of one attempt."""
    timeout = httpx.Timeout(timeout_seconds, connect=5)
    return httpx.AsyncClient(verify=tls(), timeout=timeout, follow_redirects=False, trust_env=False)


def vector_transport() -> httpx.AsyncHTTPTransport:
    """What carries requests to the Qdrant server; its client sets the times."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30)
    return httpx.AsyncHTTPTransport(verify=tls(), limits=limits, trust_env=False)


def simulator_client(app: object) -> httpx.AsyncClient:
    """A client whose only destination is a simulator in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), timeout=20)  # type: ignore[arg-type]
