"""/v1/api-keys: make, list and revoke keys."""

from uuid import UUID

from fastapi import APIRouter, Response

from app.auth import service
from app.auth.route import CurrentPrincipal, CurrentSession, TenantRoute, needs, repeatable
from app.auth.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyList, ApiKeyOut
from app.models import ApiKey

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"], route_class=TenantRoute)


@router.post("", status_code=201, dependencies=[needs("keys:write"), repeatable])
async def create(
    body: ApiKeyCreate, session: CurrentSession, principal: CurrentPrincipal, response: Response
) -> ApiKeyCreated:
    """Make a key with some or all of the caller's own scopes. Its secret is in this answer and nowhere else."""
    for scope in body.scopes:
        principal.require(scope)
    key, secret = await service.create_key(session, body.name, body.scopes)
    response.headers["Cache-Control"] = "no-store"
    return ApiKeyCreated(**_out(key).model_dump(), key=secret)


@router.get("", dependencies=[needs("keys:write")])
async def list_all(session: CurrentSession) -> ApiKeyList:
    """List the tenant's keys, newest first."""
    return ApiKeyList(api_keys=[_out(key) for key in await service.list_keys(session)])


@router.delete("/{key_id}", status_code=204, dependencies=[needs("keys:write")])
async def revoke(key_id: UUID, session: CurrentSession) -> None:
    """Revoke a key at once."""
    await service.revoke_key(session, key_id)


def _out(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=key.id,
        name=key.name,
        hint=key.hint,
        scopes=key.scopes,
        created_at=key.created_at,
        revoked_at=key.revoked_at,
    )
