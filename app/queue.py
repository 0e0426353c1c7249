"""The job queue: procrastinate on the same PostgreSQL, so a job is added by the transaction that needs it.

Arguments are ids only: the queue logs them, and its tables are not encrypted.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import procrastinate
from procrastinate import RetryStrategy
from procrastinate.tasks import configure_task
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import DatabaseAddress, driver_connection

INBOUND = "inbound"
ANSWERS = "answers"
DELIVERIES = "deliveries"
INGESTION = "ingestion"
MAINTENANCE = "maintenance"

MAX_ATTEMPTS = 6
# 2, 4, 8 … seconds: a part that restarts is back before the attempts are used up.
RETRY = RetryStrategy(max_attempts=MAX_ATTEMPTS, exponential_wait=2)


class Queue:
    """Adds jobs, and hands the procrastinate app to the worker."""

    def __init__(self, address: DatabaseAddress, blueprints: Iterable[procrastinate.Blueprint] = ()) -> None:
        self.app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(conninfo=address.conninfo(), min_size=1, max_size=8)
        )
        for blueprint in blueprints:
            # Not add_tasks_from: it renames the blueprint's own tasks, so that it serves one app only.
            self.app.tasks.update(blueprint.tasks)

    async def defer(
        self,
        session: AsyncSession,
        task: str,
        queue: str,
        *,
        lock: str | None = None,
        delay_seconds: float = 0,
        ids: Mapping[str, UUID],
    ) -> None:
        """Add a job in the caller's transaction: it exists if, and only if, that commits."""
        at = datetime.now(UTC) + timedelta(seconds=delay_seconds) if delay_seconds else None
        async with session.begin_nested():
            connection = await driver_connection(session)
            deferrer = configure_task(
                name=task,
                job_manager=self.app.job_manager,
                queue=queue,
                lock=lock,
                schedule_at=at,
                connection=connection,
            )
            await deferrer.defer_async(**{name: str(value) for name, value in ids.items()})

    async def release_stalled(self, seconds_since_heartbeat: float) -> int:
        """Put jobs of dead workers back into the queue; returns how many."""
        jobs = await self.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds_since_heartbeat)
        count = 0
        for job in jobs:
            await self.app.job_manager.retry_job(job)
            count += 1
        return count
