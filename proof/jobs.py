"""Probes of every job: a tenant with another tenant's row, run by a real worker beside one whose row does not exist."""

import inspect
import random
from dataclasses import dataclass
from uuid import UUID

from proof.oracle import Outcome
from proof.world import Party, World, tasks

_AT_ONCE = 10
_OUTCOME = "select id, status::text, attempts from queue.procrastinate_jobs where id = any (%s)"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A job with another tenant's ids, and its twin with ids that do not exist; by their numbers in the queue."""

    task: str
    foreign: int
    missing: int


class Jobs:
    """Jobs as somebody could add them by mistake: ids that do not belong together."""

    kind = "job"

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks = tasks()
        self.targets = sorted(self._tasks)

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """Some of them at once, `target` the first: a worker has several in hand."""
        attacker, victim = self._world.parties[:2]
        names = [target, *rng.choices(self.targets, k=_AT_ONCE - 1)]
        sent, calls = len(self._world.telegram.calls), len(self._world.calls)
        pairs = [await self._add(rng, name, attacker, victim) for name in names]
        await self._work()
        problems = [problem for pair in pairs for problem in await self._compare(pair)]
        problems += [f"{step} for another tenant" for step, tenant in self._world.calls[calls:] if tenant == victim.id]
        if len(self._world.telegram.calls) != sent:
            problems.append(f"{len(self._world.telegram.calls) - sent} calls to a provider")
        await self._world.admin.execute("delete from queue.procrastinate_jobs")
        return Outcome([f"{', '.join(sorted(set(names)))}: {one}" for one in problems], attacker.id, len(names))

    async def _add(self, rng: random.Random, name: str, attacker: Party, victim: Party) -> _Pair:
        names = [one for one in inspect.signature(self._tasks[name].func).parameters if one.endswith("_id")]
        mine = {"tenant_id": attacker.id} if "tenant_id" in names else {}
        theirs = {one: self._id(rng, one, victim, mixed=not mine) for one in names if one != "tenant_id"}
        missing = {one: UUID(int=value.int ^ 1) for one, value in theirs.items()}
        numbers = [await self._defer(name, {**mine, **ids}) for ids in (theirs, missing)]
        return _Pair(name, *numbers)

    def _id(self, rng: random.Random, name: str, victim: Party, *, mixed: bool) -> UUID:
        """A victim's id; one of a wrong kind where the row itself tells the tenant, since there is nothing to swap."""
        table = self._world.table(name.removesuffix("_id"))
        own = [] if table is None else victim.ids[table.name]
        if own and not mixed and rng.random() < 0.85:
            return rng.choice(own)
        others = {one for ids in victim.ids.values() for one in ids}
        return rng.choice(sorted(others - set(own) if mixed else others))

    async def _defer(self, name: str, ids: dict[str, UUID]) -> int:
        runtime = self._world.runtime
        async with runtime.db.session() as session:
            await runtime.queue.defer(session, name, self._tasks[name].queue, ids=ids)
        row = await (await self._world.admin.execute("select max(id) from queue.procrastinate_jobs")).fetchone()
        return 0 if row is None else int(row[0])

    async def _work(self) -> None:
        await self._world.runtime.queue.app.run_worker_async(
            wait=False,
            concurrency=4,
            listen_notify=False,
            install_signal_handlers=False,
            additional_context={"runtime": self._world.runtime},
        )

    async def _compare(self, pair: _Pair) -> list[str]:
        cursor = await self._world.admin.execute(_OUTCOME, ([pair.foreign, pair.missing],))
        ended = {row[0]: row[1:] for row in await cursor.fetchall()}
        if ended[pair.foreign] == ended[pair.missing]:
            return []
        return [f"{pair.task} ends {ended[pair.foreign]}, and {ended[pair.missing]} for a row that does not exist"]
