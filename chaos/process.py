"""A process of Jobx that dies at named steps: `python -m chaos.process serve|worker`, settings as of `jobx` itself.

CHAOS_ORDERS (JSON) says what it is to do, see `Orders`. Nothing of this is in app/.
"""

import asyncio
import functools
import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaos.faults import plant
from chaos.wrapping import wrap

Step = Callable[..., Awaitable[Any]]
# How long a provider call has been under way when its process dies: the request has left, its answer may have come.
_DURING_SECONDS = 0.002
_BORN = time.monotonic_ns() // 1_000_000
# name of the step, module, attribute, and whether it is before, during or after the function.
_WEB = (
    ("after verify", "app.webhooks.service", "record_event", "before"),
    ("after insert", "app.webhooks.service", "record_event", "after"),
)
_WORKER = (
    ("in the job", "app.conversations.tasks", "begin_turn", "after"),
    ("in the graph", "app.documents.search", "_find", "before"),
    ("after outbox commit", "app.channels.outbox", "call", "before"),
    ("before the provider call", "app.channels.providers.telegram", "Telegram.send", "before"),
    ("during the provider call", "app.channels.providers.telegram", "Telegram.send", "during"),
    ("after the provider call", "app.channels.providers.telegram", "Telegram.send", "after"),
    ("before the delivery mark", "app.channels.delivery", "settle", "before"),
    ("before the delivery mark", "app.channels.outbox", "settle", "before"),
)
STEPS = tuple(dict.fromkeys(step[0] for step in (*_WEB, *_WORKER)))


@dataclass(frozen=True)
class Orders:
    """What a process does beside its work.

    It kills itself (SIGKILL) by `chance` each time it passes one of `steps` (all without any), while there is the
    file `log`, to which it adds the step's name before. Each call to the provider is a line of the file `calls`. A
    model takes up to `thinking` seconds. `fault` is one that the proof has to find. After `deaths` of all processes
    there are no more.
    """

    chance: float
    log: str
    calls: str
    steps: Sequence[str] = ()
    thinking: float = 0.0
    fault: str | None = None
    deaths: int | None = None


class _Dice:
    def __init__(self, orders: Orders) -> None:
        self._chance, self._log, self._deaths = orders.chance, orders.log, orders.deaths
        self._random = random.Random()  # no secret; each process its own

    def roll(self) -> bool:
        return self._random.random() < self._chance and os.path.exists(self._log) and not self._is_enough()

    def _is_enough(self) -> bool:
        return self._deaths is not None and len(Path(self._log).read_text().splitlines()) >= self._deaths

    def die(self, step: str) -> None:
        with open(self._log, "a") as log:
            log.write(f"{step}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _dying(inner: Step, step: str, when: str, dice: _Dice) -> Step:
    @functools.wraps(inner)
    async def outer(*arguments: Any, **named: Any) -> Any:
        dies = dice.roll()
        if dies and when == "before":
            dice.die(step)
        if dies and when == "during":
            under_way = asyncio.ensure_future(inner(*arguments, **named))
            await asyncio.wait({under_way}, timeout=_DURING_SECONDS)
            dice.die(step)
        answer = await inner(*arguments, **named)
        if dies:
            dice.die(step)
        return answer

    return outer


def _thinking(inner: Step, seconds: float) -> Step:
    """As with a model that takes its time: between the first look at a conversation and the last."""

    @functools.wraps(inner)
    async def outer(*arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(random.uniform(0.0, seconds))  # no secret
        return await inner(*arguments, **named)

    return outer


def _telling(inner: Step, log: str) -> Step:
    """Note that a call to the provider begins, before it does: chaos/takeovers.py counts by it."""

    @functools.wraps(inner)
    async def outer(provider: Any, client: Any, credentials: Any, message: Any) -> Any:
        call = {"delivery": message.delivery_id, "process": process_name(), "at": time.time()}
        with open(log, "a") as calls:
            calls.write(f"{json.dumps(call)}\n")
        return await inner(provider, client, credentials, message)

    return outer


def process_name() -> str:
    """By which the database's sessions and the calls of this process are told to be of one; ids are used again."""
    return f"{os.getpid()}-{_BORN}"


def _named(inner: Callable[..., Any]) -> Callable[..., Any]:
    def outer(*arguments: Any) -> Any:
        address = inner(*arguments)
        return replace(address, name=f"{address.name} {process_name()}")

    return outer


def main() -> None:
    """Wrap the steps, then run the command."""
    command, asked = sys.argv[1], Orders(**json.loads(os.environ["CHAOS_ORDERS"]))
    for module in ("app.main", "app.webhooks.endpoints") if command == "serve" else ("app.worker", "app.assembly"):
        importlib.import_module(module)
    wrap("app.migrations.server", "named", _named)
    if command == "worker":
        # First, and so within the steps: who dies before the call has not begun it.
        wrap("app.channels.providers.telegram", "Telegram.send", functools.partial(_telling, log=asked.calls))
        wrap("app.documents.search", "_find", functools.partial(_thinking, seconds=asked.thinking))
    dice = _Dice(asked)
    for step, module, attribute, when in _WEB if command == "serve" else _WORKER:
        if step in asked.steps or not asked.steps:
            wrap(module, attribute, functools.partial(_dying, step=step, when=when, dice=dice))
    if asked.fault:
        plant(asked.fault)
    cli = importlib.import_module("app.cli").cli
    cli(sys.argv[1:])


if __name__ == "__main__":
    main()
