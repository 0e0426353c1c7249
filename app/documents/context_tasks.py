"""The job that makes a document's lines of context what its option says, and embeds it anew."""

from collections.abc import Sequence
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from sqlalchemy.ext.asyncio import AsyncSession

from app.documents.collections import queue_each, queue_one
from app.documents.contexts import take_lines, write_lines
from app.health import Stopping
from app.models import Document
from app.queue import INGESTION, Queue, job
from app.runtime import Runtime, of_job

TASK = "documents:contexts"
blueprint = procrastinate.Blueprint()


async def queue_contexts(session: AsyncSession, queue: Queue, document_ids: Sequence[UUID]) -> None:
    """Add the jobs for documents; each takes turns with other work on its document."""
    await queue_each(session, queue, TASK, document_ids)


@job(blueprint, TASK, INGESTION)
async def settle_contexts(context: JobContext, tenant_id: UUID, document_id: UUID) -> None:
    """Write the missing lines of the version that answers, or take its lines away; then have it embedded anew."""
    runtime = of_job(context)
    try:
        await _settle(runtime, tenant_id, document_id)
    except Stopping:
        # By a new job: a retry would be counted as an attempt.
        async with runtime.vault.session(tenant_id) as session:
            await queue_contexts(session, runtime.queue, [document_id])


async def _settle(runtime: Runtime, tenant_id: UUID, document_id: UUID) -> None:
    async with runtime.vault.session(tenant_id) as session:
        # Locked, so that nobody turns the option on again for lines that are just taken away.
        document = await session.get(Document, document_id, with_for_update=True)
        if document is None or document.deleted_at is not None:
            return
        wanted, version_id = document.with_context, document.current_version_id
        if not wanted:
            await take_lines(session, document_id)
    if wanted and version_id is not None:
        await write_lines(runtime, tenant_id, document_id, version_id)
    async with runtime.vault.session(tenant_id) as session:
        await queue_one(session, runtime.queue, document_id)
