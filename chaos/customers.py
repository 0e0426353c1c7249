"""What customers ask, and the webhooks that bring it: posted again until acknowledged, some twice, some late."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from bench.stage import FIRST_CHAT, Stage
from chaos.plan import Plan

_ONSETS, _RIMES, _ENDS = "bdfgklmnprstvz", ("al", "en", "or", "ub"), ("ado", "ine", "umo", "ery")
NAMES = tuple(f"{a}{b}{c}".title() for a in _ONSETS for b in _RIMES for c in _ENDS)
_AGAIN_SECONDS = 0.2
_PATIENCE_SECONDS = 180.0


def page(lamp: int) -> str:
    """What the tenant knows of a lamp; its price tells the answer apart from all others."""
    return f"The {NAMES[lamp]} lamp costs {1000 + lamp} euros and is delivered within {lamp + 2} days."


def question(lamp: int) -> str:
    """What a customer asks of it."""
    return f"How much does the {NAMES[lamp]} lamp cost?"


def lamps_in(text: str) -> list[int]:
    """The lamps whose prices a text names, in order."""
    found = [(text.find(str(1000 + lamp)), lamp) for lamp in range(len(NAMES))]
    return [lamp for place, lamp in sorted(found) if place >= 0]


@dataclass
class Asked:
    """One message of a customer: of which lamp it asks, and since when it is acknowledged (Unix seconds)."""

    chat: int
    lamp: int
    number: int
    acknowledged: float | None = None


@dataclass
class Talk:
    """A chat: its messages in order, whether the webhooks came in another, and whether a person has taken over."""

    chat: int
    asked: list[Asked] = field(default_factory=list)
    reordered: bool = False
    taken_over: bool = False


class Customers:
    """Chats of one to three messages; `port` tells where a web process listens now."""

    def __init__(self, stage: Stage, port: Callable[[], int], plan: Plan) -> None:
        self._stage, self._port, self._plan = stage, port, plan
        self._random = random.Random(plan.seed)  # no secret
        self.talks: dict[int, Talk] = {}
        self.duplicates = self.acknowledged = 0
        self._client = httpx.AsyncClient(timeout=10, trust_env=False)
        self._late: set[asyncio.Task[None]] = set()

    def next_talk(self) -> Talk:
        """A chat that does not write yet."""
        messages = self._random.choice((1, 1, 2, 3))
        first = self._stage.numbers(messages + 1)
        talk = Talk(FIRST_CHAT + first)
        lamps = self._random.sample(range(self._plan.lamps), messages + 1)
        talk.asked = [Asked(talk.chat, lamp, first + place) for place, lamp in enumerate(lamps[:messages])]
        self.talks[talk.chat] = talk
        return talk

    async def write(self, talk: Talk) -> None:
        """Post a chat's messages, some at once and some after the answer may have come."""
        waiting = list(talk.asked)
        if len(waiting) > 1 and self._random.random() < 0.15:
            talk.reordered = True
            waiting.reverse()
        for asked in waiting:
            await self._post(asked)
            if self._random.random() < self._plan.duplicates:
                self._later(asked)
            await asyncio.sleep(self._random.choice((0.0, 0.3, 2.0)))

    async def write_again(self, talk: Talk) -> None:
        """One more message, of a lamp of which the chat has not asked."""
        known = {asked.lamp for asked in talk.asked}
        lamp = self._random.choice([lamp for lamp in range(self._plan.lamps) if lamp not in known])
        asked = Asked(talk.chat, lamp, self._stage.numbers(1))
        talk.asked.append(asked)
        await self._post(asked)

    async def finish(self) -> None:
        """Wait for the webhooks that come late."""
        await asyncio.gather(*self._late)
        await self._client.aclose()

    def _later(self, asked: Asked) -> None:
        async def post() -> None:
            await asyncio.sleep(self._random.uniform(*self._plan.late))
            self.duplicates += 1
            await self._post(asked)

        self._late.add(asyncio.create_task(post()))

    async def _post(self, asked: Asked) -> None:
        """As a provider does: again until it is acknowledged."""
        request = self._stage.message(asked.number, question(asked.lamp), asked.chat - FIRST_CHAT)
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                url = f"http://127.0.0.1:{self._port()}{request.path}"
                answer = await self._client.post(url, content=request.body, headers=dict(request.headers))
                if answer.is_success:
                    self.acknowledged += asked.acknowledged is None
                    asked.acknowledged = asked.acknowledged or time.time()
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_AGAIN_SECONDS)
        raise TimeoutError("no web process takes webhooks")
