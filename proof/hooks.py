"""Probes of the providers' front door: a webhook's secret belongs to one connection, and so does what it lets in."""

import json
import random
import secrets
from collections.abc import Awaitable, Callable
from uuid import UUID

from app.simulators.telegram import text_update
from proof.endpoints import Got, differences, send
from proof.oracle import Outcome
from proof.requests import Outgoing
from proof.world import Party, World

_REFUSED = (401, 404, 422)


class Webhooks:
    """Updates with another connection's secret, none, or one's own on another's connection."""

    kind = "webhook"

    def __init__(self, world: World) -> None:
        self._world = world
        self._tricks: dict[str, Callable[[random.Random, Party, Party], Awaitable[list[str]]]] = {
            "one's own secret on another's connection": self._swapped,
            "a made-up secret": self._garbage,
            "no secret": self._none,
            "an API key for a secret": self._key,
            "another's customer by one's own connection": self._customer,
        }
        self.targets = sorted(self._tricks)

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """One update."""
        attacker, victim = self._world.parties[:2]
        return Outcome(await self._tricks[target](rng, attacker, victim), attacker.id)

    async def _swapped(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        own = rng.choice(attacker.ids["tenant.connections"])
        return await self._refused(rng, victim, self._world.runtime.vault.master.webhook_secret(own))

    async def _garbage(self, rng: random.Random, _attacker: Party, victim: Party) -> list[str]:
        return await self._refused(rng, victim, secrets.token_hex(32))

    async def _none(self, rng: random.Random, _attacker: Party, victim: Party) -> list[str]:
        return await self._refused(rng, victim, None)

    async def _key(self, rng: random.Random, attacker: Party, victim: Party) -> list[str]:
        return await self._refused(rng, victim, attacker.key)

    async def _refused(self, rng: random.Random, victim: Party, secret: str | None) -> list[str]:
        """Refused without a look into the database, as for a connection that does not exist."""
        theirs = rng.choice(victim.ids["tenant.connections"])
        body = _update(rng)
        theirs_got = await self._post(theirs, secret, body)
        missing_got = await self._post(UUID(int=theirs.int ^ 1), secret, body)
        problems = differences(theirs_got, missing_got)
        if theirs_got.status not in _REFUSED:
            problems.append(f"taken with {theirs_got.status}")
        if theirs_got.work.steps:
            problems.append("a forged update reached the database")
        return problems

    async def _customer(self, rng: random.Random, attacker: Party, _victim: Party) -> list[str]:
        """The same customer may write to both: the update is the business of the connection that it came over."""
        # The newest ones are other probes', and go again.
        own = min(attacker.ids["tenant.connections"])
        got = await self._post(own, self._world.runtime.vault.master.webhook_secret(own), _update(rng))
        return [] if got.status == 200 else [f"one's own connection answers {got.status}"]

    async def _post(self, connection: UUID, secret: str | None, body: str) -> Got:
        headers = {"Content-Type": "application/json"}
        headers |= {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
        return await send(self._world, Outgoing("POST", f"/webhooks/telegram/{connection}", body, headers), None)


def _update(rng: random.Random) -> str:
    number = rng.randrange(10**9)
    return json.dumps(text_update(5000 + rng.randint(1, 2), "hello", update_id=number, message_id=number))
