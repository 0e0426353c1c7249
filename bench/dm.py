"""From a webhook to the provider's call: what was sent in, what came out at the other end, and when."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.knowledge import question
from bench.load import OK, Answered, Request, Sample, closed_loop, fetch, open_loop, quantile
from bench.partners import Arrival
from bench.stage import FIRST_CHAT, Stage

_AFTERWARDS_SECONDS = 0.5
_POLL_SECONDS = 0.25


@dataclass(slots=True)
class Series:
    """Messages and replies of chats; `chats` has the chat of each message, by the message's number."""

    chats: Mapping[int, int]
    posted: Sample
    arrivals: Sequence[Arrival]
    handoff_message: str = ""
    latencies: dict[int, float] = field(init=False)
    lost: int = field(init=False)
    doubled: int = field(init=False)

    def __post_init__(self) -> None:
        """Give every message of a chat its reply, in order: what has none is lost, what is left is doubled.

        Replies to other chats are late ones of an earlier series.
        """
        messages: dict[int, list[Answered]] = defaultdict(list)
        replies: dict[int, list[Arrival]] = defaultdict(list)
        for posted in sorted(self.posted.requests, key=lambda request: request.due):
            messages[self.chats[posted.number]].append(posted)
        for arrival in sorted(self.arrivals, key=lambda arrival: arrival.at):
            replies[arrival.chat].append(arrival)
        self.latencies = {
            posted.number: arrival.at - posted.due
            for chat, sent in messages.items()
            for posted, arrival in zip(sent, replies[chat], strict=False)
        }
        self.lost = len(self.posted.requests) - len(self.latencies)
        self.arrivals = [arrival for arrival in self.arrivals if arrival.chat in messages]
        self.doubled = len(self.arrivals) - len(self.latencies)

    @property
    def refused(self) -> int:
        """How many webhooks were not acknowledged."""
        return sum(request.status != OK for request in self.posted.requests)

    @property
    def handed_off(self) -> int:
        """How many replies were the fixed text of a handoff."""
        return sum(arrival.text == self.handoff_message for arrival in self.arrivals)

    @property
    def seconds(self) -> float:
        """From the first message's moment to the last reply's."""
        first = min(request.due for request in self.posted.requests)
        return max([self.posted.elapsed, *(arrival.at - first for arrival in self.arrivals)])

    def summary(self, wait: float = 0.0) -> dict[str, Any]:
        """Milliseconds from webhook to provider call beyond a `wait` in seconds, None without any; what went wrong."""
        beyond = [seconds - wait for seconds in self.latencies.values()]
        quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
        return {
            **{name: round(quantile(beyond, share) * 1000, 1) if beyond else None for name, share in quantiles.items()},
            "messages": len(self.posted.requests),
            "lost": self.lost,
            "doubled": self.doubled,
            "refused": self.refused,
            "handed_off": self.handed_off,
        }


@dataclass(slots=True)
class Driver:
    """Sends messages to a stage's web processes; a turn waits for `wait` seconds for more of its customer's.

    A message that has no reply `patience` seconds after the last one of its series, beyond that wait, counts as lost.
    """

    stage: Stage
    wait: float
    patience: float = 30.0

    async def paced(self, per_second: float, seconds: float, chats: Sequence[int] | None = None) -> Series:
        """A fixed rate, each message from a new chat, or from one of `chats` after the other."""
        first = self.stage.numbers(round(per_second * seconds))
        return await self._series(
            first, chats, lambda make: open_loop(self._ports, make, per_second=per_second, seconds=seconds)
        )

    async def burst(self, messages: int, connections: int = 16) -> Series:
        """As fast as they are acknowledged, each from a new chat."""
        first = self.stage.numbers(messages)
        return await self._series(
            first, None, lambda make: closed_loop(self._ports, make, connections=connections, requests=messages)
        )

    @property
    def _ports(self) -> list[int]:
        return [started.port for started in self.stage.of("web")]

    async def _series(self, first: int, chats: Sequence[int] | None, post: Any) -> Series:
        used: dict[int, int] = {}

        def make(place: int) -> Request:
            number = first + place
            chat = number if chats is None else chats[place % len(chats)] - FIRST_CHAT
            used[place] = FIRST_CHAT + chat
            return self.stage.message(number, question(number), chat)

        since = len(await self._sent(0))
        posted: Sample = await post(make)
        arrivals = await self._await(since, set(used.values()), len(used))
        return Series(used, posted, arrivals, self.stage.handoff_message)

    async def _await(self, since: int, chats: Collection[int], expected: int) -> list[Arrival]:
        """What the provider got since then, once these chats have all of theirs, or once there is no patience left."""
        arrivals: list[Arrival] = []
        deadline = time.monotonic() + self.wait + self.patience
        while sum(arrival.chat in chats for arrival in arrivals) < expected and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            arrivals += await self._sent(since + len(arrivals))
        await asyncio.sleep(_AFTERWARDS_SECONDS)
        return arrivals + await self._sent(since + len(arrivals))

    async def _sent(self, since: int) -> list[Arrival]:
        told = await fetch(self.stage.ports["provider"], f"/sent?since={since}")
        return [Arrival(**arrival) for arrival in orjson.loads(told)["sent"]]
