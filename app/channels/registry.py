"""Which channels there are, and how each is reached."""

from functools import lru_cache

import httpx

from app.channels.base import Provider
from app.channels.providers.telegram import Telegram
from app.errors import NotFound
from app.models import Connection
from app.runtime import Runtime
from app.settings import Settings
from app.web import MIB

CHANNELS = ("telegram",)


def provider_for(channel: str, settings: Settings) -> Provider:
    """The channel's provider; raises NotFound for a channel that does not exist."""
    if channel == "telegram":
        return _telegram(settings.telegram.api_base)
    raise NotFound("There is no such channel.")


@lru_cache(maxsize=8)
def _telegram(api_base: str) -> Telegram:
    return Telegram(api_base=api_base)


def client_for(connection: Connection, runtime: Runtime) -> httpx.AsyncClient:
    """The HTTP client for a connection: the simulator's for a simulated one, else the real network."""
    if connection.simulated:
        return runtime.simulated_http[connection.channel]
    return runtime.provider_http[connection.channel]


def max_webhook_bytes(channel: str, settings: Settings) -> int:
    """The channel's limit for a webhook's body."""
    return provider_for(channel, settings).capabilities.max_body_bytes if channel in CHANNELS else MIB
