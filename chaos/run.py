"""One run of the proof: processes that die and come back, customers who write, people who take over, then the count."""

import asyncio
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import psutil
from sqlalchemy import select, text

from app.conversations.lookups import conversation_hash
from app.db import Database, DatabaseUnavailable
from app.keys.service import Vault
from app.models import Conversation
from bench.load import fetch
from bench.stage import MASTER, Stage, Started, stage
from chaos import tally
from chaos.customers import LAMPS, Customers, Talk, page
from chaos.process import STEPS

STAND_INS = {
    "provider": "the project's Telegram simulator, over HTTP",
    "vectors": "a stand-in for a Qdrant server that keeps its data in memory",
    "model": "the extractive model, in the workers",
}
_KINDS = ("web", "worker", "worker")
_COMMANDS = {"web": "serve", "worker": "worker"}
_UNDER_WAY = text("select count(*) from tenant.deliveries where state in ('queued', 'sending')")
_QUIET_SECONDS = 240.0
# A message may have to wait for the jobs of a worker that died before there is a conversation.
_TAKEOVER_SECONDS = 180.0
_POLL_SECONDS = 0.5
# A process that is ready still loads what it works with. Were it killed before, a slow machine would be left with none
# that works, and the run would tell nothing; it may die at a step in its first second.
_LEAST_LIFE_SECONDS = 5.0
# What is said twice is said by then.
_AFTERWARDS_SECONDS = 3.0


@dataclass
class Plan:
    """How much is done. `chance` is that of a process to die at a step, `pause` the seconds between other kills.

    `stalled_seconds` is after how long the jobs of a silent worker are taken over, None for Jobx's own 30.
    """

    turns: int
    seed: int
    fault: str | None = None
    chance: float = 0.01
    pause: tuple[float, float] = (3.0, 8.0)
    restarts: int = 2
    stalled_seconds: float | None = None
    per_second: float = 6.0
    takeovers: float = 0.1
    duplicates: float = 0.1


@dataclass
class Fleet:
    """The processes under chaos: each is started again as soon as it is gone."""

    platform: Stage
    plan: Plan
    log: Path
    slots: list[Started | None] = field(default_factory=lambda: [None] * len(_KINDS))
    ready_at: list[float] = field(default_factory=lambda: [0.0] * len(_KINDS))
    kills: list[float] = field(default_factory=list)
    at_random: int = 0
    _port: int = 0

    @property
    def port(self) -> int:
        """Where the web process listens, or did before it died."""
        return self._port

    async def keep(self, slot: int) -> None:
        """Have a process in a slot, until this is cancelled."""
        while True:
            started = await self._start(_KINDS[slot])
            self.slots[slot], self.ready_at[slot] = started, time.monotonic()
            if started is None:
                continue
            if slot == 0:
                self._port = started.port
            await asyncio.to_thread(started.process.wait)
            self.slots[slot] = None
            self.platform.processes.remove(started)
            self.kills.append(time.time())

    async def _start(self, kind: str) -> Started | None:
        env = {
            "CHAOS_CHANCE": str(self.plan.chance),
            "CHAOS_STEPS": str(self.log),
            "CHAOS_FAULT": self.plan.fault or "",
        }
        env |= {"JOBX_BURST_WAIT_SECONDS": "0.5", "JOBX_BURST_CAP_SECONDS": "2"}
        if self.plan.stalled_seconds is not None:
            env["CHAOS_STALLED"] = str(self.plan.stalled_seconds)
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

    async def kill_at_random(self, chance: random.Random) -> None:
        """Kill -9 a process now and then, until this is cancelled."""
        while True:
            await asyncio.sleep(chance.uniform(*self.plan.pause))
            grown = time.monotonic() - _LEAST_LIFE_SECONDS
            alive = zip(self.slots, self.ready_at, strict=True)
            if working := [started for started, since in alive if started is not None and since < grown]:
                chance.choice(working).process.kill()
                self.at_random += 1

    async def complete(self) -> None:
        """Wait until every process is there."""
        while None in self.slots:  # noqa: ASYNC110  # they come and go by themselves
            await asyncio.sleep(0.1)


async def run(plan: Plan) -> dict[str, Any]:
    """The report: DESIGN section 7."""
    chance = random.Random(plan.seed)  # no secret
    async with stage() as platform:
        await _surround(platform, plan.seed)
        fleet = Fleet(platform, plan, platform.folder / "steps.log")
        async with _kept(fleet):
            await _teach(platform, fleet)
            customers = Customers(platform, lambda: fleet.port, plan.seed, plan.duplicates)
            restarts = await _storm(platform, fleet, customers, plan, chance)
            await _calm(platform.ports["provider"])
            steps = Counter(fleet.log.read_text().splitlines())
            # Without it nobody dies any more.
            fleet.log.unlink()
            await fleet.complete()
            found = await _quiesced(platform, customers)
            log = orjson.loads(await fetch(platform.ports["provider"], "/log?calls=0&sent=0"))
        return {**_report(found, log, customers, fleet, steps), "database_restarts": restarts, "seed": plan.seed}


async def _surround(platform: Stage, seed: int) -> None:
    vectors, provider = await asyncio.gather(
        platform.start("vectors", "tests.fakes.qdrant", "{port}"),
        platform.start("provider", "chaos.provider", "{port}", str(seed)),
    )
    platform.ports = {"vectors": vectors.port, "provider": provider.port}


@asynccontextmanager
async def _kept(fleet: Fleet) -> AsyncIterator[None]:
    keeping = [asyncio.create_task(fleet.keep(slot)) for slot in range(len(_KINDS))]
    try:
        await fleet.complete()
        yield
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


async def _teach(platform: Stage, fleet: Fleet) -> None:
    """Upload what the tenant knows; then the processes may die."""
    headers = {"Authorization": f"Bearer {platform.api_key}"}
    base = f"http://127.0.0.1:{fleet.port}/v1/documents"
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
        for lamp in range(LAMPS):
            (await client.post(base, json={"title": f"Lamp {lamp}", "text": page(lamp)})).raise_for_status()
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = (await client.get(base, params={"limit": 100})).json()["documents"]
            if all(document["status"] == "ready" for document in found):
                break
            await asyncio.sleep(_POLL_SECONDS)
    fleet.log.touch()


async def _storm(platform: Stage, fleet: Fleet, customers: Customers, plan: Plan, chance: random.Random) -> int:
    """All customers write while everything dies; how often the database was crashed."""
    killing = asyncio.create_task(fleet.kill_at_random(chance))
    crashes = {plan.turns * (number + 1) // (plan.restarts + 1) for number in range(plan.restarts)}
    writing: set[asyncio.Task[None]] = set()
    asked = crashed = 0
    try:
        while asked < plan.turns:
            talk = customers.next_talk()
            asked += len(talk.asked)
            writing.add(asyncio.create_task(_talk(platform, fleet, customers, talk, chance.random() < plan.takeovers)))
            await asyncio.sleep(len(talk.asked) / plan.per_second)
            if crashes and asked >= min(crashes):
                crashes.remove(min(crashes))
                crashed += _crash_database()
        await asyncio.gather(*writing)
        await customers.finish()
    finally:
        killing.cancel()
    return crashed


async def _talk(platform: Stage, fleet: Fleet, customers: Customers, talk: Talk, taken_over: bool) -> None:
    await customers.write(talk)
    if not taken_over:
        return
    async with _vault(platform) as vault:
        await _take_over(platform, fleet, talk, vault)
    await customers.write_again(talk)


async def _take_over(platform: Stage, fleet: Fleet, talk: Talk, vault: Vault) -> None:
    """A person writes by the API, again until it is acknowledged; with one key it is written once."""
    headers = {"Authorization": f"Bearer {platform.api_key}", "Idempotency-Key": f"take-{talk.chat}"}
    body, until, told = {"text": tally.BY_PERSON}, time.monotonic() + _TAKEOVER_SECONDS, "no conversation"
    async with httpx.AsyncClient(headers=headers, timeout=10, trust_env=False) as client:
        while time.monotonic() < until:
            with suppress(httpx.HTTPError, DatabaseUnavailable):
                where = await _conversation_of(vault, platform, talk.chat)
                if where is not None:
                    base = f"http://127.0.0.1:{fleet.port}/v1/conversations/{where}"
                    answer = await client.post(f"{base}/messages", json=body)
                    if answer.status_code == httpx.codes.ACCEPTED:
                        talk.taken_over = time.time()
                        return
                    told = f"{answer.status_code} {answer.text}"
            await asyncio.sleep(0.3)
    raise TimeoutError(f"a person could not take a conversation over: {told}")


async def _conversation_of(vault: Vault, platform: Stage, chat: int) -> UUID | None:
    async with vault.session(platform.tenant_id) as session:
        hashed = conversation_hash(platform.connection_id, str(chat))
        found: UUID | None = await session.scalar(select(Conversation.id).where(Conversation.provider_hash == hashed))
        return found


@asynccontextmanager
async def _vault(platform: Stage) -> AsyncIterator[Vault]:
    vault = Vault(Database(platform.address), MASTER)
    try:
        yield vault
    finally:
        await vault.db.close()


async def _calm(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"http://127.0.0.1:{port}/calm")).raise_for_status()


def _crash_database() -> int:
    """Kill -9 one of PostgreSQL's processes: it drops every connection and recovers from its log."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.name() == "postgres" and "checkpointer" in " ".join(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
                return 1
    return 0


async def _quiesced(platform: Stage, customers: Customers) -> Mapping[int, tally.Record]:
    """The records once nothing is under way and nothing is missing any more, or when waiting for that is in vain."""
    until = time.monotonic() + _QUIET_SECONDS
    async with _vault(platform) as vault:
        while True:
            found = await tally.records(vault, platform.tenant_id)
            async with vault.session(platform.tenant_id) as session:
                under_way = await session.scalar(_UNDER_WAY)
            lost = any(fate.startswith("lost") for fate in _fates(found, customers))
            if time.monotonic() > until or not (lost or under_way):
                break
            await asyncio.sleep(_POLL_SECONDS * 4)
    await asyncio.sleep(_AFTERWARDS_SECONDS)
    return found


def _fates(found: Mapping[int, tally.Record], customers: Customers) -> list[str]:
    return [tally.fate(asked, talk, found.get(talk.chat)) for talk in customers.talks.values() for asked in talk.asked]


def _report(
    found: Mapping[int, tally.Record],
    log: Mapping[str, list[Mapping[str, Any]]],
    customers: Customers,
    fleet: Fleet,
    steps: Counter[str],
) -> dict[str, Any]:
    said: dict[int, list[str]] = defaultdict(list)
    calls: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for one in log["sent"]:
        if one["text"] != tally.BY_PERSON:
            said[one["chat"]].append(one["text"])
    for call in log["calls"]:
        calls[call["chat"]].append(call)
    talks = customers.talks.values()
    fates = Counter(_fates(found, customers))
    late = [tally.after_takeover(talk, calls[talk.chat]) for talk in talks]
    return {
        "turns": sum(fates.values()),
        "lost": sum(count for fate, count in fates.items() if fate.startswith("lost")),
        "doubled": sum(tally.doubled(talk, said[talk.chat]) for talk in talks),
        "out_of_order": sum(tally.out_of_order(talk, said[talk.chat]) for talk in talks),
        "after_takeover": sum(after for after, _ in late),
        "unknown_flagged": fates["flagged"],
        "kills": fleet.at_random + sum(steps.values()),
        "recovery_s": tally.spread(tally.recoveries(found.values(), fleet.kills)),
        "fates": dict(fates),
        "doubts": dict(tally.doubts(found.values())),
        "kills_by_step": {step: steps[step] for step in STEPS} | {"at random": fleet.at_random},
        "taken_over": sum(talk.taken_over is not None for talk in talks),
        "under_way_at_takeover": sum(under_way for _, under_way in late),
        "duplicates": customers.duplicates,
        "reordered": sum(talk.reordered for talk in talks),
        "stand_ins": STAND_INS,
    }
