"""How often this process asks one host: one request at a time, and a pause between two."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_HOSTS = 10_000


@dataclass(slots=True)
class _Host:
    free_at: float = 0.0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pace:
    """Takes turns by host; `seconds` pass between two requests, or what the host itself asks for if that is more."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    @asynccontextmanager
    async def turn(self, host: str, wanted: float = 0.0) -> AsyncIterator[None]:
        """Wait for one's turn to ask a host; `wanted` is the pause in seconds that it asks for."""
        mine = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        mine.waiting += 1
        try:
            async with mine.lock:
                clock = asyncio.get_running_loop().time
                await asyncio.sleep(max(mine.free_at - clock(), 0.0))
                try:
                    yield
                finally:
                    mine.free_at = clock() + max(self._seconds, wanted)
        finally:
            mine.waiting -= 1
            self._forget()

    def _forget(self) -> None:
        """Let go of the host that was asked longest ago when there are many."""
        if len(self._hosts) > _HOSTS:
            name, oldest = next(iter(self._hosts.items()))
            if not oldest.waiting:
                del self._hosts[name]
