"""What one run may spend, within what the tenant may."""

from dataclasses import dataclass

from graphs.support.context import LimitReached, Reservation, Spending


class Capped:
    """The tenant's spending, which counts and limits as for previews, and the run's own limit.

    `reached` names the limit that stopped a call, once one did: "run", or one of the tenant's. Amounts are in micro US
    dollars; a call counts with the most that it can cost until it has ended.
    """

    def __init__(self, inner: Spending, most_micros: int | None, spent_micros: int = 0) -> None:
        self._inner, self._most, self._spent = inner, most_micros, spent_micros
        self.reached: str | None = None

    async def reserve(self, most_micros: int) -> Reservation:
        """Set aside what a call takes at most; raises LimitReached."""
        if self._most is not None and self._spent + most_micros > self._most:
            self.reached = "run"
            raise LimitReached("run")
        self._spent += most_micros
        try:
            reserved = await self._inner.reserve(most_micros)
        except LimitReached as error:
            self._spent -= most_micros
            self.reached = str(error)
            raise
        return _Part(self, reserved, most_micros)

    def settled(self, change: int) -> None:
        """Correct what a call took."""
        self._spent += change


@dataclass(frozen=True, slots=True)
class _Part:
    capped: Capped
    reserved: Reservation
    micros: int

    async def settle(self, micros: int) -> None:
        """Put what the call took in the place of what it could have."""
        self.capped.settled(micros - self.micros)
        await self.reserved.settle(micros)
