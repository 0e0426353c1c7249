"""Thousands of random attempts to get from one tenant to another, counted: `python -m proof.probes --count 10000`."""

import argparse
import asyncio
import json
import logging
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import psycopg

from app.assembly import database, running, service_address
from app.health import Readiness
from app.main import create_app
from app.migrations.runner import migrate
from app.settings import Settings
from app.worker import BLUEPRINTS
from proof.bursts import Bursts
from proof.endpoints import Endpoints, median_difference
from proof.hooks import Webhooks
from proof.jobs import Jobs
from proof.oracle import Leak, Outcome, changed
from proof.sessions import Sessions
from proof.statements import Statements
from proof.stores import Stores
from proof.world import World, inhabited

# How many of a hundred turns each kind gets; a turn of jobs and bursts makes several probes.
_TURNS = {"endpoint": 46, "table": 32, "session": 8, "store": 6, "webhook": 4, "job": 2, "burst": 2}
_MOST_TOLD = 20


class Kind(Protocol):
    """One way to try; each of its targets gets its turn."""

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    @property
    def targets(self) -> Sequence[str]:
        """What it can be tried on."""
        ...

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """Try once."""
        ...


class Run:
    """Probes on a world, numbered: what each does follows from the seed and from those before it."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self.endpoints = Endpoints(world)
        others: tuple[Kind, ...] = (
            Statements(world),
            Sessions(world),
            Stores(world),
            Webhooks(world),
            Jobs(world),
            Bursts(world),
        )
        self.kinds: dict[str, Kind] = {kind.kind: kind for kind in (self.endpoints, *others)}
        self.made: Counter[str] = Counter()
        self.leaks: list[Leak] = []
        self.covered: dict[str, set[str]] = {name: set() for name in self.kinds}

    async def go(self, count: int, kinds: Collection[str] | None = None) -> None:
        """Make at least `count` probes, of all kinds or of some."""
        names = [name for name in self.kinds if kinds is None or name in kinds]
        queues: dict[str, list[str]] = {name: [] for name in names}
        before = await self._world.fingerprints.take()
        number = 0
        while self.made.total() < count:
            number += 1
            rng = random.Random(f"{self._seed} {number}")
            name = rng.choices(names, [_TURNS[one] for one in names])[0]
            # A worker would run what earlier probes have left in the queue.
            if await self._world.refresh(now=name == "job"):
                before = await self._world.fingerprints.take()
            if not queues[name]:
                # Everything in turn, in another order each time.
                queues[name] = rng.sample(list(self.kinds[name].targets), len(self.kinds[name].targets))
            before = await self._turn(rng, number, name, queues[name].pop(), before)

    async def _turn(self, rng: random.Random, number: int, name: str, target: str, before: Any) -> Any:
        try:
            outcome = await self.kinds[name].probe(rng, target)
        except Exception as error:
            error.add_note(f"in probe {number} of seed {self._seed}: {name} {target}")
            raise
        after = await self._world.fingerprints.take()
        problems = [*outcome.problems, *changed(before, after, outcome.actor)]
        if problems:
            # What was damaged cannot be probed again.
            await self._world.refresh(now=True)
            after = await self._world.fingerprints.take()
        self.leaks += [Leak(name, target, number, self._seed, what) for what in problems]
        self.made[name] += outcome.made
        self.covered[name].add(target)
        return after

    def report(self) -> dict[str, Any]:
        """The counts, as `make privacy-proof` writes them, and what got through."""
        return {
            "made": self.made.total(),
            "leaks": len(self.leaks),
            "by_kind": dict(sorted(self.made.items())),
            "targets": {name: len(found) for name, found in sorted(self.covered.items())},
            "seed": self._seed,
            "answers_to_others_ids": dict(sorted(self.endpoints.answered.items())),
            "not_found_pairs": len(self.endpoints.timings),
            "median_difference_us": round(median_difference(self.endpoints.timings) * 1e6, 1),
            "found": [str(leak) for leak in self.leaks[:_MOST_TOLD]],
        }


async def probe(count: int, seed: int, *, model_dir: Path | None = None) -> dict[str, Any]:
    """Make `count` probes or a few more on embedded stores of their own; `Run.report`'s counts.

    `model_dir` is where an exported embedding model may be found, or is kept.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobx-proof-")))
        world = await stack.enter_async_context(embedded(folder, model_dir))
        run, started = Run(world, seed), perf_counter()
        await run.go(count)
        return run.report() | {"seconds": round(perf_counter() - started, 1)}


@asynccontextmanager
async def embedded(folder: Path, model_dir: Path | None) -> AsyncIterator[World]:
    """A world on PostgreSQL and Qdrant of the embedded defaults, with all their state in a folder."""
    settings = Settings(
        data_dir=folder,
        model_dir=model_dir,
        database_url=None,
        qdrant_url=None,
        burst_wait_seconds=0,
        anthropic_api_key=None,
        openai_api_key=None,
        models=(),
        # Few, so that requests follow each other on the same connection.
        database_pool_size=6,
    )
    async with AsyncExitStack() as stack:
        admin, password = stack.enter_context(database(settings))
        migrate(admin, password)
        address = service_address(admin, password)
        parts = running(settings, address, Readiness(ready=True), lambda _: None, blueprints=BLUEPRINTS)
        runtime = await stack.enter_async_context(parts)
        conninfo = psycopg.conninfo.make_conninfo(admin.conninfo(), options="")
        yield await stack.enter_async_context(inhabited(runtime, create_app, conninfo))


def main() -> None:
    """Print the report as JSON, one summary line last; exit 1 when something got through."""
    parser = argparse.ArgumentParser(prog="python -m proof.probes", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model-dir", type=Path, default=Path(".cache/embeddings"))
    given = parser.parse_args()
    # What is tried goes wrong thousands of times, as it should.
    logging.disable(logging.CRITICAL)
    report = asyncio.run(probe(given.count, given.seed, model_dir=given.model_dir.absolute()))
    text = json.dumps(report, indent=2)
    if given.out is not None:
        given.out.write_text(text)
    print(text)
    print(f"{report['made']} probes, {report['leaks']} leaks, seed {report['seed']}, {report['seconds']} s")
    sys.exit(1 if report["leaks"] else 0)


if __name__ == "__main__":
    main()
