"""A process that fails says so, and does not end as if it had been asked to."""

import asyncio
import signal
import socket

import pytest

from app.process import run


@pytest.mark.parametrize("asks_to_stop", [False, True])
async def test_work_that_fails_is_the_process_s_failure(settings, runtime, asks_to_stop):
    async def set_up(stack, front):
        return runtime

    async def work(runtime, stop):
        if asks_to_stop:
            stop.set()
            await asyncio.sleep(0.05)
        raise LookupError("the sample cannot be made")

    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(LookupError):
            await run(settings, listener, set_up, work, drain_seconds=0)
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
