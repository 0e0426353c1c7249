"""GET /v1/events: each change once and in order, over reconnects, processes and transactions that commit late."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text, update

from app import streams
from app.db import DatabaseUnavailable
from app.events import feed
from app.keys.reencrypt import reencrypt
from app.models import Conversation, new_id
from app.privacy.retention import retain
from tests.app.events.streams import streaming
from tests.app.until import until

QUESTION = "How many days do I have to return an item?"


async def add(shop, chat_id=5001):
    """Have a customer write; nothing is answered."""
    response = await shop.write(shop.connection, QUESTION, chat_id=chat_id)
    assert response.status_code == 200


async def test_a_conversation_is_told_as_it_goes(shop, web, run_jobs):
    async with streaming(await web(), shop.key) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        await add(shop)
        await run_jobs()
        told = await stream.until("reply.sent")
    names = [event.name for event in told]
    assert names[:2] == ["conversation.created", "message.received"]
    # Its language was found out.
    assert set(names[2:-1]) == {"conversation.updated", "handoff.created", "reply.queued"}
    numbers = [int(event.id) for event in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(told)))
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    assert {event.data["conversation_id"] for event in told} == {one["id"]}
    assert {event.data["connection_id"] for event in told} == {shop.connection}
    messages = [message["id"] for message in await shop.messages()]
    assert [told[1].data["message_id"], told[-1].data["message_id"]] == messages
    fields = {"conversation_id", "message_id", "handoff_id", "connection_id", "created_at"}
    assert all(set(event.data) <= fields for event in told)


async def test_it_goes_on_after_the_last_one_in_any_process(shop, web, run_jobs):
    one, two = await web(), await web()
    async with streaming(one, shop.key) as stream:
        begun = stream.last_id
        await add(shop)
        await run_jobs()
        first = await stream.next()
    async with streaming(two, shop.key, after=first.id) as stream:
        rest = await stream.until("reply.sent")
    async with streaming(one, shop.key, last_event_id=begun) as stream:
        assert await stream.until("reply.sent") == [first, *rest]
    # The header is of the newer connection: a browser keeps the address.
    async with streaming(two, shop.key, after=first.id, last_event_id=begun) as stream:
        assert await stream.until("reply.sent") == rest


async def noted(session, shop, conversation):
    await session.execute(
        text("select tenant.tell('conversation.updated', :tenant, :one, :conversation, null, null)"),
        {"tenant": shop.id, "one": shop.connection, "conversation": conversation},
    )


async def test_what_commits_late_is_told_though_a_later_one_was_told_before(shop, web):
    """Of two transactions the first to begin commits last, with a reader in between: neither is missed nor doubled."""
    early, late = new_id(), new_id()
    async with streaming(await web(), shop.key) as stream:
        async with shop.runtime.db.session(shop.id) as slow:
            await noted(slow, shop, early)
            async with shop.runtime.db.session(shop.id) as quick:
                await noted(quick, shop, late)
            assert (await stream.next()).data["conversation_id"] == str(late)
            resumed = stream.last_id
        assert (await stream.next()).data["conversation_id"] == str(early)
    async with streaming(await web(), shop.key, after=resumed) as stream:
        assert (await stream.next()).data["conversation_id"] == str(early)


async def test_readers_and_writers_at_once_miss_and_double_nothing(shop, web):
    async def write(number):
        async with shop.runtime.db.session(shop.id) as session:
            for _ in range(3):
                await noted(session, shop, new_id())
                await asyncio.sleep(0.001 * (number % 7))

    async def read(one, two):
        seen, after = [], None
        for count in (5, 20, 35, 60):
            # From process to process, as after a deployment.
            async with streaming((one, two)[count % 2], shop.key, after=after or begun) as stream:
                while len(seen) < count:
                    seen.append(await stream.next())
                after = seen[-1].id
        return [(event.id, event.data["conversation_id"]) for event in seen]

    one, two = await web(), await web()
    async with streaming(one, shop.key) as stream:
        begun = stream.last_id
    readers = [asyncio.create_task(read(one, two)) for _ in range(3)]
    await asyncio.gather(*(write(number) for number in range(20)))
    found = await asyncio.gather(*readers)
    assert found[0] == found[1] == found[2]
    assert len({conversation for _, conversation in found[0]}) == 60
    assert [int(number) for number, _ in found[0]] == list(range(int(begun) + 1, int(begun) + 61))


async def test_numbering_waits_for_no_erasure(shop, web):
    going, staying = new_id(), new_id()
    for one in (going, staying):
        async with shop.runtime.db.session(shop.id) as session:
            await noted(session, shop, one)
    async with shop.runtime.db.session(shop.id) as erasing:
        await erasing.execute(text("delete from tenant.changes where conversation_id = :one"), {"one": going})
        async with streaming(await web(), shop.key, last_event_id="0") as stream:
            assert (await stream.next()).data["conversation_id"] == str(staying)
        await erasing.commit()
    async with streaming(await web(), shop.key, last_event_id="0") as stream:
        assert (await stream.next()).data["conversation_id"] == str(staying)


async def test_what_was_rolled_back_is_not_told(shop, web):
    kept = new_id()
    async with streaming(await web(), shop.key) as stream:
        async with shop.runtime.db.session(shop.id) as session:
            await noted(session, shop, new_id())
            await session.rollback()
        async with shop.runtime.db.session(shop.id) as session:
            await noted(session, shop, kept)
        event = await stream.next()
    assert event.data["conversation_id"] == str(kept)


@pytest.mark.parametrize("asked", ["0", "99999999", "-1", "nonsense", "١٢", "9" * 40, "9" * 5000])
async def test_an_id_that_is_not_known_any_more_is_told_so(shop, web, asked, admin, run_jobs):
    process = await web()
    await add(shop)
    await run_jobs()
    async with streaming(process, shop.key, last_event_id="0") as stream:
        pass
    with psycopg.connect(admin.conninfo(), autocommit=True) as connection:
        connection.execute("reset role")
        connection.execute("update tenant.changes set created_at = now() - interval '25 hours'")
    await retain(shop.runtime.vault, shop.runtime, shop.id)
    # As a header, which no length is set for; the parameter's is.
    async with streaming(process, shop.key, after=asked.encode()) as stream:
        first = await stream.next()
        assert (first.name, first.data) == ("reset", {})
        async with shop.runtime.db.session(shop.id) as session:
            await noted(session, shop, new_id())
        following = await stream.next()
        assert (following.name, int(following.id)) == ("conversation.updated", int(first.id) + 1)
    async with streaming(process, shop.key, after=first.id) as stream:
        assert (await stream.next()).id == following.id


async def test_what_was_erased_is_not_told_and_the_gap_is(shop, web, run_jobs):
    process = await web()
    async with streaming(process, shop.key) as stream:
        begun = stream.last_id
    await add(shop)
    await run_jobs()
    [one] = (await shop.http.get("/v1/conversations")).json()["conversations"]
    async with streaming(process, shop.key, after=begun) as stream:
        await stream.until("reply.sent")
        await shop.http.delete(f"/v1/conversations/{one['id']}")
        await run_jobs()
        async with shop.runtime.db.session(shop.id) as session:
            await noted(session, shop, new_id())
        # Its end is not told.
        assert (await stream.next()).data["conversation_id"] != one["id"]
    async with streaming(process, shop.key, after=begun) as stream:
        assert (await stream.next()).name == "reset"


async def test_without_a_key_a_scope_or_a_place_there_is_no_stream(shop, web, monkeypatch):
    process = await web()
    made = (await shop.http.post("/v1/api-keys", json={"name": "x", "scopes": ["agents:read"]})).json()
    for key, status in (("jobx_nonsense", 401), (made["key"], 403)):
        async with streaming(process, key) as stream:
            assert stream.status == status
    monkeypatch.setattr(streams, "_STREAMS_OF_TENANT", 1)
    async with streaming(process, shop.key) as stream:
        async with streaming(process, shop.key) as second:
            assert second.status == 429
        assert stream.status == 200
    await until(lambda: _is_free(process, shop))


async def _is_free(process, shop):
    async with streaming(process, shop.key) as stream:
        return stream.status == 200


async def test_a_process_has_so_many_places(shop, web, runtime, make_tenant):
    runtime.settings = runtime.settings.model_copy(update={"event_streams": 1})
    other = await make_tenant("Other")
    process = await web()
    async with streaming(process, shop.key):
        async with streaming(process, other.key) as second:
            assert (second.status, second.headers["retry-after"]) == (503, "2")
        assert runtime.metrics.registry.get_sample_value("jobx_event_streams") == 1
    await until(lambda: _is_free(process, other))


async def test_one_that_cannot_begin_takes_no_place(shop, web, monkeypatch):
    async def away(*_arguments):
        raise DatabaseUnavailable

    monkeypatch.setattr(streams, "_STREAMS_OF_TENANT", 1)
    process = await web()
    with monkeypatch.context() as patch:
        patch.setattr(feed.Streams, "begin", away)
        async with streaming(process, shop.key) as stream:
            assert stream.status == 503
    assert await _is_free(process, shop)


async def test_another_tenant_is_told_nothing(shop, web, make_tenant, run_jobs):
    other = await make_tenant("Other")
    process = await web()
    async with streaming(process, other.key) as stream:
        await add(shop)
        await run_jobs()
        async with shop.runtime.db.session(other.id) as session:
            await noted(session, _Named(other.id, shop.connection), mine := new_id())
        event = await stream.next()
        assert event.data["conversation_id"] == str(mine)
        # Its numbers do not tell how much the others have.
        assert int(event.id) == 1


class _Named:
    def __init__(self, tenant_id, connection):
        self.id, self.connection = tenant_id, connection


@pytest.mark.parametrize("end", ["revoked", "erased"])
async def test_a_stream_ends_with_its_key_and_with_its_tenant(shop, web, run_jobs, monkeypatch, end):
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.05)
    [key] = (await shop.http.get("/v1/api-keys")).json()["api_keys"]
    async with streaming(await web(), shop.key) as stream:
        if end == "revoked":
            await shop.http.delete(f"/v1/api-keys/{key['id']}")
        else:
            await shop.http.delete("/v1/account", params={"days": 0})
            await run_jobs()
        while (event := await stream.next()) is not None:
            assert event.name.startswith(("message.", "reply.", "conversation."))


async def test_silence_is_kept_alive_and_holds_no_connection(shop, web, monkeypatch, runtime):
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.1)
    async with streaming(await web(), shop.key) as stream:
        with pytest.raises(TimeoutError):
            await stream.next(1.0)
        assert stream.comments > 2
        monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 60)
        await until(lambda: _nothing_is_checked_out(runtime))


async def _nothing_is_checked_out(runtime):
    return runtime.db.engine.sync_engine.pool.checkedout() == 0


async def test_all_streams_of_a_process_share_one_connection_that_goes_with_the_last(shop, web, admin):
    def listening():
        with psycopg.connect(admin.conninfo()) as connection:
            query = "select count(*) from pg_stat_activity where query = 'listen jobx_changes'"
            return connection.execute(query).fetchone()[0]

    async def count():
        return await asyncio.to_thread(listening)

    process = await web()
    assert await count() == 0
    async with streaming(process, shop.key), streaming(process, shop.key):
        await until(lambda: _is(count, 1))
    await until(lambda: _is(count, 0))


async def _is(count, wanted):
    return await count() == wanted


async def test_a_lost_connection_is_replaced_and_nothing_is_missed(shop, web, admin):
    async with streaming(await web(), shop.key) as stream:
        for _ in range(3):
            with psycopg.connect(admin.conninfo(), autocommit=True) as connection:
                connection.execute("reset role")
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen jobx_changes'"
                )
            mine = new_id()
            async with shop.runtime.db.session(shop.id) as session:
                await noted(session, shop, mine)
            assert (await stream.next()).data["conversation_id"] == str(mine)


async def test_a_process_that_stops_ends_its_streams_at_once(shop, web, runtime):
    process = await web()
    async with streaming(process, shop.key) as stream:
        runtime.readiness.stop()
        assert await stream.next() is None
        last = stream.last_id
    async with shop.runtime.db.session(shop.id) as session:
        await noted(session, shop, mine := new_id())
    # Who comes back to it is told what there is, and sent on.
    async with streaming(process, shop.key, after=last) as stream:
        assert (await stream.next()).data["conversation_id"] == str(mine)
        assert await stream.next() is None


async def test_a_reader_that_takes_nothing_is_let_go(shop, web, runtime, monkeypatch):
    monkeypatch.setattr(streams, "_SEND_SECONDS", 0.2)
    process = await web()
    host, port = process.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.key}\r\n\r\n".encode())
    await writer.drain()
    await until(lambda: _open(runtime, 1))
    for _ in range(100):
        async with shop.runtime.db.session(shop.id) as session:
            await session.execute(
                text(
                    "select tenant.tell('conversation.updated', :tenant, :one, :one, null, null)"
                    " from generate_series(1, 1000)"
                ),
                {"tenant": shop.id, "one": shop.connection},
            )
        if await _open(runtime, 0):
            break
    await until(lambda: _open(runtime, 0))
    writer.close()
    del reader


async def _open(runtime, count):
    return runtime.metrics.registry.get_sample_value("jobx_event_streams") == count


async def test_a_stream_counts_as_answered_when_it_begins(shop, web, runtime):
    def value(name, **labels):
        return runtime.metrics.registry.get_sample_value(f"jobx_{name}", {"route": "/v1/events", **labels})

    async with streaming(await web(), shop.key):
        assert value("http_requests_total", status="2xx") == 1
        taken = value("http_request_seconds_sum")
        await asyncio.sleep(0.5)
    await until(lambda: _open(runtime, 0))
    assert value("http_requests_total", status="2xx") == 1
    assert value("http_request_seconds_sum") == taken


async def test_what_seals_texts_anew_tells_nothing(shop, web, run_jobs, runtime):
    await add(shop)
    await run_jobs()
    async with streaming(await web(), shop.key) as stream:
        await reencrypt(runtime.vault, shop.id, [], lambda _: None)
        async with runtime.vault.session(shop.id) as session:
            await session.execute(update(Conversation).values(rating=4))
        assert (await stream.next()).name == "conversation.updated"
