import asyncio

import pytest

from vectorstore.calls import BusyError, Line, NoAnswerError
from vectorstore.circuit import Circuit, CircuitOpenError
from vectorstore.index import VectorStoreUnavailable


class Down(Exception):
    pass


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(3, 10.0, Down, clock)


def call(circuit: Circuit, error: BaseException) -> None:
    with circuit.attempt():
        raise error


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Down):
            call(circuit, Down())


def is_open(circuit: Circuit) -> float | None:
    try:
        with circuit.attempt():
            return None
    except CircuitOpenError as error:
        return error.seconds


def test_opens_after_failures_in_a_row_only(circuit: Circuit) -> None:
    fail(circuit, 2)
    assert is_open(circuit) is None

    fail(circuit, 3)
    assert is_open(circuit) == 10.0


def test_refusal_is_an_answer(circuit: Circuit) -> None:
    fail(circuit, 2)
    with pytest.raises(KeyError):
        call(circuit, KeyError())
    fail(circuit, 2)

    assert is_open(circuit) is None


def test_cancelled_call_tells_nothing(circuit: Circuit) -> None:
    fail(circuit, 2)
    with pytest.raises(KeyboardInterrupt):
        call(circuit, KeyboardInterrupt())
    fail(circuit, 1)

    assert is_open(circuit) == 10.0


def test_one_call_at_a_time_tries_after_the_pause(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.now += 4
    assert is_open(circuit) == 6.0

    clock.now += 6
    with circuit.attempt():
        assert is_open(circuit) == 0.0
    assert is_open(circuit) is None


def test_failed_try_opens_it_again(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.now += 10

    fail(circuit, 1)

    assert is_open(circuit) == 10.0


def test_cancelled_try_leaves_room_for_the_next(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.now += 10
    with pytest.raises(KeyboardInterrupt):
        call(circuit, KeyboardInterrupt())

    assert is_open(circuit) is None


def test_call_begun_before_it_opened_does_not_prolong_the_pause(circuit: Circuit, clock: Clock) -> None:
    begun = circuit.attempt()
    begun.__enter__()
    fail(circuit, 3)
    clock.now += 4

    begun.__exit__(Down, Down(), None)

    assert is_open(circuit) == 6.0


async def test_tries_that_the_end_of_their_call_cuts_tell_nothing_of_the_server() -> None:
    """Each answer takes a while, and the first asks for a pause that nearly lasts to the end."""
    line = Line("x", 0.8, 0.3, 5, 10.0)

    async def asking() -> int:
        asked = False

        async def attempt() -> int:
            nonlocal asked
            await asyncio.sleep(0.03)
            if not asked:
                asked = True
                raise BusyError(0.72)
            await asyncio.sleep(0.1)
            return 1

        return await line.call(attempt)

    async def healthy() -> int:
        return 1

    found = await asyncio.gather(*(asking() for _ in range(20)), return_exceptions=True)
    assert any(isinstance(one, VectorStoreUnavailable) for one in found)
    assert await line.call(healthy) == 1


async def test_last_try_cut_short_does_not_hide_what_the_one_before_it_said() -> None:
    line = Line("qdrant.test", seconds=0.3, one_try=0.3, failures=1000, pause=1.0)
    tries = 0

    async def refused_and_then_silent() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NoAnswerError("no connection")
        await asyncio.sleep(1)

    with pytest.raises(VectorStoreUnavailable, match="no connection"):
        await line.call(refused_and_then_silent)

    assert tries == 2
