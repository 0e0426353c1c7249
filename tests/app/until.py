"""Waiting for what happens by itself."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 20.0) -> None:
    """Return once the condition is true; fail after `seconds`."""
    for _ in range(round(seconds / 0.02)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")
