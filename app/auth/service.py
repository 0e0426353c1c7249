"""API keys: made once, kept as hashes, found without knowing the tenant."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import any_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database
from app.errors import Forbidden, NotFound, Unauthorized
from app.models import ApiKey, now

Scope = Literal[
    "documents:read",
    "documents:write",
    "agents:read",
    "agents:write",
    "agents:reply",
    "billing:read",
    "billing:write",
    "connections:read",
    "connections:write",
    "conversations:read",
    "conversations:write",
    "evals:read",
    "evals:write",
    "keys:write",
    "privacy:read",
    "privacy:write",
    "webhooks:read",
    "webhooks:write",
]
ALL_SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "jobx_"
_HINT = 9


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: an API key of a tenant, and what it may do."""

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless the key has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"This API key lacks the scope {scope}.")


def hash_secret(secret: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(secret.encode()).digest()


async def create_key(session: AsyncSession, name: str, scopes: list[Scope]) -> tuple[ApiKey, str]:
    """Make a key; the second value is the secret, which cannot be read again."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(name=name, hint=secret[:_HINT], secret_hash=hash_secret(secret), scopes=list(scopes))
    session.add(key)
    await session.flush()
    return key, secret


async def list_keys(session: AsyncSession) -> list[ApiKey]:
    """Every key of the tenant, newest first, revoked ones included."""
    return list(await session.scalars(select(ApiKey).order_by(ApiKey.id.desc())))


async def revoke_key(session: AsyncSession, key_id: UUID) -> None:
    """Make a key useless at once."""
    key = await session.get(ApiKey, key_id)
    if key is None:
        raise NotFound("There is no such API key.")
    key.revoked_at = key.revoked_at or now()


async def find_tenant(db: Database, secret_hash: bytes) -> UUID | None:
    """Whose API key this is: the one look-up across tenants (a connection's is in `Vault.connection`)."""
    async with db.session() as session:
        return await session.scalar(select(func.platform.tenant_of("api_key", secret_hash)))


async def is_valid(session: AsyncSession, key_id: UUID, scope: Scope) -> bool:
    """Whether a key of the transaction's tenant still may do something: for requests that go on for long."""
    valid = select(ApiKey.id).where(
        ApiKey.id == key_id, ApiKey.revoked_at.is_(None), literal(scope) == any_(ApiKey.scopes)
    )
    return await session.scalar(valid) is not None


async def principal_of(session: AsyncSession, tenant_id: UUID, secret_hash: bytes) -> Principal:
    """The caller behind a key, in its tenant's transaction; raises Unauthorized when the key was revoked."""
    key = await session.scalar(select(ApiKey).where(ApiKey.secret_hash == secret_hash))
    if key is None or key.revoked_at is not None:
        raise Unauthorized
    return Principal(tenant_id, key.id, frozenset(key.scopes))
