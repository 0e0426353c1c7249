"""How far a run is: asked of the database every other second, told on standard error every ten."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from chaos.customers import Customers
from chaos.fleet import Fleet

_EVERY_SECONDS = 1.0
_TOLD_SECONDS = 10.0
_COUNTS = """
select (select count(*) from tenant.inbound_events where handled_at is null),
       (select count(*) from tenant.messages message left join tenant.turns turn on turn.id = message.turn_id
         where message.direction = 'in' and turn.finished_at is null),
       (select count(*) from tenant.deliveries where state in ('queued', 'sending')),
       (select count(*) from tenant.messages message join tenant.turns turn on turn.id = message.turn_id
         where message.direction = 'in' and turn.finished_at is not null)
"""


class Pulse:
    """`waiting` are the messages that are acknowledged and not dealt with, `done` those that are.

    `moves` says that a message waits, or a send.
    """

    def __init__(self, dsn: str, customers: Customers, fleet: Fleet, *, aloud: bool) -> None:
        self._dsn, self._customers, self._fleet, self._aloud = dsn, customers, fleet, aloud
        self.waiting, self.done, self.moves = 0, 0, True

    @asynccontextmanager
    async def felt(self) -> AsyncIterator[None]:
        """Keep asking."""
        asking = asyncio.create_task(self._ask())
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self) -> None:
        began = told = time.monotonic()
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    row = await (await connection.execute(_COUNTS)).fetchone()
            except psycopg.OperationalError:
                # It is one of those that die.
                row = None
            if row is not None:
                events, messages, sends, self.done = row
                self.waiting, self.moves = events + messages, bool(events or messages or sends)
            if self._aloud and time.monotonic() - told >= _TOLD_SECONDS:
                told = time.monotonic()
                print(self._line(told - began), file=sys.stderr, flush=True)
            await asyncio.sleep(_EVERY_SECONDS)

    def _line(self, seconds: float) -> str:
        kills, written = len(self._fleet.kills), self._customers.acknowledged
        return f"chaos: {seconds:.0f} s: {written} written, {self.done} dealt with, {kills} processes died"
