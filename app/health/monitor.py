"""Watches the parts that a process stands on, and says when one goes down and when it is back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from app.health.probe import Probe
from app.metrics import Metrics

logger = logging.getLogger(__name__)

State = Literal["ok", "starting", "stopping", "down", "behind"]
# None means ok; whatever it raises means that the part is down.
Check = Callable[[], Awaitable[State | None]]

EVERY_SECONDS = 5.0
LIMIT_SECONDS = 2.0


@dataclass(slots=True)
class Readiness:
    """Where a process stands between its start and its end; whoever runs it says so here."""

    ready: bool = False
    stopping: bool = False
    _told: list[Callable[[], None]] = field(default_factory=list)

    def at_stop(self, call: Callable[[], None]) -> None:
        """Have something called when the process is asked to stop: what would go on for ever ends then."""
        self._told.append(call)

    def stop(self) -> None:
        """Say that the process stops."""
        self.stopping = True
        for call in self._told:
            call()

    @property
    def state(self) -> State:
        """The same in a word."""
        return "stopping" if self.stopping else "ok" if self.ready else "starting"


class Monitor:
    """Checks each part by itself every `every` seconds, with `limit` seconds for an answer.

    A check must not block the event loop. Each change between up and down is logged once, by the part's name and the
    error's type: its text may name a host or quote a URL.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        metrics: Metrics,
        *,
        every: float = EVERY_SECONDS,
        limit: float = LIMIT_SECONDS,
    ) -> None:
        self._probes = {name: Probe(check, limit) for name, check in checks.items()}
        self._states: dict[str, State] = dict.fromkeys(checks, "starting")
        self._metrics = metrics
        self._every = every

    @property
    def states(self) -> dict[str, State]:
        """What each part's last check found; "starting" before the first."""
        return dict(self._states)

    async def check(self, name: str) -> State:
        """Ask one part now; raises KeyError for a part that there is not."""
        try:
            state = await self._probes[name]() or "ok"
        except Exception as error:
            self._note_down(name, error)
            return "down"
        self._note_up(name, state)
        return state

    async def check_all(self) -> dict[str, State]:
        """Ask every part now, all at the same time."""
        names = list(self._probes)
        return dict(zip(names, await asyncio.gather(*map(self.check, names)), strict=True))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Check again and again for as long as the block runs; the first time before it begins."""
        await self.check_all()
        tasks = [asyncio.create_task(self._watch(name)) for name in self._probes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for probe in self._probes.values():
                probe.cancel()

    async def _watch(self, name: str) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.check(name)

    def _note_down(self, name: str, error: Exception) -> None:
        if self._states[name] != "down":
            logger.warning("part %s is down: %s", name, type(error).__name__)
        self._states[name] = "down"
        self._metrics.part(name, False)

    def _note_up(self, name: str, state: State) -> None:
        if self._states[name] == "down":
            logger.warning("part %s answers again", name)
        self._states[name] = state
        self._metrics.part(name, True)
