"""The guards of the product taken away, one whole guard at a time and with all its layers, and no other."""

import os
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm.attributes import set_committed_value

from chaos.wrapping import wrap


def plant(fault: str) -> None:
    """Take a guard away ("dedup", "lock" or "recheck"), or "all" of them."""
    for name, take_away in _FAULTS.items():
        if fault in (name, "all"):
            take_away()


def _without_dedup() -> None:
    """A webhook that comes twice is two events, and the message in it two messages.

    Taken away are the event's key, the look for a known message, and the two unique keys of the message's row.
    """
    wrap("app.webhooks.service", "_dedup_key", lambda _: lambda *_arguments: os.urandom(32))
    wrap("app.conversations.inbound", "_is_known", lambda _: _never)
    wrap("app.conversations.inbound", "_row", _of_its_own)


def _without_lock() -> None:
    """A delivery is sent whatever its state is: one whose sender died under way goes out again.

    Taken away is the state that is read under the delivery's lock, for what it says and for what the last sender
    leaves in doubt. A person's takeover, the window and the order are looked at as ever.
    """
    wrap("app.channels.delivery", "_may_go", lambda inner: _seeing(inner, 4, "state", "queued"))


def _without_recheck() -> None:
    """What a turn began to answer it sends, whoever has taken over or written since.

    Taken away are the second look in the transaction that queues, the third in the one that marks `sending`, and the
    takeover's own reach for what is under way (it ends turns and cancels deliveries, which would stop them as well).
    The first look, as a turn begins, stays: a turn that begins after a takeover is still none.
    """
    wrap("app.channels.outbox", "_obstacle", lambda _: lambda *_arguments, **_named: None)
    wrap("app.channels.delivery", "_may_go", lambda inner: _seeing(inner, 3, "agent_paused_at", None))
    wrap("app.conversations.people", "stop_agent", lambda _: _never)


_FAULTS = {"dedup": _without_dedup, "lock": _without_lock, "recheck": _without_recheck}


async def _never(*_arguments: Any) -> bool:
    return False


def _seeing(inner: Callable[..., Any], place: int, attribute: str, value: object) -> Callable[..., Any]:
    """A function one of whose rows seems to hold another value; the database is told nothing of that."""

    async def outer(*arguments: Any) -> Any:
        set_committed_value(arguments[place], attribute, value)
        return await inner(*arguments)

    return outer


def _of_its_own(row: Callable[..., Any]) -> Callable[..., Any]:
    def other(*arguments: Any) -> Any:
        message = row(*arguments)
        message.dedup_hash, message.provider_message_hash = os.urandom(32), os.urandom(32)
        return message

    return other
