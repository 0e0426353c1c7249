"""What a webhook is verified by: the app secrets of the settings, or a secret of each connection's own."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from pydantic import SecretStr

from app.channels.registry import secret_of
from app.runtime import Runtime
from app.settings import Settings


def webhook_secrets(runtime: Runtime) -> Callable[[str, UUID | None], Awaitable[tuple[str, ...]]]:
    """Every secret that a channel may sign with; none for a channel that is not set up, so that nothing verifies."""

    async def resolve(channel: str, connection_id: UUID | None) -> tuple[str, ...]:
        if connection_id is not None:
            return runtime.vault.master.webhook_secrets(connection_id)
        return app_secrets(channel, runtime.settings)

    return resolve


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
