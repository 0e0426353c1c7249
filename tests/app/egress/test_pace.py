"""A host is asked by one at a time, with a pause between two; hosts do not wait for each other."""

import asyncio

from app.egress import Pace
from app.egress import pace as module


async def _ask(pace, host, log, wanted=0.0):
    async with pace.turn(host, wanted):
        log.append(("in", host, asyncio.get_running_loop().time()))
        await asyncio.sleep(0.01)
        log.append(("out", host, asyncio.get_running_loop().time()))


async def test_one_at_a_time_with_a_pause_between_two():
    log, pace = [], Pace(0.05)
    await asyncio.gather(*(_ask(pace, "a", log) for _ in range(3)))
    assert [entry[0] for entry in log] == ["in", "out"] * 3
    assert all(begun - ended >= 0.049 for (_, _, ended), (_, _, begun) in zip(log[1::2], log[2::2], strict=False))


async def test_a_host_may_ask_for_a_longer_pause():
    log, pace = [], Pace(0)
    for _ in range(2):
        await _ask(pace, "a", log, 0.05)
    assert log[2][2] - log[1][2] >= 0.049


async def test_hosts_do_not_wait_for_each_other():
    log, pace = [], Pace(5)
    await asyncio.wait_for(asyncio.gather(*(_ask(pace, f"host-{n}", log) for n in range(50))), 1)


async def test_who_gives_up_leaves_the_turn_to_others():
    log, pace = [], Pace(0)
    waiting = asyncio.create_task(_ask(pace, "a", log, 3600))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    pace = Pace(0)
    await asyncio.wait_for(_ask(pace, "a", log), 1)


async def test_hosts_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "_HOSTS", 10)
    pace = Pace(0)
    for number in range(50):
        await _ask(pace, f"host-{number}", [])
    assert len(pace._hosts) <= 11
