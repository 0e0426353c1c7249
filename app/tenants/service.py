"""Making and finding tenants."""

from uuid import UUID

from sqlalchemy import select

from app.auth.service import ALL_SCOPES, create_key
from app.db import Database
from app.keys.service import Vault
from app.models import Profile, Tenant, new_id


async def create_tenant(vault: Vault, name: str, *, sample: bool = False) -> tuple[UUID, str]:
    """Make a tenant with its keys and its first API key; returns its id and that key's secret."""
    tenant_id = new_id()
    async with vault.new_tenant(tenant_id) as session:
        session.add(Tenant(id=tenant_id, sample=sample))
        await session.flush()
        session.add(Profile(name=name))
        _, secret = await create_key(session, "First key", list(ALL_SCOPES))
    return tenant_id, secret


async def find_sample(db: Database) -> UUID | None:
    """The sample tenant of an embedded start, if there is one."""
    async with db.session() as session:
        return await session.scalar(select(Tenant.id).where(Tenant.sample))
