"""The feed of a tenant's changes, as streams follow it: in the order of its numbers, woken by the database.

Numbers are given by whoever reads (`tenant.number_changes`), under a lock, once a change has been committed. A stream
that was sent number n has been sent all below it, whichever process served it; it goes on after the last it was sent.
No stream holds a database connection while it waits: all of a process share one that listens.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
from sqlalchemy import func, select

from app.auth.service import Principal, Scope, is_valid
from app.db import Database, DatabaseAddress, DatabaseUnavailable
from app.errors import Unauthorized
from app.models import Change
from app.streams import Places

logger = logging.getLogger(__name__)

SCOPE: Scope = "conversations:read"
HEARTBEAT_SECONDS = 15.0
BATCH = 200
# Who is further behind does better to read all anew.
_MOST_BEHIND = 10_000
_DIGITS = 18
_READS_AT_ONCE = 4
# What comes together is read together.
_GATHER_SECONDS = 0.05
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
_CHANNEL = "jobx_changes"


class Listener:
    """One connection that listens for changes while anybody waits for some; a lost one is replaced.

    After a gap everybody is woken, and looks for themselves: what was missed is in the table.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self._address = address
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def waiting(self, tenant_id: UUID) -> AsyncIterator[asyncio.Event]:
        """An event that is set by every change of a tenant, for as long as the block runs."""
        woken, tenant = asyncio.Event(), str(tenant_id)
        self._waiting.setdefault(tenant, set()).add(woken)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        try:
            yield woken
        finally:
            self._waiting[tenant].discard(woken)
            if not self._waiting[tenant]:
                del self._waiting[tenant]
            await self._rest()

    def wake_all(self) -> None:
        """Have everybody look."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def _rest(self) -> None:
        if self._waiting or self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _listen(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._address.conninfo(), autocommit=True
                ) as connection:
                    await self._address.set_up(connection)
                    await connection.execute(f"listen {_CHANNEL}".encode())
                    self.wake_all()
                    pause = _FIRST_PAUSE_SECONDS
                    async for notice in connection.notifies():
                        self._wake(notice.payload)
            except (psycopg.Error, OSError) as error:
                logger.warning("changes are not listened for: %s", type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _wake(self, payload: str) -> None:
        for event in self._waiting.get(payload, ()):
            event.set()


class Streams:
    """What the streams of changes of a process are fed with."""

    def __init__(self, db: Database, places: Places) -> None:
        self._db = db
        self._places = places
        self._listener = Listener(db.address)
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    def end(self) -> None:
        """Let every stream end, those to come as well once they have sent what there is: the process stops."""
        self._places.ended.set()
        self._listener.wake_all()

    async def begin(self, principal: Principal, asked: str | None) -> tuple[int, bool]:
        """The number that a stream begins after, and whether what was told after the one `asked` for is not all kept.

        Without one it begins after the newest.
        """
        async with self._db.session(principal.tenant_id) as session:
            last = await session.scalar(select(func.tenant.number_changes())) or 0
            if asked is None:
                return last, False
            number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) <= _DIGITS else -1
            if not 0 <= last - number <= _MOST_BEHIND:
                return last, True
            # Numbers have no gaps of their own.
            between = select(func.count()).select_from(Change).where(Change.number > number, Change.number <= last)
            return (number, False) if await session.scalar(between) == last - number else (last, True)

    async def follow(self, principal: Principal, number: int) -> AsyncGenerator[Sequence[Change], None]:
        """Changes after a number as they come, and nothing now and then while there are none.

        It ends when the process stops, and when the caller's key is revoked or gone with its tenant.
        """
        async with self._listener.waiting(principal.tenant_id) as woken:
            while True:
                woken.clear()
                try:
                    changes = await self._read(principal, number)
                except Unauthorized:
                    return
                except DatabaseUnavailable:
                    # Who listens notices when it is back, and wakes us.
                    changes = []
                if changes:
                    number = changes[-1].number or number
                    yield changes
                if self._places.ended.is_set() and len(changes) < BATCH:
                    return
                if len(changes) < BATCH and not await _is_woken(woken):
                    yield ()

    async def _read(self, principal: Principal, number: int) -> list[Change]:
        async with self._reads, self._db.session(principal.tenant_id) as session:
            if not await is_valid(session, principal.key_id, SCOPE):
                raise Unauthorized
            await session.execute(select(func.tenant.number_changes()))
            after = select(Change).where(Change.number > number).order_by(Change.number)
            return list(await session.scalars(after.limit(BATCH)))


async def _is_woken(woken: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await woken.wait()
    except TimeoutError:
        return False
    await asyncio.sleep(_GATHER_SECONDS)
    return True
