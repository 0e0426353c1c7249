"""The tokens of Instagram Login: a code becomes one of an hour, that one of 60 days, which can be renewed.

Source: shared reference, section 4. The secrets go into URLs and forms, which app/channels/calls.py hides.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.channels import calls
from app.channels.base import Credentials
from app.channels.meta_login import answered, check_granted, token_in
from app.channels.reading import as_id, as_object, as_text
from app.text import clean

NAME = "Instagram"
SCOPES = ("instagram_business_basic", "instagram_business_manage_messages")

_DAY = 24 * 3600
_WEEK = 7 * _DAY
_LIFE = 60 * _DAY
_VERSION = re.compile(r"/v[0-9]+(\.[0-9]+)?$")
# What stands behind the code in the address that Instagram sends the owner back to.
_TAIL = "#_"


@dataclass(frozen=True)
class App:
    """The platform's Instagram app, Instagram's Graph, and the site that takes its codes."""

    api_base: str
    token_base: str
    app_id: str
    secret: str


async def exchange(client: httpx.AsyncClient, app: App, code: str, redirect_uri: str) -> tuple[str, str | None]:
    """A token of an hour for the code that came back, and the user's id if it is told.

    Raises ConnectRefused, which names missing permissions, and ProviderUnavailable.
    """
    form = {
        "client_id": app.app_id,
        "client_secret": app.secret,
        "grant_type": "authorization_code",
        "redirect_uri": redirect_uri,
        "code": clean(code).removesuffix(_TAIL),
    }
    body = answered(await calls.call(client, "POST", f"{app.token_base}/oauth/access_token", data=form), NAME)
    listed = body.get("data")
    found = as_object(listed[0]) if isinstance(listed, list) and listed else body
    if (given := _permissions(found.get("permissions"))) is not None:
        check_granted(SCOPES, given, NAME)
    return token_in(found, NAME), as_id(found.get("user_id"))


async def lengthen(client: httpx.AsyncClient, app: App, short: str, now: int) -> Credentials:
    """Credentials with a token of 60 days for one of an hour; `now` is Unix seconds."""
    parameters = {"grant_type": "ig_exchange_token", "client_secret": app.secret, "access_token": short}
    reply = await calls.call(client, "GET", f"{_root(app.api_base)}/access_token", params=parameters)
    return _dated(answered(reply, NAME), now)


async def refreshed(client: httpx.AsyncClient, api_base: str, credentials: Credentials, now: int) -> Credentials:
    """Credentials with 60 days more, or the same while the token is younger than a day.

    Raises ConnectRefused for a token that has expired, which cannot be renewed, and ProviderUnavailable.
    """
    issued = credentials.get("issued_at", "")
    if issued.isdigit() and now < int(issued) + _DAY:
        return Credentials(credentials | {"refresh_at": str(int(issued) + _DAY)})
    parameters = {"grant_type": "ig_refresh_token", "access_token": credentials.get("token", "")}
    reply = await calls.call(client, "GET", f"{_root(api_base)}/refresh_access_token", params=parameters)
    return Credentials(credentials | _dated(answered(reply, NAME), now))


def _dated(body: Mapping[str, Any], now: int) -> Credentials:
    """The token of an answer with its times. It is renewed weekly: a month of outage costs nobody a connection."""
    seconds = body.get("expires_in")
    life = seconds if isinstance(seconds, int) and 0 < seconds <= _LIFE * 2 else _LIFE
    refresh = now + max(_DAY, min(_WEEK, life - _DAY))
    return Credentials(
        token=token_in(body, NAME), issued_at=str(now), refresh_at=str(refresh), expires_at=str(now + life)
    )


def _permissions(given: object) -> list[str] | None:
    """The permissions of an answer: a list, or one text with commas; None if it does not tell them."""
    if isinstance(given, str):
        return [permission.strip() for permission in given.split(",")]
    return [text for text in map(as_text, given) if text] if isinstance(given, list) else None


def _root(api_base: str) -> str:
    """Graph without its version: the addresses of tokens have none."""
    return _VERSION.sub("", api_base)
