"""What goes out by libraries that take no client of ours, and what a turn says that it carries."""

from uuid import uuid4

import httpx
import pytest
from opentelemetry.trace import SpanKind

from app.egress import Data
from app.egress.allowed import Allowed, carried
from app.egress.destinations import FILES, origin_of
from app.storage import StorageRefused
from app.telemetry.tracing import begin, set_up_tracing
from tests.fakes.s3 import answering, storage


async def test_a_file_store_is_not_followed_to_another_host():
    with answering(200, b"") as (there, seen), answering(200, b"") as (declared, _):
        store = storage(there, "bucket")
        store._allowed = Allowed(FILES, [origin_of(declared)])
        with pytest.raises(StorageRefused, match="file store is declared to be at"):
            await store.put(uuid4(), uuid4(), b"data")
        await store.close()
    assert seen == []


def test_a_collector_does_not_send_traces_on_to_another_host():
    with answering(200, b"") as (there, seen), _sending_on(there) as (collector, asked):
        stop = set_up_tracing(collector)
        begin("request", SpanKind.SERVER).end()
        stop()
    assert len(asked) >= 1
    assert seen == []


def _sending_on(there):
    return answering(307, b"", headers={"Location": f"{there}/v1/traces"})


async def test_a_turn_and_a_delivery_say_what_they_carry(tenant, telegram, run_jobs, runtime):
    carrying: dict[str, frozenset[Data]] = {}

    async def listening(scope, receive, send):
        carrying[scope["path"].rpartition("/")[2]] = carried()
        await telegram.app(scope, receive, send)

    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    connection = await tenant.connect(await tenant.add_agent())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(listening)) as wire:
        runtime.provider_http = {"telegram": wire}
        runtime.simulated_http = runtime.provider_http
        await tenant.write(connection, "How many days do I have to return an item?")
        await run_jobs()
    assert carrying["sendMessage"] == {Data.MESSAGE}
    assert carried() == frozenset()
