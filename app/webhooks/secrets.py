"""What a webhook is verified by: the app secrets of the settings, or a secret of each connection's own."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from app.channels.google_api import ask
from app.channels.registry import secret_of
from app.runtime import Runtime
from app.settings import Settings


def webhook_secrets(runtime: Runtime) -> Callable[[str, UUID | None], Awaitable[tuple[str, ...]]]:
    """Every secret that a channel may sign with; none for a channel that is not set up, so that nothing verifies."""

    certs = GoogleCerts(runtime)

    async def resolve(channel: str, connection_id: UUID | None) -> tuple[str, ...]:
        if connection_id is not None:
            return runtime.vault.master.webhook_secrets(connection_id)
        if channel == "gmail":
            return await certs.secrets()
        return app_secrets(channel, runtime.settings)

    return resolve


class GoogleCerts:
    """Google's keys, by which pushes are verified: kept for an hour, as Google changes them by the day."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._jwks: Mapping[str, Any] = {}
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def secrets(self) -> tuple[str, ...]:
        """What a push is verified by; none where pushes are not set up. Old keys serve while Google does not answer."""
        own = self._runtime.settings.gmail
        if not own.push_audience or not own.push_account:
            return ()
        async with self._lock:
            if time.monotonic() >= self._until:
                client = self._runtime.provider_http["gmail"]
                answer = await ask(client, "GET", f"{own.certs_base.rstrip('/')}/oauth2/v3/certs")
                self._jwks = answer.body if answer.ok and answer.body.get("keys") else self._jwks
                self._until = time.monotonic() + (_KEPT_SECONDS if answer.ok else _AGAIN_SECONDS)
        known = {"audience": own.push_audience, "service_account_email": own.push_account, "jwks": dict(self._jwks)}
        return (json.dumps(known),)


_KEPT_SECONDS, _AGAIN_SECONDS = 3600.0, 10.0


def app_secrets(channel: str, settings: Settings) -> tuple[str, ...]:
    """The secrets of the platform's own apps that a shared webhook is signed with.

    Instagram signs with its own app's secret, and with Meta's for accounts that are reached through a Page.
    """
    secrets: dict[str, tuple[SecretStr | None, ...]] = {
        "tiktok": (settings.tiktok.app_secret,),
        "messenger": (settings.meta.app_secret,),
        "instagram": (settings.instagram.app_secret, settings.meta.app_secret),
        "whatsapp": (settings.meta.app_secret,),
    }
    return tuple(each.get_secret_value() for each in secrets.get(channel, ()) if each is not None)


def verify_token(runtime: Runtime) -> Callable[[str], str | None]:
    """The word that Meta is to say when it asks whether a webhook is ours; None where nothing was agreed."""

    def resolve(_channel: str) -> str | None:
        return secret_of(runtime.settings.meta.verify_token)

    return resolve
