"""Stored files sealed anew, after a tenant was given new keys."""

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crypto import SealBroken, current_keyring
from app.documents.service import content_hash, opened_file, sealed_file
from app.errors import NotFound
from app.keys.reencrypt import ReencryptionIncomplete
from app.keys.service import Vault
from app.models import Document, DocumentVersion
from app.storage import Storage


async def reseal_files(vault: Vault, storage: Storage, tenant_id: UUID) -> int:
    """Seal a tenant's files with its active keys; returns how many were not. Raises ReencryptionIncomplete."""
    done = broken = 0
    for key in await storage.keys(tenant_id):
        try:
            done += await _reseal(vault, storage, tenant_id, key)
        except SealBroken:
            broken += 1
    if broken:
        raise ReencryptionIncomplete(f"{broken} stored files do not open; the old keys were kept.")
    return done


async def _reseal(vault: Vault, storage: Storage, tenant_id: UUID, key: UUID) -> bool:
    try:
        stored = await storage.get(tenant_id, key)
    except NotFound:
        return False
    async with vault.session(tenant_id) as session:
        if current_keyring().is_current(stored) or not await _is_kept(session, key):
            return False
        data = opened_file(key, stored)
        if not await _is_kept(session, key, content_hash(data)):
            # A page between being stored and being noted: whoever notes it sees to its seal.
            return False
        sealed = sealed_file(key, data)
    await storage.put(tenant_id, key, sealed)
    if not await _stays(vault, tenant_id, key):
        # It was removed between our reading and our writing. A removal is noted in the database before files go, so
        # either it is seen here, or the file goes after this.
        await storage.delete(tenant_id, key)
    return True


async def _stays(vault: Vault, tenant_id: UUID, key: UUID) -> bool:
    try:
        async with vault.session(tenant_id) as session:
            return await _is_kept(session, key)
    except NotFound:
        # The whole tenant has gone.
        return False


async def _is_kept(session: AsyncSession, version_id: UUID, hashed: bytes | None = None) -> bool:
    """Whether a file is of a version that is not about to be removed, and, if given, of that content."""
    current = Document.current_version_id
    query = (
        select(DocumentVersion.id)
        .join(Document, Document.id == DocumentVersion.document_id)
        .where(
            DocumentVersion.id == version_id,
            DocumentVersion.status != "failed",
            Document.deleted_at.is_(None),
            or_(current.is_(None), DocumentVersion.id >= current),
        )
    )
    if hashed is not None:
        query = query.where(DocumentVersion.content_hash == hashed)
    return await session.scalar(query) is not None
