"""The job that posts one change to one webhook."""

from uuid import UUID

import procrastinate
from procrastinate import JobContext

from app.events import posting
from app.queue import POSTS, job
from app.runtime import of_job

blueprint = procrastinate.Blueprint()


@job(blueprint, "events:post", POSTS)
async def post(context: JobContext, tenant_id: UUID, webhook_post_id: UUID) -> None:
    """Post a change; a receiver that fails is tried again by another job, when its time has come."""
    runtime = of_job(context)
    async with runtime.vault.session(tenant_id) as session:
        outgoing = await posting.take(session, runtime.metrics, webhook_post_id)
    if outgoing is None:
        return
    posted = await posting.send(runtime.poster, outgoing)
    async with runtime.vault.session(tenant_id) as session:
        await posting.settle(session, runtime.metrics, webhook_post_id, posted)
