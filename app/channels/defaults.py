"""What most providers do alike."""

from collections.abc import Mapping, Sequence

import httpx

from app.channels.base import ConnectRefused, Credentials, Grant, InboundEvent, Part


class ProviderDefaults:
    """What a channel does that has a webhook for each connection and is connected by a form."""

    def handshake(self, query: Mapping[str, str], token: str) -> str | None:
        """There is no handshake."""
        return None

    def parts(self, body: bytes) -> list[Part]:
        """All of it belongs to the connection whose address it came to."""
        return [Part(None, body)]

    def authorise_url(self, state: str, redirect_uri: str, verifier: str) -> str:
        """There is none."""
        raise ConnectRefused("This channel is connected by a form, not by consent.")

    async def grants(self, client: httpx.AsyncClient, code: str, redirect_uri: str, verifier: str) -> Sequence[Grant]:
        """There are none."""
        raise ConnectRefused("This channel is connected by a form, not by consent.")

    async def refresh(self, client: httpx.AsyncClient, credentials: Credentials) -> Credentials:
        """They do not expire."""
        return credentials

    async def acknowledge(self, client: httpx.AsyncClient, credentials: Credentials, event: InboundEvent) -> None:
        """Nothing waits for it."""
