"""Connecting through Graph: calls whose refusal is said in words, and the consent of Facebook Login.

Source: shared reference, sections 2, 3.1 and 4. Secrets and codes go into URLs, which app/channels/calls.py hides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from app.channels import calls
from app.channels.base import ConnectRefused, ProviderUnavailable
from app.channels.calls import Reply
from app.channels.meta_graph import error_of, graph
from app.channels.meta_send import outcome_of
from app.channels.reading import as_id, as_object, as_text
from app.text import clean

# Every field of a Page that Messenger reads. Instagram through a Page asks for the same ones: the newer list replaces
# the older one, and a Page may be connected for both.
PAGE_FIELDS = (
    "messages,messaging_postbacks,message_echoes,message_edits,message_reads,message_deliveries,message_reactions,"
    "messaging_referrals,messaging_handovers,standby"
)

_SUCCESS = range(200, 300)
_REFUSALS = range(400, 500)
_DEAD_CODE = frozenset({36007, 36008, 36009})
_DEAD_TOKEN = 190
_PERMISSIONS = frozenset({3, 10, *range(200, 300)})
_PARAMETER = 100
_PAGES_AT_ONCE, _MOST_LISTS = 100, 50


@dataclass(frozen=True)
class App:
    """A platform's app at Meta, and Graph as it is to be called with it."""

    api_base: str
    app_id: str
    secret: str


@dataclass(frozen=True)
class Page:
    """A Facebook Page that the user let us see, with the tasks that the user may do there."""

    page_id: str
    name: str
    token: str
    tasks: frozenset[str]


def address(api_base: str, *parts: str) -> str:
    """The URL of a path whose parts are ids."""
    return "/".join((api_base, *(quote(part, safe="") for part in parts)))


def answered(reply: Reply, name: str) -> Mapping[str, Any]:
    """The body of a call that worked; raises ConnectRefused or ProviderUnavailable in words that call it `name`."""
    if reply.status in _SUCCESS and reply.body is not None and "error" not in reply.body:
        return reply.body
    raise refusal(reply, name)


def confirmed(reply: Reply, name: str) -> None:
    """Raise as `answered` does unless Graph says `success`, which may be the text "true"."""
    if answered(reply, name).get("success") not in (True, "true"):
        raise ProviderUnavailable(f"{name} did not confirm it. Try again.")


def refusal(reply: Reply, name: str) -> ConnectRefused | ProviderUnavailable:
    """Why a connect failed, in words for the person who asked for it."""
    code, subcode = error_of(reply) or _plain_error(reply) or (None, None)
    if code is None or reply.status not in _REFUSALS:
        return ProviderUnavailable(f"{name} could not be reached, or its answer could not be understood. Try again.")
    if outcome_of(reply) == "retry":
        return ProviderUnavailable(f"{name} cannot do that right now. Try again later.")
    if subcode in _DEAD_CODE:
        return ConnectRefused(f"The consent at {name} has expired or was used before. Connect again.", code="bad_code")
    if code == _DEAD_TOKEN:
        return ConnectRefused(f"{name} does not accept our access any more. Connect again.", code="bad_token")
    if code in _PERMISSIONS:
        return ConnectRefused(f"{name} says that a permission is missing (its error {code}).", code="no_permission")
    return ConnectRefused(f"{name} refuses to connect this account (its error {code}).")


def confirmed_gone(reply: Reply, name: str) -> None:
    """Raise ProviderUnavailable unless Graph says `success`, or that our access or what it was for is gone already."""
    error = error_of(reply)
    code = error[0] if error and reply.status in _REFUSALS else None
    if code in (_DEAD_TOKEN, _PARAMETER) or code in _PERMISSIONS:
        return
    if reply.status not in _SUCCESS or (reply.body or {}).get("success") not in (True, "true"):
        raise ProviderUnavailable(f"{name} did not confirm that its events were stopped. Try again.")


def _plain_error(reply: Reply) -> tuple[int, None] | None:
    """Code of an error in the form of api.instagram.com, which has no envelope."""
    body = reply.body or {}
    code = body.get("code")
    return (code, None) if "error_type" in body and isinstance(code, int) and not isinstance(code, bool) else None


def check_granted(wanted: Iterable[str], granted: Iterable[str], name: str) -> None:
    """Raise ConnectRefused with the names of the permissions that were not given."""
    missing = [permission for permission in wanted if permission not in set(granted)]
    if missing:
        raise ConnectRefused(
            f"{name} was not given these permissions: {', '.join(missing)}. Connect again and leave them on.",
            code="missing_scopes",
        )


async def user_token(client: httpx.AsyncClient, app: App, code: str, redirect_uri: str, name: str) -> str:
    """A token of about 60 days of the user who consented, for the code that came back."""
    short = await _token(client, app, {"redirect_uri": redirect_uri, "code": clean(code)}, name)
    return await _token(client, app, {"grant_type": "fb_exchange_token", "fb_exchange_token": short}, name)


async def _token(client: httpx.AsyncClient, app: App, parameters: Mapping[str, str], name: str) -> str:
    own = {"client_id": app.app_id, "client_secret": app.secret}
    reply = await calls.call(client, "GET", f"{app.api_base}/oauth/access_token", params=own | dict(parameters))
    return token_in(answered(reply, name), name)


def token_in(body: Mapping[str, Any], name: str) -> str:
    """The access token of an answer; ProviderUnavailable if there is none."""
    token = as_text(body.get("access_token"))
    if token is None:
        raise ProviderUnavailable(f"{name} gave no access token. Try again.")
    return token


async def user_id(client: httpx.AsyncClient, app: App, token: str, name: str) -> str:
    """The app-scoped id of the user, by which Meta's callbacks name them."""
    reply = await graph(client, "GET", f"{app.api_base}/me", token, secret=app.secret, params={"fields": "id"})
    found = as_id(answered(reply, name).get("id"))
    if found is None:
        raise ProviderUnavailable(f"{name} did not say who consented. Try again.")
    return found


async def permissions(client: httpx.AsyncClient, app: App, token: str, name: str) -> list[str]:
    """The permissions that the user gave and did not take back."""
    reply = await graph(client, "GET", f"{app.api_base}/me/permissions", token, secret=app.secret)
    given = [each for each in _listed(answered(reply, name)) if each.get("status") == "granted"]
    return [str(each.get("permission")) for each in given]


async def pages(client: httpx.AsyncClient, app: App, token: str, name: str) -> Sequence[Page]:
    """The Pages that the user let us see, with a token for each."""
    found: list[Page] = []
    parameters = {"fields": "id,name,access_token,tasks,instagram_business_account", "limit": str(_PAGES_AT_ONCE)}
    for _ in range(_MOST_LISTS):
        reply = await graph(client, "GET", f"{app.api_base}/me/accounts", token, secret=app.secret, params=parameters)
        body = answered(reply, name)
        found += [page for page in map(_page, _listed(body)) if page is not None]
        paging = as_object(body.get("paging"))
        after = as_text(as_object(paging.get("cursors")).get("after"))
        if after is None or "next" not in paging:
            break
        parameters["after"] = after
    return found


def _page(listed: Mapping[str, Any]) -> Page | None:
    page_id, token, tasks = as_id(listed.get("id")), as_text(listed.get("access_token")), listed.get("tasks")
    if page_id is None or token is None:
        return None
    return Page(page_id, as_text(listed.get("name")) or page_id, token, frozenset(map(str, tasks or ())))


def _listed(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    data = body.get("data")
    return [as_object(each) for each in data] if isinstance(data, list) else []
