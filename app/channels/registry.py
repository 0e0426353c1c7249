"""Which channels there are, and how each is reached."""

from collections.abc import Callable
from functools import lru_cache

import httpx
from pydantic import SecretStr

from app.channels.base import Provider
from app.channels.providers.gmail import Gmail
from app.channels.providers.instagram import Instagram
from app.channels.providers.mailbox import MailboxProvider
from app.channels.providers.messenger import Messenger
from app.channels.providers.telegram import Telegram
from app.channels.providers.tiktok import TikTok
from app.channels.providers.whatsapp import WhatsApp
from app.egress.addresses import Network
from app.egress.mail import MailDoor
from app.errors import NotFound
from app.models import Connection
from app.runtime import Runtime
from app.settings import Settings
from app.web import MIB

CHANNELS = ("telegram", "tiktok", "messenger", "instagram", "whatsapp", "gmail", "email")
# Those whose accounts are looked into, as nothing comes by itself.
POLLED = ("gmail", "email")


def provider_for(channel: str, settings: Settings) -> Provider:
    """The channel's provider; raises NotFound for a channel that does not exist."""
    make = _MAKERS.get(channel)
    if make is None:
        raise NotFound("There is no such channel.")
    return make(settings)


def set_up(settings: Settings) -> tuple[str, ...]:
    """The channels that the settings let tenants connect: those with an app of the platform's own need it."""
    apps = {
        "tiktok": settings.tiktok.app_id,
        "messenger": settings.meta.app_id,
        "instagram": settings.instagram.app_id or settings.meta.app_id,
        "whatsapp": settings.meta.app_id,
        "gmail": settings.gmail.client_id,
    }
    return tuple(name for name in CHANNELS if apps.get(name, "none is needed"))


def secret_of(value: SecretStr | None) -> str | None:
    """A secret of the settings in clear."""
    return None if value is None else value.get_secret_value()


def client_for(connection: Connection, runtime: Runtime) -> httpx.AsyncClient:
    """The HTTP client for a connection: the simulator's for a simulated one, else the real network."""
    if connection.simulated:
        return runtime.simulated_http[connection.channel]
    return runtime.provider_http[connection.channel]


def max_webhook_bytes(channel: str, settings: Settings) -> int:
    """The channel's limit for a webhook's body."""
    return provider_for(channel, settings).capabilities.max_body_bytes if channel in CHANNELS else MIB


def _make_telegram(settings: Settings) -> Provider:
    return _telegram(settings.telegram.api_base)


def _make_tiktok(settings: Settings) -> Provider:
    own = settings.tiktok
    return _tiktok(own.api_base, own.auth_base, own.app_id, secret_of(own.app_secret), own.signature_seconds)


def _make_messenger(settings: Settings) -> Provider:
    base, meta = settings.messenger, settings.meta
    return _messenger(base.api_base, base.auth_base, meta.app_id, secret_of(meta.app_secret), base.config_id)


def _make_instagram(settings: Settings) -> Provider:
    login, meta = settings.instagram, settings.meta
    own = login.app_id, secret_of(login.app_secret)
    page = settings.messenger.api_base, meta.app_id, secret_of(meta.app_secret)
    return _instagram(login.api_base, login.auth_base, login.token_base, *own, *page)


def _make_whatsapp(settings: Settings) -> Provider:
    cloud, meta = settings.whatsapp, settings.meta
    return _whatsapp(cloud.api_base, meta.app_id, secret_of(meta.app_secret), cloud.config_id)


def _make_gmail(settings: Settings) -> Provider:
    own = settings.gmail
    app = own.client_id, secret_of(own.client_secret)
    return _gmail(own.api_base, own.auth_base, own.token_base, *app, own.topic)


def _make_email(settings: Settings) -> Provider:
    return _email(settings.fetch_allow)


@lru_cache(maxsize=8)
def _email(allow: tuple[Network, ...]) -> MailboxProvider:
    return MailboxProvider(MailDoor(allow))


# A provider holds no state but its addresses and apps: one for each set of settings.
_telegram = lru_cache(maxsize=8)(Telegram)
_tiktok = lru_cache(maxsize=8)(TikTok)
_messenger = lru_cache(maxsize=8)(Messenger)
_instagram = lru_cache(maxsize=8)(Instagram)
_whatsapp = lru_cache(maxsize=8)(WhatsApp)
_gmail = lru_cache(maxsize=8)(Gmail)
_MAKERS: dict[str, Callable[[Settings], Provider]] = {
    "telegram": _make_telegram,
    "tiktok": _make_tiktok,
    "messenger": _make_messenger,
    "instagram": _make_instagram,
    "whatsapp": _make_whatsapp,
    "gmail": _make_gmail,
    "email": _make_email,
}
