"""One run of the proof: processes that die and come back, customers who write, people who take over, then the count."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import orjson
from sqlalchemy import select

from app.conversations.lookups import conversation_hash
from app.db import Database, DatabaseUnavailable
from app.keys.service import Vault
from app.models import Conversation
from bench.load import fetch
from bench.stage import MASTER, Stage, stage
from chaos import tally
from chaos.customers import Customers, Talk, page
from chaos.fleet import Fleet, crash_database, kept
from chaos.plan import Plan
from chaos.pulse import Pulse
from chaos.report import fates, report
from chaos.takeovers import noted, watch

_QUIET_SECONDS = 300.0
# A message may have to wait for the jobs of a worker that died before there is a conversation.
_TAKEOVER_SECONDS = 300.0
_DEATHS_SECONDS = 120.0
_POLL_SECONDS = 0.5
# What is said twice is said by then.
_AFTERWARDS_SECONDS = 3.0


@dataclass(frozen=True)
class _Scene:
    """Everything that a run consists of."""

    plan: Plan
    platform: Stage
    fleet: Fleet
    customers: Customers
    vault: Vault
    pulse: Pulse
    chance: random.Random


async def run(plan: Plan, *, aloud: bool = False) -> dict[str, Any]:
    """The report: DESIGN section 7. `aloud`: how far it is, on standard error."""
    async with stage(track_commit_timestamp="on") as platform, _vault(platform) as vault:
        watch(platform.admin.conninfo())
        await _surround(platform, plan.seed)
        if plan.is_steady:
            await _calm(platform.ports["provider"])
        fleet = Fleet(platform, plan, platform.folder / "steps.log", platform.folder / "calls.log")
        customers = Customers(platform, lambda: fleet.port, plan)
        pulse = Pulse(platform.admin.conninfo(), customers, fleet, aloud=aloud)
        scene = _Scene(plan, platform, fleet, customers, vault, pulse, random.Random(plan.seed))  # no secret
        async with kept(fleet):
            await _teach(platform, fleet, plan.lamps)
            async with pulse.felt():
                crashes = await _storm(scene)
                await _calm(platform.ports["provider"])
                steps = Counter(fleet.died())
                # Without it nobody dies any more.
                fleet.log.unlink()
                await fleet.complete()
                found = await _quiesced(scene)
            log = orjson.loads(await fetch(platform.ports["provider"], "/log?calls=0&sent=0"))
        moments = noted(platform.admin.conninfo(), fleet.calls)
        told = report(found, log, moments, customers, fleet, steps)
        return {**told, "database_restarts": crashes, "seed": plan.seed}


async def _surround(platform: Stage, seed: int) -> None:
    vectors, provider = await asyncio.gather(
        platform.start("vectors", "tests.fakes.qdrant", "{port}"),
        platform.start("provider", "chaos.provider", "{port}", str(seed)),
    )
    platform.ports = {"vectors": vectors.port, "provider": provider.port}


async def _teach(platform: Stage, fleet: Fleet, lamps: int) -> None:
    """Upload what the tenant knows; then the processes may die."""
    headers = {"Authorization": f"Bearer {platform.api_key}"}
    base = f"http://127.0.0.1:{fleet.port}/v1/documents"
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
        for lamp in range(lamps):
            (await client.post(base, json={"title": f"Lamp {lamp}", "text": page(lamp)})).raise_for_status()
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = (await client.get(base, params={"limit": 100})).json()["documents"]
            if all(document["status"] == "ready" for document in found):
                break
            await asyncio.sleep(_POLL_SECONDS)
    fleet.log.touch()


async def _storm(scene: _Scene) -> int:
    """All customers write while everything dies; how often the database was crashed."""
    plan, customers = scene.plan, scene.customers
    killing = asyncio.create_task(scene.fleet.kill_at_random(scene.chance, lambda: scene.pulse.done))
    crashes = {plan.turns * (number + 1) // (plan.crashes + 1) for number in range(plan.crashes)}
    writing: set[asyncio.Task[None]] = set()
    asked = crashed = 0
    try:
        while asked < plan.turns:
            talk = customers.next_talk()
            asked += len(talk.asked)
            writing.add(asyncio.create_task(_talk(scene, talk, scene.chance.random() < plan.takeovers)))
            await asyncio.sleep(len(talk.asked) / plan.per_second)
            if crashes and asked >= min(crashes):
                crashes.remove(min(crashes))
                crashed += crash_database()
            while scene.pulse.waiting > plan.waiting:  # noqa: ASYNC110  # it is asked for, and not told
                await asyncio.sleep(_POLL_SECONDS)
        await asyncio.gather(*writing)
        await customers.finish()
        async with asyncio.timeout(_DEATHS_SECONDS):
            while plan.deaths is not None and len(scene.fleet.died()) < plan.deaths:  # noqa: ASYNC110  # as above
                await asyncio.sleep(_POLL_SECONDS)
    finally:
        killing.cancel()
    return crashed


async def _talk(scene: _Scene, talk: Talk, taken_over: bool) -> None:
    await scene.customers.write(talk)
    if taken_over:
        await _take_over(scene, talk)
        await scene.customers.write_again(talk)


async def _take_over(scene: _Scene, talk: Talk) -> None:
    """A person writes by the API, again until it is acknowledged; with one key it is written once."""
    headers = {"Authorization": f"Bearer {scene.platform.api_key}", "Idempotency-Key": f"take-{talk.chat}"}
    body, until, told = {"text": tally.BY_PERSON}, time.monotonic() + _TAKEOVER_SECONDS, "no conversation"
    async with httpx.AsyncClient(headers=headers, timeout=10, trust_env=False) as client:
        while time.monotonic() < until:
            with suppress(httpx.HTTPError, DatabaseUnavailable):
                where = await _conversation_of(scene.vault, scene.platform, talk.chat)
                if where is not None:
                    base = f"http://127.0.0.1:{scene.fleet.port}/v1/conversations/{where}"
                    answer = await client.post(f"{base}/messages", json=body)
                    if answer.status_code == httpx.codes.ACCEPTED:
                        talk.taken_over = True
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


async def _quiesced(scene: _Scene) -> Mapping[int, tally.Record]:
    """The records once nothing is under way and nothing is missing any more, or when waiting for that is in vain."""
    until = time.monotonic() + _QUIET_SECONDS
    while True:
        # Reading all that was written takes a while; it is not done while something still moves.
        while scene.pulse.moves and time.monotonic() < until:  # noqa: ASYNC110  # as above
            await asyncio.sleep(_POLL_SECONDS)
        found = await tally.records(scene.vault, scene.platform.tenant_id)
        lost = any(fate.startswith("lost") for fate in fates(found, scene.customers))
        if time.monotonic() > until or not (lost or scene.pulse.moves):
            break
        await asyncio.sleep(_POLL_SECONDS * 4)
    await asyncio.sleep(_AFTERWARDS_SECONDS)
    return found
