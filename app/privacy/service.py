"""Reading erasures."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.models import Erasure
from app.runtime import Runtime
from app.web import Page


async def get_erasure(session: AsyncSession, erasure_id: UUID) -> Erasure:
    """One erasure; raises NotFound."""
    erasure = await session.get(Erasure, erasure_id)
    if erasure is None:
        raise NotFound("There is no such erasure.")
    return erasure


async def list_erasures(session: AsyncSession, page: Page) -> list[Erasure]:
    """A page of erasures, newest first, and one more if there is one."""
    # Their ids are random, so the order is that of time and the id only breaks ties.
    query = select(Erasure).order_by(Erasure.created_at.desc(), Erasure.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        known = select(Erasure.created_at, Erasure.id).where(Erasure.id == page.after).subquery()
        before = Erasure.created_at < select(known.c.created_at).scalar_subquery()
        query = query.where(before)
    return list(await session.scalars(query))


async def erasure_anywhere(runtime: Runtime, erasure_id: UUID) -> Erasure | None:
    """An erasure of any tenant by its random id; None when its tenant is gone, and it with that."""
    async with runtime.db.session() as session:
        tenant_id = await session.scalar(select(func.platform.tenant_of_erasure(erasure_id)))
    if tenant_id is None:
        return None
    async with runtime.vault.session(tenant_id) as session:
        return await session.get(Erasure, erasure_id)
