"""Calls to a server that may be slow, busy or gone: tried again within a deadline, and not at all while it is known to
be down. All calls made here may be repeated: what they do twice is the same as once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay, wait_random_exponential

from vectorstore.circuit import Circuit, CircuitOpenError
from vectorstore.index import VectorStoreError, VectorStoreUnavailable

Result = TypeVar("Result")
# Full jitter: from nothing up to 0.1, 0.2, 0.4 … seconds (Brooker, "Exponential Backoff And Jitter", AWS 2015).
_jitter = wait_random_exponential(multiplier=0.1, max=5)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds: a whole read or write with its retries, and one try of each.

    After `failures` tries in a row without an answer, nothing is tried for `pause` seconds.
    """

    read: float = 8.0
    read_try: float = 3.0
    write: float = 60.0
    write_try: float = 20.0
    failures: int = 5
    pause: float = 10.0


class NoAnswerError(Exception):
    """A try brought no usable answer; `why` in a few words, `after` as the server asked, in seconds."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.after = after


class OutOfTimeError(Exception):
    """A try was cut before its own time was over, because the whole call's was: it tells nothing of the server."""


class BusyError(Exception):
    """The server works, and asks for a pause of `after` seconds."""

    def __init__(self, after: float = 0.0) -> None:
        super().__init__(f"asked to wait {after:.0f} s")
        self.after = after


class Line:
    """One kind of calls to a server: each has `seconds` in all and `one_try` at a time, and they share a circuit."""

    def __init__(self, server: str, seconds: float, one_try: float, failures: int, pause: float) -> None:
        self._server = server
        self._seconds = seconds
        self._one_try = one_try
        self._circuit = Circuit(failures, pause, NoAnswerError, silent=OutOfTimeError)

    async def call(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """What `attempt` returns, tried again after NoAnswerError and BusyError; VectorStoreUnavailable in the end.

        Every other exception of `attempt` is an answer, and final.
        """
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            stop=stop_before_delay(self._seconds),
            wait=_pause,
            retry=retry_if_exception_type((NoAnswerError, BusyError)),
            reraise=True,
        )
        end = time.monotonic() + self._seconds
        why = "no answer in time"

        async def one_try() -> Result:
            nonlocal why
            try:
                return await self._try(attempt, end)
            except NoAnswerError as error:
                why = error.why
                raise

        try:
            return await retrying(one_try)
        except CircuitOpenError as error:
            raise self._unavailable(f"is not answering; tried again in {error.seconds:.0f} s") from None
        except (NoAnswerError, OutOfTimeError):
            # A last try that was cut short tells nothing; the one before it does.
            raise self._unavailable(f"is not answering ({why})") from None
        except BusyError as error:
            raise self._unavailable(f"is busy, and {error}") from None

    async def _try(self, attempt: Callable[[], Awaitable[Result]], end: float) -> Result:
        left = end - time.monotonic()
        with self._circuit.attempt():
            try:
                async with asyncio.timeout(min(self._one_try, left)):
                    return await attempt()
            except TimeoutError:
                raise (NoAnswerError("no answer in time") if left >= self._one_try else OutOfTimeError) from None

    def _unavailable(self, what: str) -> VectorStoreError:
        return VectorStoreUnavailable(f"The Qdrant server at {self._server} {what}.")


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, NoAnswerError | BusyError) else 0.0
    return asked + _jitter(state)
