"""Asking a part that may not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """A call that may hang, made at most once at a time: whoever asks meanwhile waits for the same answer.

    So a part that hangs, or a flood of health checks, holds one connection and not all of them. Nobody waits longer
    than `limit` seconds; then the call is cancelled, and until it has ended (a database driver may take seconds over
    that) no other is made.
    """

    def __init__(self, call: Callable[[], Awaitable[Answer]], limit: float) -> None:
        self._call = call
        self._limit = limit
        self._task: asyncio.Task[Answer] | None = None

    async def __call__(self) -> Answer:
        """The answer; raises what the call raises, and TimeoutError when there is none in time."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_take_notice)
        task = self._task
        # Not asyncio.timeout: that would wait until a cancelled call has ended.
        done, _ = await asyncio.wait({task}, timeout=self._limit)
        if not done:
            task.cancel()
        if not done or task.cancelled():
            raise TimeoutError
        return task.result()

    def cancel(self) -> None:
        """Give up a call that is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> Answer:
        return await self._call()


def _take_notice(task: asyncio.Task[Answer]) -> None:
    # An error that comes after everyone has gone is nobody's; asyncio would log it as forgotten.
    if not task.cancelled():
        task.exception()
