"""The way out: every HTTP client and fetcher that Jobx uses is made here and passed on as a value."""

from app.egress.clients import model_client, provider_client, simulator_client, vector_transport
from app.egress.errors import FetchError, FetchFailed, FetchRefused
from app.egress.pages import FetchedPage, PageFetcher

__all__ = (
    "FetchError",
    "FetchFailed",
    "FetchRefused",
    "FetchedPage",
    "PageFetcher",
    "model_client",
    "provider_client",
    "simulator_client",
    "vector_transport",
)
