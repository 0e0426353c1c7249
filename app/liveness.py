"""Which workers live: each holds an advisory lock in a session of its process, and PostgreSQL frees it as they end.

A killed process is so noticed within seconds, whereas its silence alone tells nothing for half a minute. A held lock
says that the process is there, not that it works: silence counts all the same (app/queue.py), for one that hangs, and
for one whose host is gone while the server still waits for it.
"""

import asyncio
import logging
from collections.abc import Set
from typing import Any

import psycopg

from app.db import DatabaseAddress

logger = logging.getLogger(__name__)

# "jobx" in letters: the first of an advisory lock's two numbers, the second is the worker's.
SPACE = 0x6A6F6278
_EVERY_SECONDS = 1.0
# A worker that beats is not dead, though it may be without its session for a moment. Three beats (app/worker.py).
GRACE_SECONDS = 6.0
# After a restart of the server nobody holds a lock. So long the others have to be back before one is missed.
SETTLED_SECONDS = 10.0
_TAKE = "select id from unnest(%(ids)s::bigint[]) id where pg_try_advisory_lock(%(space)s, (id %% 2147483648)::int)"
_LEAVE = "select pg_advisory_unlock(%(space)s, (id %% 2147483648)::int) from unnest(%(ids)s::bigint[]) id"
_BEAT = "update procrastinate_workers set last_heartbeat = now() where id = any(%(ids)s)"
# In one statement, and in the session that holds our own locks: what it sees was true of one life of the server. That
# this life is settled is shown by our session's age, or by that of any session of Jobx: none outlives a restart, a
# crash or a failover. Where Jobx logs in by another role than it works as, others' ages are hidden from it.
_RELEASE = """
with dead as (
    select worker.id from procrastinate_workers worker
     where worker.last_heartbeat < now() - make_interval(secs => %(grace)s)
       and not exists (
           select from pg_locks
            where locktype = 'advisory' and classid = %(space)s and objid = (worker.id %% 2147483648)::oid
              and objsubid = 2 and database = (select oid from pg_database where datname = current_database()))
       and (%(settled)s or exists (
           select from pg_stat_activity
            where datname = current_database() and application_name like 'jobx%%'
              and backend_start < now() - make_interval(secs => %(seconds)s)))
), stalled as (
    select id from procrastinate_jobs where status = 'doing' and worker_id in (select id from dead)
       for update skip locked
)
select id, procrastinate_retry_job_v2(id, now(), null, null, null) from stalled
"""


class Liveness:
    """The locks of this process's `workers` (ids, which come and go), in a session that is opened anew as it breaks."""

    def __init__(self, address: DatabaseAddress, workers: Set[int]) -> None:
        self._address, self._workers = address, workers
        self._session: psycopg.AsyncConnection[Any] | None = None
        self._held: set[int] = set()
        self._since = 0.0

    async def keep(self) -> None:
        """Hold the locks, beat, and put jobs of the dead back into the queue, until this is cancelled."""
        lost = False
        try:
            while True:
                try:
                    await self._round(self._session or await self._open())
                    lost = False
                except Exception as error:
                    # The database may be away for a while; the next round tries again.
                    if not lost:
                        logger.warning("no session to hold the workers' locks: %s", type(error).__name__)
                    lost = True
                    await self._close()
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await self._close()

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        session = await psycopg.AsyncConnection.connect(self._address.conninfo(), autocommit=True)
        self._session, self._held, self._since = session, set(), asyncio.get_running_loop().time()
        await self._address.set_up(session)
        return session

    async def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _round(self, session: psycopg.AsyncConnection[Any]) -> None:
        alive = set(self._workers)
        if new := alive - self._held:
            taken = await session.execute(_TAKE, {"space": SPACE, "ids": list(new)})
            self._held |= {row[0] for row in await taken.fetchall()}
        if gone := self._held - alive:
            await session.execute(_LEAVE, {"space": SPACE, "ids": list(gone)})
            self._held -= gone
        # It also finds out whether the session is still there.
        await session.execute(_BEAT, {"ids": list(alive)})
        await self._release(session)

    async def _release(self, session: psycopg.AsyncConnection[Any]) -> None:
        settled = asyncio.get_running_loop().time() - self._since > SETTLED_SECONDS
        values = {"space": SPACE, "grace": GRACE_SECONDS, "settled": settled, "seconds": SETTLED_SECONDS}
        released = (await session.execute(_RELEASE, values)).rowcount
        if released:
            logger.warning("%d jobs of dead workers were put back", released)
