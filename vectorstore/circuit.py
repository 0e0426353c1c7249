"""A circuit breaker: after failures in a row calls fail at once for a while, then one of them tries (Nygard, "Release
It!", 2nd edition, chapter 5)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CircuitOpenError(Exception):
    """The call was not tried; `seconds` until one will be."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not tried for another {seconds:.1f} s")
        self.seconds = seconds


class Circuit:
    """Opens after `most` errors of type `failure` in a row, and lets one call through after `seconds`.

    That call closes it, or opens it for as long again. Any other outcome of a call counts as an answer, except its
    cancellation and errors of type `silent`, which tell nothing. Used from one event loop.
    """

    def __init__(
        self,
        most: int,
        seconds: float,
        failure: type[Exception],
        clock: Callable[[], float] = time.monotonic,
        *,
        silent: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._failure = failure
        self._clock = clock
        self._silent = silent
        self._failures = 0
        self._tried_at: float | None = None
        self._probing = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One call, as the block; CircuitOpenError instead of running it while the circuit is open."""
        probe = self._admit()
        try:
            yield
        except self._failure:
            self._failed(probe)
            raise
        except self._silent:
            raise
        except Exception:
            self._answered()
            raise
        else:
            self._answered()
        finally:
            if probe:
                self._probing = False

    def _admit(self) -> bool:
        if self._tried_at is None:
            return False
        wait = self._tried_at - self._clock()
        if wait > 0 or self._probing:
            raise CircuitOpenError(max(wait, 0.0))
        self._probing = True
        return True

    def _failed(self, probe: bool) -> None:
        self._failures += 1
        # Calls that were under way when the circuit opened fail later and must not prolong its pause.
        if probe or (self._tried_at is None and self._failures >= self._most):
            self._tried_at = self._clock() + self._seconds

    def _answered(self) -> None:
        self._failures = 0
        self._tried_at = None
