"""Probes of every operation: another tenant's ids by one's own key, one's own by another's, and by none that is valid.

What a request with another tenant's ids gets is compared with what the same one gets whose ids do not exist, in
answer and in work.
"""

import random
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from uuid import UUID

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from proof.oracle import Outcome, Work, neutral, neutral_headers, watching
from proof.requests import Operation, Outgoing, make, operations, renewed
from proof.world import Party, World

# They take no API key: webhooks are probed by a module of their own, the rest takes what we signed.
_ELSEWHERE = {
    "/webhooks/{channel}",
    "/webhooks/{channel}/{connection_id}",
    "/oauth/{channel}/callback",
    "/callbacks/meta/data-deletion",
    "/callbacks/meta/deauthorise",
    "/deletions/{code}",
}
# Take what an owner granted, a draft that waits, a send in doubt, a connection that none of the others has stopped, ids
# that belong together, which no chance gives, or a model that writes; tests/app/channels/test_consents.py,
# test_people.py, test_doubts.py and test_marks.py of tests/app/conversations, tests/app/events/test_webhooks.py,
# tests/app/documents/test_contexts.py and tests/app/evaluations/test_datasets.py show that they work.
_WRITE = "POST /v1/conversations/{conversation_id}/messages"
_DRAFT = "/v1/conversations/{conversation_id}/draft"
_DOUBT = "PATCH /v1/conversations/{conversation_id}/messages/{message_id}"
_RETRY = "POST /v1/webhooks/{webhook_id}/deliveries/{webhook_post_id}/retry"
_CONTEXTS = "POST /v1/contexts"
_MARKS = "/v1/conversations/{conversation_id}/turns/{turn_id}/marks"
_SAMPLE = "/v1/eval-datasets/{eval_dataset_id}/samples/{eval_sample_id}"
_NOT_BY_CHANCE = {
    *("POST /v1/consents/{consent_id}/accounts", f"POST {_DRAFT}", f"DELETE {_DRAFT}"),
    *(_WRITE, _DOUBT, _RETRY, _CONTEXTS, f"POST {_MARKS}", f"DELETE {_MARKS}/{{verdict}}"),
    *(f"PUT {_SAMPLE}", f"DELETE {_SAMPLE}"),
}
_NOT_FOUND, _FAILED = 404, 500
_RIGHT_KIND = 0.9


class Unprobed(Exception):
    """The application has a part that neither its description nor its routes tell apart: it would not be probed."""


@dataclass(frozen=True, slots=True)
class Got:
    """An answer as its receiver sees it, and what it took."""

    status: int
    headers: list[tuple[str, str]]
    raw: bytes
    work: Work
    seconds: float

    @property
    def likeness(self) -> tuple[object, ...]:
        """What must be the same in two answers that tell nothing apart."""
        return self.status, self.headers, neutral(self.raw.decode("utf-8", "replace"))


@dataclass
class _Plan:
    """A request in the making: whose it is, and which ids of others are in it, each beside one that does not exist."""

    caller: Party | None
    key: str | None
    victim: Party
    twins: dict[str, str] = field(default_factory=dict)


class Endpoints:
    """Requests to every operation that the API describes."""

    kind = "endpoint"

    def __init__(self, world: World) -> None:
        self._world = world
        # Streams go on for ever otherwise: now they tell what there is.
        world.app.state.streams.end()
        api = world.app.openapi()
        found = (*operations(api), *undescribed(world.app, set(api["paths"])))
        self._operations = {operation.name: operation for operation in found}
        self.targets = sorted(self._operations)
        self.answered: Counter[int] = Counter()
        # Seconds for another's id and for one that does not exist, of answers that say 404.
        self.timings: list[tuple[float, float]] = []

    async def probe(self, rng: random.Random, target: str) -> Outcome:
        """One request, with its twin if it names another tenant's rows."""
        if not self._operations[target].ends:
            return await self._request(rng, target, self._plan(rng, self._world.parties[0]))
        async with self._world.passing() as party:
            return await self._request(rng, target, self._plan(rng, party))

    async def _request(self, rng: random.Random, target: str, plan: "_Plan") -> Outcome:
        actor = None if plan.caller is None else plan.caller.id
        outgoing = make(self._operations[target], rng, lambda name: self._choose(rng, plan, target, name))
        if not plan.twins:
            got = await self._send(plan, outgoing)
            # One's own rows by their ids say nothing of others', and neither does what needs no key.
            counts = plan.caller is not None and self._operations[target].gathers
            return Outcome(self._shown(plan, outgoing, got), actor, int(counts))
        problems, differs = await self._compare(rng, plan, outgoing)
        if differs:
            # What one's own earlier request changed looks like a difference once, and not again.
            problems += (await self._compare(rng, plan, outgoing))[1]
        return Outcome(problems, actor)

    def _plan(self, rng: random.Random, attacker: Party) -> _Plan:
        victim = self._world.parties[1]
        by = rng.choices(("own", "other", "revoked", "garbage", "none"), (76, 12, 4, 4, 4))[0]
        if by == "own" or (by == "other" and attacker not in self._world.parties):
            return _Plan(attacker, attacker.key, victim)
        if by == "other":
            return _Plan(victim, victim.key, attacker)
        keys = {"revoked": victim.revoked_key, "garbage": f"jobx_{secrets.token_urlsafe(32)}", "none": None}
        return _Plan(None, keys[by], victim)

    def _choose(self, rng: random.Random, plan: _Plan, target: str, name: str) -> str:
        """An id for a parameter: mostly another tenant's of the right kind, sometimes of any, or one's own."""
        if name == "token":
            return (
                self._foreign(plan, plan.victim.bot_token, lambda: _token(rng)) if rng.random() < 0.3 else _token(rng)
            )
        if name == "idempotency_key":
            foreign = rng.choice(plan.victim.repeat_keys)
            return self._foreign(plan, foreign, lambda: secrets.token_hex(len(foreign) // 2))
        own = plan.caller is not None and rng.random() < 0.25 and (plan.caller.name == "a" or target.startswith("GET"))
        owner = plan.caller if own and plan.caller is not None else plan.victim
        ids = self._ids(rng, owner, name, own=own)
        if not ids:
            return str(UUID(int=rng.getrandbits(128), version=4))
        chosen = rng.choice(ids)
        return str(chosen) if own else self._foreign(plan, str(chosen), lambda: str(_neighbour(chosen)))

    def _ids(self, rng: random.Random, owner: Party, name: str, *, own: bool) -> list[UUID]:
        table = self._world.table(name.removesuffix("_id").removesuffix("_ids"))
        if table is not None and rng.random() < _RIGHT_KIND:
            found = owner.ids[table.name]
        else:
            found = [one for ids in owner.ids.values() for one in ids] + [owner.id]
        # Who revokes the key in use would probe nothing afterwards.
        return [one for one in found if not (own and one == owner.key_id)]

    @staticmethod
    def _foreign(plan: _Plan, chosen: str, other: Callable[[], str]) -> str:
        plan.twins.setdefault(chosen, other())
        return chosen

    async def _compare(self, rng: random.Random, plan: _Plan, outgoing: Outgoing) -> tuple[list[str], list[str]]:
        """What an answer shows, and how it differs from the answer for ids that do not exist."""
        pair = (outgoing, outgoing.with_words(plan.twins))
        order = rng.sample((0, 1), 2)
        got: dict[int, Got] = {}
        for place in order:
            got[place] = await self._send(plan, pair[place])
        self.answered[got[0].status] += 1
        if got[0].status == got[1].status == _NOT_FOUND:
            self.timings.append((got[0].seconds, got[1].seconds))
        return self._shown(plan, outgoing, got[0]), differences(got[0], got[1])

    def _shown(self, plan: _Plan, outgoing: Outgoing, got: Got) -> list[str]:
        problems = self._world.secrets(plan.caller).shown(got.raw + repr(got.headers).encode(), outgoing.sent)
        mine = set() if plan.caller is None else {plan.caller.id}
        if plan.caller is None and plan.key == plan.victim.revoked_key:
            # Whose the key was has to be found out before it can be refused.
            mine = {plan.victim.id}
        if got.status >= _FAILED:
            problems.append(f"fails with {got.status}")
        return problems + [f"worked as tenant {one}" for one in got.work.tenants - mine]

    async def _send(self, plan: _Plan, outgoing: Outgoing) -> Got:
        if plan.caller is not None:
            # The victim's secret words have to be new to the caller each time.
            await self._world.forget_new(plan.caller)
        outgoing = outgoing.with_words(renewed(secrets.token_hex(4)))
        return await send(self._world, outgoing, plan.key)

    async def controls(self) -> dict[str, set[int]]:
        """The statuses of every operation with one's own ids: a probe of what never works would prove nothing."""
        targets = [target for target in self.targets if target not in _NOT_BY_CHANCE]
        found: dict[str, set[int]] = {target: set() for target in targets}
        for target in targets:
            for number in range(4):
                await self._world.refresh(now=True)
                rng = random.Random(f"{target} {number}")
                # What can be taken back has to be done before.
                first = target.replace("POST ", "DELETE ").removesuffix("/restore")
                ends = [one for one in dict.fromkeys((first, target)) if one in self.targets and self._ends(one)]
                if not ends:
                    found[target].add(await self._control(rng, target, self._world.parties[0]))
                    continue
                async with self._world.passing() as party:
                    for one in dict.fromkeys((*ends, target)):
                        status = await self._control(rng, one, party)
                    found[target].add(status)
        return found

    def _ends(self, target: str) -> bool:
        return self._operations[target].ends

    async def _control(self, rng: random.Random, target: str, party: Party) -> int:
        def own(name: str) -> str:
            if name in ("token", "idempotency_key"):
                return _token(rng)
            table = self._world.table(name.removesuffix("_id").removesuffix("_ids"))
            ids = [] if table is None else party.ids[table.name]
            return str(rng.choice([one for one in ids if one != party.key_id] or [party.id]))

        plan = _Plan(party, party.key, self._world.parties[1])
        return (await self._send(plan, make(self._operations[target], rng, own))).status


async def send(world: World, outgoing: Outgoing, key: str | None) -> Got:
    """One request in the process, with the work that it made."""
    headers = dict(outgoing.headers) | ({} if key is None else {"Authorization": f"Bearer {key}"})
    content = None if outgoing.body is None else outgoing.body.encode()
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
    request = httpx.Request(outgoing.method, f"http://jobx.test{outgoing.url}", headers=headers, content=content)
    with watching() as work:
        started = perf_counter()
        response = await transport.handle_async_request(request)
        raw = await response.aread()
        seconds = perf_counter() - started
    return Got(response.status_code, neutral_headers(response.headers.multi_items()), raw, work, seconds)


def differences(one: Got, other: Got) -> list[str]:
    """How an answer tells an id of another tenant from one that does not exist."""
    if one.likeness != other.likeness:
        return [f"tells apart: {_first_difference(one, other)}"]
    if one.work.steps != other.work.steps:
        return [f"works differently: {len(one.work.steps)} steps against {len(other.work.steps)}"]
    return []


def _first_difference(one: Got, other: Got) -> str:
    if one.status != other.status:
        return f"status {one.status} against {other.status}"
    if one.headers != other.headers:
        return f"headers {set(one.headers) ^ set(other.headers)}"
    texts = [str(got.likeness[2]) for got in (one, other)]
    place = next((at for at, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), min(map(len, texts)))
    return " against ".join(text[max(place - 40, 0) : place + 40] for text in texts)


def undescribed(app: FastAPI, described: set[str]) -> Iterator[Operation]:
    """Routes that the description leaves out, with the parameters of their paths; raises Unprobed for other parts."""
    for route in iter_route_contexts(app.routes):
        path = route.path_format or route.path
        if path is None or not route.methods:
            raise Unprobed(f"No probe knows how to call {route.path or route}: give it one in proof/.")
        if path in described or path in _ELSEWHERE:
            continue
        names = re.findall(r"\{(\w+)", path)
        parameters = tuple({"name": name, "in": "path", "schema": {"format": "uuid"}} for name in names)
        for method in sorted(route.methods - {"HEAD"}):
            yield Operation(method.lower(), path, parameters, {}, False, {})


def median_difference(timings: Sequence[tuple[float, float]]) -> float:
    """The median of how much longer (seconds) another tenant's id takes than one that does not exist."""
    differences = sorted(foreign - missing for foreign, missing in timings)
    return differences[len(differences) // 2] if differences else 0.0


def _neighbour(one: UUID) -> UUID:
    # Ids are ordered by time, and lists go on after one: the next number sorts as the id itself does.
    return UUID(int=one.int ^ 1)


def _token(rng: random.Random) -> str:
    return f"{7_000_000_000 + rng.randrange(10**9)}:{rng.getrandbits(160):040x}"
