"""Probes of the pool: requests of several tenants at once, some cut in the middle of their transactions."""

import asyncio
import contextlib
import random
from collections.abc import Callable

from proof.endpoints import send
from proof.oracle import Outcome
from proof.requests import Outgoing, cursor
from proof.sessions import empty_pool
from proof.world import QUESTION, Party, World

_AT_ONCE = 24
_CUT_SHARE = 0.3
_LONGEST_SECONDS = 0.02


class Bursts:
    """Many requests that share few connections."""

    kind = "burst"
    targets = ("cut short", "to their end")

    def __init__(self, world: World) -> None:
        self._world = world

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """Requests of all tenants at once, each for another's rows or all its own; then the pool is looked at."""
        requests = [self._request(rng) for _ in range(_AT_ONCE)]
        share = _CUT_SHARE if target == self.targets[0] else 0.0
        cuts = [rng.random() * _LONGEST_SECONDS if rng.random() < share else None for _ in requests]
        each = [self._send(party, outgoing, cut) for (party, outgoing), cut in zip(requests, cuts, strict=True)]
        sent = await asyncio.gather(*each)
        problems = [problem for found in sent if found is not None for problem in found]
        problems += await empty_pool(self._world, self._world.runtime.db.engine.pool.size())  # type: ignore[attr-defined]
        return Outcome(problems, None, sum(found is not None for found in sent))

    def _request(self, rng: random.Random) -> tuple[Party, Outgoing]:
        """Something that reads, so that nobody's rows change."""
        party, owner = rng.sample(self._world.parties, 2)

        def one(table: str) -> str:
            return str(rng.choice(owner.ids[f"tenant.{table}"] or owner.ids["tenant.profiles"]))

        question = f'{{"query": "{QUESTION}", "limit": 5}}'
        makers: list[Callable[[], Outgoing]] = [
            lambda: Outgoing("GET", f"/v1/agents/{one('agents')}"),
            lambda: Outgoing("GET", f"/v1/documents/{one('documents')}"),
            lambda: Outgoing("GET", f"/v1/conversations/{one('conversations')}/messages"),
            lambda: Outgoing("GET", f"/v1/connections/{one('connections')}"),
            lambda: Outgoing("GET", "/v1/api-keys"),
            lambda: Outgoing(
                "GET", f"/v1/conversations?cursor={cursor(rng.choice(owner.ids['tenant.conversations']))}"
            ),
            lambda: Outgoing("POST", "/v1/search", question, {"Content-Type": "application/json"}),
        ]
        return party, rng.choice(makers)()

    async def _send(self, party: Party, outgoing: Outgoing, cut: float | None) -> list[str] | None:
        """What is wrong with the answer, or None without one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(cut):
                got = await send(self._world, outgoing, party.key)
                shown = self._world.secrets(party).shown(got.raw + repr(got.headers).encode(), outgoing.sent)
                return shown + [f"worked as tenant {one}" for one in got.work.tenants - {party.id}]
        return None
