"""The processes of Jobx under chaos: killed, at steps of their own and at random, and each time started again."""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from bench.stage import Stage, Started
from chaos.plan import Plan
from chaos.process import Orders

_COMMANDS = {"web": "serve", "worker": "worker"}
# A process that is ready still loads what it works with. Were it killed before, a slow machine would be left with none
# that works, and the run would tell nothing; it may die at a step in its first second.
_LEAST_LIFE_SECONDS = 5.0


@dataclass
class Fleet:
    """The processes under chaos: each is started again as soon as it is gone."""

    platform: Stage
    plan: Plan
    log: Path
    calls: Path
    slots: list[Started | None] = field(init=False)
    ready_at: list[float] = field(init=False)
    kills: list[float] = field(default_factory=list)
    at_random: int = 0
    _port: int = 0

    def __post_init__(self) -> None:
        self.kinds = (*["web"] * self.plan.webs, *["worker"] * self.plan.workers)
        self.slots, self.ready_at = [None] * len(self.kinds), [0.0] * len(self.kinds)

    @property
    def port(self) -> int:
        """Where a web process listens, or the last one did: a load balancer in one line."""
        pairs = zip(self.kinds, self.slots, strict=True)
        if alive := [started.port for kind, started in pairs if kind == "web" and started is not None]:
            self._port = random.choice(alive)  # no secret
        return self._port

    async def keep(self, slot: int) -> None:
        """Have a process in a slot, until this is cancelled."""
        while True:
            started = await self._start(self.kinds[slot])
            self.slots[slot], self.ready_at[slot] = started, time.monotonic()
            if started is None:
                continue
            await asyncio.to_thread(started.process.wait)
            self.slots[slot] = None
            self.platform.processes.remove(started)
            self.kills.append(time.time())

    async def _start(self, kind: str) -> Started | None:
        plan = self.plan
        orders = Orders(plan.chance, str(self.log), str(self.calls), plan.steps, plan.thinking, plan.fault, plan.deaths)
        env = {"CHAOS_ORDERS": json.dumps(asdict(orders))}
        env |= {"JOBX_BURST_WAIT_SECONDS": "0.5", "JOBX_BURST_CAP_SECONDS": "2"}
        # Who dies takes along what it works on: with more, a worker that has a lot to do would hardly end anything.
        env |= {"JOBX_ANSWER_CONCURRENCY": "8"}
        before = list(self.platform.processes)
        try:
            return await self.platform.start(kind, "chaos.process", _COMMANDS[kind], env=env)
        except RuntimeError:
            # It died while it started, or the database was away.
            gone = [one for one in self.platform.processes if one not in before and one.process.poll() is not None]
            for one in gone:
                self.platform.processes.remove(one)
            self.kills.append(time.time())
            return None

    async def kill_at_random(self, chance: random.Random, done: Callable[[], int]) -> None:
        """Kill -9 a process now and then, until this is cancelled.

        Not before so much was done since the last one: on a slow machine all would be starting for ever.
        """
        last = done()
        while True:
            await asyncio.sleep(chance.uniform(*self.plan.pause))
            grown = time.monotonic() - _LEAST_LIFE_SECONDS
            alive = zip(self.slots, self.ready_at, strict=True)
            working = [started for started, since in alive if started is not None and since < grown]
            if working and done() >= last + self.plan.between:
                chance.choice(working).process.kill()
                self.at_random += 1
                last = done()

    def died(self) -> list[str]:
        """The steps at which processes killed themselves."""
        return self.log.read_text().splitlines()

    async def complete(self) -> None:
        """Wait until every process is there."""
        while None in self.slots:  # noqa: ASYNC110  # they come and go by themselves
            await asyncio.sleep(0.1)


@asynccontextmanager
async def kept(fleet: Fleet) -> AsyncIterator[None]:
    """The processes, all of them ready."""
    keeping = [asyncio.create_task(fleet.keep(slot)) for slot in range(len(fleet.kinds))]
    try:
        await fleet.complete()
        yield
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


def crash_database() -> int:
    """Kill -9 one of PostgreSQL's processes: it drops every connection and recovers from its log."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.name() == "postgres" and "checkpointer" in " ".join(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
                return 1
    return 0
