"""Routes that know their tenant: one authenticated request is one transaction of that tenant."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app.auth.service import Principal, Scope, find_tenant, hash_secret, principal_of
from app.crypto import current_keyring
from app.errors import BadRequest, Conflict, JobxError, Unauthorized, Unprocessable
from app.models import StoredResponse
from app.runtime import of_request

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_MAX_IDEMPOTENCY_KEY = 255
_BODIES = 12
_UPLOAD_SECONDS = 300.0
_bearer = HTTPBearer(auto_error=False, description="An API key: Authorization: Bearer jobx_…")


class RequestTimeout(JobxError):
    """The body took too long to arrive."""

    status_code = 408
    code = "request_timeout"


class Uploads:
    """How many uploads a process takes at once; `connections` is the size of its database pool."""

    def __init__(self, connections: int) -> None:
        self.bodies = asyncio.Semaphore(_BODIES)
        self.transactions = asyncio.Semaphore(max(1, connections // 4))


class TenantRoute(APIRoute):
    """Authenticates, runs the endpoint in its tenant's transaction, and repeats stored answers to POSTs."""

    def get_route_handler(self) -> Handler:
        """The endpoint, wrapped."""
        endpoint = super().get_route_handler()

        async def handle(request: Request) -> Response:
            tenant_id, secret_hash = await _identify(request)
            # Read before the transaction opens: a slow sender must not hold a database connection.
            await request.body()
            async with of_request(request).vault.session(tenant_id) as session:
                request.state.principal = await principal_of(session, tenant_id, secret_hash)
                request.state.session = session
                return await _once(request, session, endpoint)

        return handle


class UploadRoute(TenantRoute):
    """The same for endpoints that take files and write them to the file store.

    Only a known caller's body is read, few bodies are in memory at a time, and fewer transactions are open: each holds
    its database connection while the store answers, and a slow store must not take all of them, or webhooks could not
    be acknowledged. Raises RequestTimeout when a body takes too long.
    """

    def get_route_handler(self) -> Handler:
        """The endpoint, wrapped."""
        handle = super().get_route_handler()

        async def take_turns(request: Request) -> Response:
            if request.method not in ("POST", "PUT"):
                return await handle(request)
            await _identify(request)
            uploads: Uploads = request.app.state.uploads
            async with uploads.bodies:
                try:
                    async with asyncio.timeout(_UPLOAD_SECONDS):
                        await request.body()
                except TimeoutError:
                    raise RequestTimeout from None
                async with uploads.transactions:
                    return await handle(request)

        return take_turns


class LongRoute(APIRoute):
    """Authenticates only: for endpoints that wait for models, and open short transactions of their own."""

    def get_route_handler(self) -> Handler:
        """The endpoint, wrapped."""
        endpoint = super().get_route_handler()

        async def handle(request: Request) -> Response:
            tenant_id, secret_hash = await _identify(request)
            async with of_request(request).vault.session(tenant_id) as session:
                request.state.principal = await principal_of(session, tenant_id, secret_hash)
            await request.body()
            return await endpoint(request)

        return handle


async def _identify(request: Request) -> tuple[Any, bytes]:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized
    secret_hash = hash_secret(secret.strip())
    tenant_id = await find_tenant(of_request(request).db, secret_hash)
    if tenant_id is None:
        raise Unauthorized
    return tenant_id, secret_hash


async def _once(request: Request, session: AsyncSession, endpoint: Handler) -> Response:
    """Run a POST with an Idempotency-Key once; its answer is stored by the same transaction as its effects.

    A second request with the same key waits at the unique index until the first is done, and gets its answer.
    """
    key = request.headers.get("idempotency-key")
    if request.method != "POST" or key is None:
        return await endpoint(request)
    if not 0 < len(key) <= _MAX_IDEMPOTENCY_KEY:
        raise BadRequest("An Idempotency-Key has 1 to 255 characters.", code="bad_idempotency_key")
    record = StoredResponse(key_hash=_key_hash(request, key), request_hash=await _request_hash(request))
    statement = insert(StoredResponse).values(record.column_values()).on_conflict_do_nothing()
    inserted = await session.scalar(statement.returning(StoredResponse.id))
    if inserted is None:
        return await _stored(session, record)
    response = await endpoint(request)
    row = await session.get_one(StoredResponse, record.id)
    row.status_code = response.status_code
    if response.headers.get("cache-control") != "no-store":
        row.body = _with_names(request, bytes(response.body))
    return response


def _with_names(request: Request, body: bytes) -> bytes:
    """An answer (JSON, so without line breaks) behind the ids in its request's path.

    It often names its conversation there only, and has to go with it (app/privacy/mentions.py).
    """
    return b" ".join(_spelt(one) for one in request.path_params.values()) + b"\n" + body


def _spelt(name: str) -> bytes:
    """A part of a path as answers spell it: an id may be asked for in capitals or without its dashes."""
    try:
        return str(UUID(name)).encode()
    except ValueError:
        return name.encode()


async def _stored(session: AsyncSession, asked: StoredResponse) -> Response:
    row = await session.scalar(select(StoredResponse).where(StoredResponse.key_hash == asked.key_hash))
    if row is None or row.request_hash != asked.request_hash:
        raise Unprocessable("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    if row.status_code is None or row.body is None:
        raise Conflict("This request was answered before, and its answer is shown once only.", code="answered_once")
    headers = {"Idempotent-Replayed": "true"}
    # One of a version before has no names in front.
    return Response(row.body.rpartition(b"\n")[2], row.status_code, headers, media_type="application/json")


def _key_hash(request: Request, key: str) -> bytes:
    principal: Principal = request.state.principal
    return current_keyring().lookup("idempotency", f"{principal.key_id} {request.url.path} {key}")


async def _request_hash(request: Request) -> bytes:
    body = await request.body()
    # A client that sends a form again chooses another boundary.
    boundary = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""))
    if boundary:
        body = body.replace(boundary[1].encode(), b"")
    return current_keyring().lookup("request", hashlib.sha256(request.url.query.encode() + b"\0" + body).hexdigest())


def _session(request: Request) -> AsyncSession:
    session: AsyncSession = request.state.session
    return session


def _principal(
    request: Request,
    _credentials: Annotated[Any, Security(_bearer)] = None,
) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _idempotency_key(
    _key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="Makes the request safe to repeat.")
    ] = None,
) -> None:
    """Names the header in the API's description; the route itself reads it."""


repeatable = Depends(_idempotency_key)


CurrentSession = Annotated[AsyncSession, Depends(_session)]
CurrentPrincipal = Annotated[Principal, Depends(_principal)]


def needs(scope: Scope) -> Any:
    """A route dependency that refuses keys without the scope."""

    def check(principal: CurrentPrincipal) -> None:
        principal.require(scope)

    return Depends(check)
