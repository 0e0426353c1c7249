"""The way out: every HTTP client and fetcher that Jobx uses is made here and passed on as a value."""

from app.egress.allowed import Allowed, NotDeclaredError, carrying
from app.egress.clients import model_client, provider_client, simulator_client, vector_transport
from app.egress.destinations import DESTINATIONS, Data, Destination, content_of
from app.egress.errors import FetchError, FetchFailed, FetchRefused
from app.egress.pace import Pace
from app.egress.pages import FetchedPage, PageFetcher
from app.egress.posts import Posted, Poster

__all__ = (
    "DESTINATIONS",
    "Allowed",
    "Data",
    "Destination",
    "FetchError",
    "FetchFailed",
    "FetchRefused",
    "FetchedPage",
    "NotDeclaredError",
    "Pace",
    "PageFetcher",
    "Posted",
    "Poster",
    "carrying",
    "content_of",
    "model_client",
    "provider_client",
    "simulator_client",
    "vector_transport",
)
