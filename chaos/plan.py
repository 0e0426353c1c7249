"""How much is done to how many, and what of it brings each fault to light."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Fault = Literal["dedup", "lock", "recheck", "all"]


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Customers write `turns` messages, `per_second`, and wait while `waiting` of theirs are not dealt with. Processes die
    at each of `steps` (all without any) by `chance`, with `deaths` so many in all; others every `pause` seconds, if
    `between` messages were dealt with since. The database crashes `restarts` times, None for as often as so many turns
    ask for. A model takes `thinking` seconds at most, `is_steady` is a provider without faults. `takeovers` is the
    share of chats that a person takes over, `duplicates` that of messages whose webhook comes again, `late` by so many
    seconds. The tenant has `lamps` pages; `webs` processes serve it and `workers` run its jobs.
    """

    turns: int
    seed: int
    fault: Fault | None = None
    chance: float = 0.0015
    steps: tuple[str, ...] = ()
    deaths: int | None = None
    is_steady: bool = False
    pause: tuple[float, float] = (4.0, 10.0)
    between: int = 25
    restarts: int | None = None
    thinking: float = 0.5
    lamps: int = 40
    webs: int = 1
    workers: int = 2
    per_second: float = 6.0
    waiting: int = 60
    takeovers: float = 0.1
    duplicates: float = 0.1
    late: tuple[float, float] = (0.0, 4.0)

    @property
    def crashes(self) -> int:
        """How often the database is crashed."""
        return max(2, self.turns // 1000) if self.restarts is None else self.restarts


# What a run has to be full of for a guard to be missed: each of these is rare enough in an ordinary one that some
# short runs have none.
PROVOKING: Mapping[Fault, Mapping[str, Any]] = {
    # What comes again with the message itself would be part of the same turn.
    "dedup": {"duplicates": 0.8, "late": (6.0, 8.0)},
    # The provider has acted, nobody has noted it, and the job comes again.
    "lock": {"steps": ("after the provider call", "before the delivery mark"), "chance": 0.3},
    # The person writes while the model thinks: behind the first look at the conversation, before the second.
    "recheck": {"takeovers": 0.8, "thinking": 3.0},
}
PROVOKING = {**PROVOKING, "all": {name: value for one in PROVOKING.values() for name, value in one.items()}}
