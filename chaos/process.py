"""A process of Jobx that dies at named steps: `python -m chaos.process serve|worker`, settings as of `jobx` itself.

CHAOS_CHANCE is how likely it is to kill itself (SIGKILL) each time it passes a step, while there is the file
CHAOS_STEPS, to which it adds the step's name before. CHAOS_FAULT plants a fault that the proof has to find. Nothing of
this is in app/.
"""

import asyncio
import functools
import importlib
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Step = Callable[..., Awaitable[Any]]
# How long a provider call has been under way when its process dies: the request has left, its answer may have come.
_DURING_SECONDS = 0.002
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


class _Dice:
    def __init__(self, chance: float, log: str) -> None:
        self._chance, self._log = chance, log
        self._random = random.Random()  # no secret; each process its own

    def roll(self) -> bool:
        return self._random.random() < self._chance and os.path.exists(self._log)

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


def _wrap(module: str, attribute: str, wrap: Callable[[Any], Any]) -> None:
    holder: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        holder = getattr(holder, part)
    old = getattr(holder, name)
    new = wrap(old)
    setattr(holder, name, new)
    for other in list(sys.modules.values()):
        # Who imported it by its name has it as well.
        if not path and getattr(other, name, None) is old and other.__name__.startswith("app."):
            setattr(other, name, new)


def _plant(fault: str) -> None:
    """Take one of the guards away."""
    if fault in ("dedup", "all"):
        _wrap("app.webhooks.service", "_dedup_key", lambda _: lambda *_arguments: os.urandom(32))
        _wrap("app.conversations.inbound", "_is_known", lambda _: _never)
        _wrap("app.conversations.inbound", "_row", _of_its_own)
    if fault in ("lock", "all"):
        # Neither the state that a lock guards, nor what went before it, is looked at.
        _wrap("app.channels.delivery", "_may_go", lambda _: _always)
    if fault in ("recheck", "all"):
        _wrap("app.channels.outbox", "_obstacle", lambda _: lambda *_arguments, **_named: None)
        _wrap("app.conversations.turns", "_pause_is_over", lambda _: lambda *_arguments: True)


async def _never(*_arguments: Any) -> bool:
    return False


async def _always(*_arguments: Any) -> bool:
    return True


def _of_its_own(row: Callable[..., Any]) -> Callable[..., Any]:
    def other(*arguments: Any) -> Any:
        message = row(*arguments)
        message.dedup_hash, message.provider_message_hash = os.urandom(32), os.urandom(32)
        return message

    return other


def main() -> None:
    """Wrap the steps, then run the command."""
    command, chance = sys.argv[1], float(os.environ["CHAOS_CHANCE"])
    for module in ("app.main", "app.webhooks.endpoints") if command == "serve" else ("app.worker", "app.assembly"):
        importlib.import_module(module)
    dice = _Dice(chance, os.environ["CHAOS_STEPS"])
    for step, module, attribute, when in _WEB if command == "serve" else _WORKER:
        _wrap(module, attribute, functools.partial(_dying, step=step, when=when, dice=dice))
    if stalled := os.environ.get("CHAOS_STALLED"):
        _wrap("app.worker", "STALLED_SECONDS", lambda _: float(stalled))
        _wrap("app.worker", "HEARTBEAT_SECONDS", lambda _: float(stalled) / 5)
    if fault := os.environ.get("CHAOS_FAULT"):
        _plant(fault)
    cli = importlib.import_module("app.cli").cli
    cli(sys.argv[1:])


if __name__ == "__main__":
    main()
