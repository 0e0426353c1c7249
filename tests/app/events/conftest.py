"""A shop that is served on loopback, as streams need it: a client in the process would wait for their end."""

import contextlib
from ipaddress import ip_network

import pytest

from app.egress import Poster
from app.main import create_app
from tests.app.events.receivers import receiving
from tests.app.events.streams import serving

LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
async def shop(tenant):
    """A tenant with a bot, whose agent knows nothing and hands over."""
    tenant.agent = await tenant.add_agent()
    tenant.connection = await tenant.connect(tenant.agent)
    return tenant


@pytest.fixture
async def web(runtime):
    """Start web processes' worth of the application; gives each one's address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start():
            return await stack.enter_async_context(serving(create_app(runtime)))

        yield start


@pytest.fixture
async def receiver(runtime):
    """A receiver that the runtime may post to."""
    runtime.poster = Poster(allow=LOOPBACK)
    async with receiving() as one:
        yield one
