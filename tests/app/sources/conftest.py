import asyncio
from ipaddress import ip_network

import pytest

from app.assembly import page_fetcher
from app.egress import Pace
from app.queue import SOURCES


@pytest.fixture
def pages(runtime):
    """Lets the runtime read sites on loopback, without a pause between two requests."""
    settings = runtime.settings.model_copy(
        update={"fetch_allow": (ip_network("127.0.0.0/8"),), "max_page_bytes": 20_000}
    )
    runtime.fetcher, runtime.pace = page_fetcher(settings), Pace(0)


@pytest.fixture
def run_sources(runtime):
    """Run the jobs of sources and no others: what was read is stored, and not parsed or embedded."""

    async def run():
        while list(await runtime.queue.app.job_manager.list_jobs_async(queue=SOURCES, status="todo")):
            await runtime.queue.app.run_worker_async(
                queues=[SOURCES],
                wait=False,
                concurrency=1,
                listen_notify=False,
                install_signal_handlers=False,
                delete_jobs="successful",
                additional_context={"runtime": runtime},
            )

    return lambda seconds=30: asyncio.wait_for(run(), seconds)
