"""The wire of a simulated Graph: its accounts, its log, its form of errors, and how parameters and answers look.

Source: shared reference, sections 2 to 4.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from app.simulators.faults import Fault

Json = dict[str, Any]

# Grants that have the same address as the exchange of a code, or one of their own.
_GRANTS = ("fb_exchange_token", "ig_exchange_token", "ig_refresh_token")


@dataclass(frozen=True)
class App:
    """An app of the platform, and the secret that it signs with."""

    id: str
    secret: str


@dataclass(frozen=True)
class Page:
    """A Facebook Page of the user who consents, and the professional Instagram account that is linked to it."""

    id: str
    name: str
    tasks: tuple[str, ...] = ("MODERATE", "MESSAGING", "MANAGE")
    instagram_id: str | None = None
    instagram_username: str | None = None


@dataclass(frozen=True)
class Professional:
    """A professional account that consents by Instagram Login. Events name it by `user_id`, callbacks by `id`."""

    user_id: str
    id: str
    username: str


@dataclass(frozen=True)
class Sent:
    """One accepted message; `at` is Unix seconds."""

    account_id: str
    recipient_id: str
    text: str | None
    message_id: str
    at: float
    metadata: str | None = None
    reply_to: str | None = None
    tag: str | None = None
    image: bytes | None = None


@dataclass(frozen=True)
class Call:
    """One call that reached the simulator, also if it failed: the last part of its path, or the grant that it asked."""

    name: str
    method: str
    path: str
    parameters: Json
    at: float


class Refused(Exception):
    """An error in Graph's form."""

    def __init__(self, code: int, subcode: int | None = None, status: int = 400) -> None:
        super().__init__(code, subcode)
        self.status, self.body = status, error(code, subcode)


def refused(
    code: int, subcode: int | None = None, *, status: int = 400, transient: bool = False, acts: bool = False
) -> Fault:
    """An error in Graph's own form, for example refused(10, 2018278)."""
    return Fault(acts=acts, status=status, body=json.dumps(error(code, subcode, transient=transient)).encode())


def plainly_refused(words: str) -> Refused:
    """An error in the form of api.instagram.com."""
    found = Refused(400)
    found.body = {"error_type": "OAuthException", "code": 400, "error_message": words}
    return found


async def parameters_of(request: Request) -> Json:
    """Parameters from the query, and from a JSON body or a form, whose parts may be JSON and whose file is bytes."""
    found: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return found | object_of(_json(await request.body()))
    if kind:
        async with request.form() as form:
            for name, value in form.items():
                found[name] = await value.read() if isinstance(value, UploadFile) else _json(value)
    return found


def _json(text: str | bytes) -> Any:
    """What a JSON object or list in a form means; any other text is itself."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return read if isinstance(read, dict | list) else text


def name_of(request: Request, parameters: Mapping[str, Any]) -> str:
    """What a call is logged as: the last part of its path, "me" for a node, or the grant that it asks for."""
    grant = parameters.get("grant_type")
    if grant in _GRANTS:
        return str(grant)
    return "me" if "node" in request.path_params and "edge" not in request.path_params else _last(request.url.path)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def linked(page: Page) -> Json:
    """What Graph tells of the Instagram account that is linked to a Page."""
    if page.instagram_id is None:
        return {}
    return {"instagram_business_account": {"id": page.instagram_id, "username": page.instagram_username}}


def error(code: int, subcode: int | None = None, *, transient: bool = False) -> Json:
    """An error in Graph's form."""
    found: Json = {"message": f"(#{code}) simulated", "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    found |= {"error_subcode": subcode} if subcode else {}
    return {"error": found | ({"is_transient": True} if transient else {})}


def respond(answer: Json, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(json.dumps(answer).encode(), status, media_type="application/json")


def object_of(value: object) -> Json:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
